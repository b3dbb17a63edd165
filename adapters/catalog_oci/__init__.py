"""Keep models in the model catalog of Oracle's OCI Data Science service.

`oci:PROFILE?compartment=OCID&project=OCID[&bucket=NAME@NAMESPACE]`

A version is an ordinary model of that catalog, in a model version set named for it, with one
artifact: a zip of plainly stored files that the console and `oracle-ads` read, too. Credentials
come from Oracle's own ~/.oci/config, or from the instance or resource the program runs on.
"""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("oci") is None:
    # Said here, without importing it (seconds), so that whoever loads the entry point knows.
    raise ImportError("catalog_oci needs oci")

from catalog_oci._store import OciStore, open_store

__all__ = ["OciStore", "open_store"]
