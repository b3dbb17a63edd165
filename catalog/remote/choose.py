"""`catalog --registry`: which registry this process works through, and for which verbs."""

from __future__ import annotations

import os

from catalog.errors import UsageError
from catalog.remote.connect import connect

# What works with stores or keeps a server's secrets; through a registry it would do something else.
_DIRECT = {
    "replicate": "copies between stores; a registry is one:\n"
    "    catalog stores add lab registry+https://models.example.org --token-env LAB_TOKEN\n"
    "    catalog replicate NAME@1 --to lab",
    "serve": "serves what lies in stores",
    "token": "makes tokens where the server keeps them",
    "demo": "works in the folders of this machine",
    "doctor": "looks at this machine",
}


def choose_registry(told: str | None, verb: str) -> None:
    """Make this process work through a registry; nothing is contacted.

    Raises
    ------
    UsageError
        That verb does not, or it is no address.
    NotFound
    """
    before = os.environ.get("CATALOG_REGISTRY", "")
    if told is not None and not told:  # `--registry ''` works with stores directly
        os.environ.pop("CATALOG_REGISTRY", None)
        return
    if verb in _DIRECT:
        raise UsageError(
            f"catalog {verb} does not go through a registry: it {_DIRECT[verb]}",
            f"catalog --registry '' {verb} ...    (or unset CATALOG_REGISTRY)",
        )
    if told is not None and told != before:
        asked = connect(told).place
        if before and connect(before).place.origin != asked.origin:
            os.environ.pop("CATALOG_TOKEN", None)  # it is for the registry of the environment
        os.environ["CATALOG_REGISTRY"] = told
