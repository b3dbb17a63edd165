"""No password or token that somebody writes into an address is ever shown, or kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from catalog.address import check_address, shown
from catalog.errors import CatalogError, UsageError
from catalog.refs import parse_ref
from catalog.store_names import Named, StoreNames, check_named, remove_store
from catalog.stores import Secret, open_named, open_store
from tests.catalog.test_cli import run

SECRET = "Sesame7"
KINDS = ["mlflow+https", "mlflow+http", "oci", "https", "memory", "s3", "MLFLOW+HTTPS"]
LETTERS = st.text("aZ09._-:/@?#&;=%[] \n\x00é", max_size=8)
SAFE = [
    "mlflow", "memory:", "lab", "mlflow+https://mlflow.example.org:5000/path",
    "oci:DEFAULT?compartment=ocid1.compartment.oc1..aaaa&project=ocid1.project.oc1.eu.bbbb",
    "oci:?compartment=ocid1.tenancy.oc1..a&project=ocid1.p.oc1..b&bucket=b@ns"
    "&endpoint=http://127.0.0.1:8080",
]  # fmt: skip


@st.composite
def leaking(draw: st.DrawFn) -> str:
    """A URI with a secret where people put one: before the host, or in an option."""
    kind, host, path = draw(st.sampled_from(KINDS)), draw(LETTERS), draw(LETTERS)
    before, after = draw(LETTERS), draw(LETTERS)
    secret = f"{before}{SECRET}{after}"
    if draw(st.booleans()):
        user = draw(st.sampled_from(["ada:", "", ":"]))
        slashes = "://"
        if user == "ada:":  # mistyped, a colon still tells that somebody logs in
            slashes = draw(st.sampled_from(["://", ":/", ":", "//", ":\\\\", ":///"]))
        return f"{kind}{slashes}{user}{secret}@{host}/{path}"
    option = draw(st.sampled_from(["token=", "access_token=", "", "x=1&password=", "project="]))
    mark = draw(st.sampled_from(["?", "#", "?x=1;", "/%3F", "%253f", "?compartment=ocid1.a&"]))
    assume(not (option == "project=" and before.startswith("ocid1.")))
    return f"{kind}:{draw(st.sampled_from(['//host', 'DEFAULT', '']))}{mark}{option}{secret}"


def used(uri: str) -> list[CatalogError]:
    """What every way to use an address says of it."""
    ways = [
        lambda: check_address(uri),
        lambda: StoreNames().name_of(uri),
        lambda: check_named("lab", Named(uri)),
        lambda: check_named(uri, Named("memory:")),
        lambda: remove_store(Path("/nonexistent/stores.yaml"), uri),
        lambda: open_named(uri, StoreNames()),
        lambda: open_store(uri),
        lambda: open_store(uri, Secret("t")),
        lambda: parse_ref(uri),
    ]
    found = []
    for way in ways:
        try:
            way()
        except CatalogError as exc:
            found.append(exc)
    return found


@settings(deadline=None)  # the first to be opened imports MLflow
@given(leaking())
def test_a_secret_in_an_address_is_refused_and_never_repeated(uri: str) -> None:
    assert SECRET not in shown(uri)
    with pytest.raises(UsageError):
        check_address(uri)
    for exc in used(uri):
        assert SECRET not in exc.message + exc.hint


@given(st.text())
def test_what_is_shown_is_shown_the_same_again(text: str) -> None:
    assert shown(shown(text)) == shown(text)


@pytest.mark.parametrize("uri", SAFE)
def test_an_address_without_a_secret_is_shown_as_it_is(uri: str) -> None:
    assert shown(uri) == check_address(uri) == uri


@pytest.mark.parametrize(
    "words",
    [
        ["search", "--store", "URI"], ["stores"], ["stores", "check", "URI"], ["sync", "URI"],
        ["stores", "add", "lab", "URI"], ["stores", "rm", "URI"], ["show", "URI"],
        ["verify", "--all", "--store", "URI"], ["replicate", "a", "--to", "URI"],
        ["publish", "/tmp", "--store", "URI"],
    ],
)  # fmt: skip
def test_no_command_repeats_it(tmp_path: Path, words: list[str]) -> None:
    uri = ["mlflow+https://ada:Sesame7@host", "mlflow+https://host/?token=Sesame7"][len(words) % 2]
    environment = {"CATALOG_STORE": uri} if "URI" not in words else {}
    names = str(tmp_path / "stores.yaml")
    done = run(
        tmp_path, *[uri if it == "URI" else it for it in words], CATALOG_CONFIG=names, **environment
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert not any(SECRET.encode() in it.read_bytes() for it in tmp_path.rglob("*") if it.is_file())
