"""One corner of the double's tenancy: its URI, a store, and what others do there."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from catalog_oci import OciStore
from catalog_oci._place import parse_place
from tests.adapters.oci_double.double import Double, running_double
from tests.adapters.oci_double.keys import Identity

COMPARTMENT = "ocid1.compartment.oc1..aaaadouble"
PROJECT = "ocid1.datascienceproject.oc1..aaaadouble"
BUCKET = "models@doublespace"


@contextmanager
def configured_double(folder: Path) -> Iterator[Double]:
    """A running double, and a user whose ~/.oci/config it knows."""
    identity = Identity.new()
    with (
        pytest.MonkeyPatch.context() as patch,
        running_double(folder / "cloud", identity) as double,
    ):
        patch.setenv("OCI_CONFIG_FILE", str(identity.write_config(folder / "dot-oci")))
        yield double


def uri_of(double: Double, **options: str) -> str:
    pairs = {"compartment": COMPARTMENT, "project": PROJECT, "endpoint": double.url} | options
    return "oci:DEFAULT?" + "&".join(f"{key}={value}" for key, value in pairs.items())


def store_of(double: Double, folder: Path, **options: str) -> OciStore:
    """A store with a spool of its own, as if on another machine."""
    return OciStore(parse_place(uri_of(double, **options)), folder / "spool")


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path), data, method)  # of no date: always the same
    return buffer.getvalue()


def put_model(client: Any, name: str, files: dict[str, bytes], **details: Any) -> str:
    """Put a model there with Oracle's own client; returns its OCID."""
    from oci.data_science.models import CreateModelDetails

    created = client.create_model(
        CreateModelDetails(
            compartment_id=COMPARTMENT, project_id=PROJECT, display_name=name, **details
        )
    )
    client.create_model_artifact(created.data.id, zipped(files))
    return str(created.data.id)
