"""The engine over gRPC: the Open Inference Protocol, and what of Triton's superset we do."""
