"""URIs of OCI stores: what is understood, what is refused, and that credentials are not in them."""

from __future__ import annotations

import pytest

pytest.importorskip("oci")
from catalog.errors import UsageError
from catalog.plugins import load_plugin
from catalog_oci._place import parse_place

C, P = "ocid1.compartment.oc1..aaaa", "ocid1.datascienceproject.oc1.iad.aaaa"
BASE = f"oci:LAB?compartment={C}&project={P}"


def test_a_profile_a_compartment_and_a_project_are_a_place() -> None:
    place = parse_place(BASE)
    assert (place.profile, place.compartment, place.project) == ("LAB", C, P)
    assert (place.bucket, place.endpoint) == ("", "")


def test_no_profile_is_the_default_one() -> None:
    assert parse_place(BASE.replace("LAB", "")).profile == "DEFAULT"


def test_a_bucket_has_a_name_and_a_namespace() -> None:
    place = parse_place(f"{BASE}&bucket=models@hepspace")
    assert (place.bucket, place.namespace) == ("models", "hepspace")


@pytest.mark.parametrize(
    "uri",
    [
        "oci",
        "oci:",
        "oci:LAB",
        f"oci:LAB?compartment={C}",
        f"oci:LAB?project={P}",
        f"oci:LAB?compartment=mine&project={P}",
        f"oci:LAB?compartment={C}&project=../../etc",
        f"oci:L/../AB?compartment={C}&project={P}",
        f"{BASE}&bucket=models",
        f"{BASE}&bucket=a/b@ns",
        f"{BASE}&key_file=/home/me/key.pem",
        f"{BASE}&pass_phrase=sesame",
        f"{BASE}&endpoint=http://oracle.example.org",
        f"{BASE}&endpoint=https://me:secret@oracle.example.org",
        f"{BASE}&endpoint=https://oracle.example.org:port",
        f"{BASE}&endpoint=ftp://oracle.example.org",
    ],
)
def test_anything_else_is_refused_with_the_right_form(uri: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_place(uri)
    assert (
        "oci:PROFILE" in caught.value.hint
        or "endpoint=" in caught.value.hint
        or ("oci os ns get" in caught.value.hint)
    )
    assert "sesame" not in caught.value.message + caught.value.hint
    assert "secret" not in caught.value.message + caught.value.hint


def test_requests_in_clear_stay_on_this_machine() -> None:
    assert parse_place(f"{BASE}&endpoint=http://127.0.0.1:9/").endpoint == "http://127.0.0.1:9"
    assert parse_place(f"{BASE}&endpoint=https://host").endpoint == "https://host"


def test_the_store_is_found_by_its_name() -> None:
    from catalog_oci import open_store

    assert load_plugin("stores", "oci", what="store", extra="oci", hint="") is open_store
