"""The engine over gRPC: the Open Inference Protocol, and what of Triton's superset we do."""

import os

# grpc's own lines on stderr, which a client could cause at will; our log has what happened.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
