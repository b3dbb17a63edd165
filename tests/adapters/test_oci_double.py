"""The double refuses what Oracle's service would: otherwise tests that pass prove nothing."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("oci")
import oci.pagination

from tests.adapters.oci_double import Double, Identity, running_double
from tests.adapters.oci_double.place import COMPARTMENT, PROJECT, put_model, zipped

BODY = {"compartmentId": COMPARTMENT, "projectId": PROJECT, "displayName": "m"}


@pytest.fixture(scope="module")
def identity() -> Identity:
    return Identity.new()


@pytest.fixture
def double(tmp_path: Path, identity: Identity) -> Iterator[Double]:
    with running_double(tmp_path / "cloud", identity) as double:
        yield double


def client_of(double: Double, identity: Identity, folder: Path) -> Any:
    config = oci.config.from_file(str(identity.write_config(folder)))
    return oci.data_science.DataScienceClient(
        config, service_endpoint=double.url, retry_strategy=oci.retry.NoneRetryStrategy()
    )


@pytest.fixture
def client(double: Double, identity: Identity, tmp_path: Path) -> Any:
    return client_of(double, identity, tmp_path / "dot-oci")


def refusal(function: Any, *args: Any, **kwargs: Any) -> tuple[int, str]:
    with pytest.raises(oci.exceptions.ServiceError) as caught:
        function(*args, **kwargs)
    return caught.value.status, caught.value.code


def send_json(double: Double, client: Any, path: str, body: dict[str, Any]) -> int:
    """A signed request with a body that the SDK would not make."""
    request = oci._vendor.requests.Request(
        "POST", f"{double.url}/20190101{path}", data=json.dumps(body),
        headers={"content-type": "application/json"}, auth=client.base_client.signer,
    )  # fmt: skip
    with oci._vendor.requests.Session() as session:
        session.trust_env = False
        return int(session.send(request.prepare()).status_code)


def test_an_unsigned_request_is_refused(double: Double) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{double.url}/20190101/models?compartmentId=x")
    assert caught.value.code == 401
    caught.value.close()


def test_a_key_that_nobody_registered_is_refused(double: Double, tmp_path: Path) -> None:
    stranger = client_of(double, Identity.new("stranger"), tmp_path / "stranger")
    assert refusal(stranger.list_models, COMPARTMENT)[0] == 401


def test_another_key_under_a_known_name_is_refused(
    double: Double, identity: Identity, tmp_path: Path
) -> None:
    config = oci.config.from_file(str(Identity.new().write_config(tmp_path / "forged")))
    config["fingerprint"] = identity.fingerprint
    forger = oci.data_science.DataScienceClient(
        config, service_endpoint=double.url, retry_strategy=oci.retry.NoneRetryStrategy()
    )
    assert refusal(forger.list_models, COMPARTMENT)[0] == 401


def test_a_stale_date_is_refused(double: Double, client: Any) -> None:
    double.now = lambda: time.time() + 600
    assert refusal(client.list_models, COMPARTMENT) == (401, "NotAuthenticated")


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour": "blue"},
        {"displayName": 3},
        {"freeformTags": ["a"]},
        {"freeformTags": {"a": 1}},
        {"freeformTags": {"has.dot": "x"}},
        {"freeformTags": {str(n): "x" for n in range(11)}},
        {"customMetadataList": {"key": "a"}},
        {"customMetadataList": [{"key": "a", "value": "b", "size": 3}]},
        {"customMetadataList": [{"key": "a", "value": "b", "category": "Mine"}]},
        {"customMetadataList": [{"key": "a", "value": "x" * 16_001}]},
        {"customMetadataList": [{"key": f"k{n}", "value": "x" * 11_000} for n in range(3)]},
        {"versionLabel": "1"},
        {"projectId": None},
    ],
)
def test_a_field_that_the_sdk_does_not_describe_is_refused(
    double: Double, client: Any, wrong: dict[str, Any]
) -> None:
    assert send_json(double, client, "/models", BODY) == 200
    assert send_json(double, client, "/models", BODY | wrong) == 400


def test_a_create_repeated_with_its_token_makes_one_model(double: Double, client: Any) -> None:
    details = oci.data_science.models.CreateModelDetails(
        compartment_id=COMPARTMENT, project_id=PROJECT, display_name="m"
    )
    ids = {client.create_model(details, opc_retry_token="same").data.id for _ in range(2)}
    ids.add(client.create_model(details, opc_retry_token="other").data.id)
    assert len(ids) == 2


def test_lists_come_in_pages_and_every_item_once(double: Double, client: Any) -> None:
    ids = {put_model(client, f"m{number}", {}) for number in range(5)}
    pages = list(
        oci.pagination.list_call_get_all_results_generator(
            client.list_models, "response", COMPARTMENT, limit=2
        )
    )
    assert [len(page.data) for page in pages] == [2, 2, 1]
    assert {row.id for page in pages for row in page.data} == ids


def test_an_update_of_what_has_changed_is_refused(double: Double, client: Any) -> None:
    ident = put_model(client, "m", {})
    etag = client.get_model(ident).headers["etag"]
    details = oci.data_science.models.UpdateModelDetails(description="first")
    client.update_model(ident, details, if_match=etag)
    assert refusal(client.update_model, ident, details, if_match=etag) == (412, "NoEtagMatch")


def test_an_artifact_is_read_in_ranges_and_never_replaced(double: Double, client: Any) -> None:
    data = zipped({"a": b"abc"})
    ident = put_model(client, "m", {"a": b"abc"})
    answer = client.get_model_artifact_content(ident, range="bytes=2-5")
    assert (answer.status, answer.data.content) == (206, data[2:6])
    assert refusal(client.create_model_artifact, ident, b"other")[0] == 409


def test_what_is_kept_outlives_the_server(
    double: Double, client: Any, identity: Identity, tmp_path: Path
) -> None:
    ident = put_model(client, "m", {"a": b"abc"})
    with running_double(tmp_path / "cloud", identity) as again:
        other = client_of(again, identity, tmp_path / "dot-oci")
        assert other.get_model(ident).data.display_name == "m"
        assert other.get_model_artifact_content(ident).data.content == zipped({"a": b"abc"})


def test_faults_happen_as_often_as_asked_for(double: Double, client: Any) -> None:
    double.fail("GET .*/models", status=429, code="TooManyRequests", times=2)
    assert refusal(client.list_models, COMPARTMENT) == (429, "TooManyRequests")
    assert refusal(client.list_models, COMPARTMENT)[0] == 429
    assert client.list_models(COMPARTMENT).data == []
