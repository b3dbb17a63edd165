"""A double of Oracle's Data Science model catalog and Object Storage, for tests only.

Built from the contract that the public `oci` SDK and `oracle-ads` show, never checked against
Oracle's service. It verifies every request signature, refuses every body that the SDK's own
models do not describe, keeps everything in a folder, and fails on demand.
"""

from tests.adapters.oci_double.double import Double, Fault, running_double
from tests.adapters.oci_double.keys import Identity

__all__ = ["Double", "Fault", "Identity", "running_double"]
