"""What OpenAPI promises is what the server does: no surprise, whatever is asked."""

from __future__ import annotations

import os
from typing import Any

import pytest
import schemathesis
from house import House, build
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import ignored_auth
from schemathesis.specs.openapi.checks import positive_data_acceptance as accepted

from registry_server.api.app import PARTS, create_api, description
from registry_server.api.registry import Bounds
from registry_server.auth.policy import POLICY

EXAMPLES = int(os.environ.get("CATALOG_EXAMPLES", "50"))  # of each operation; 1000 in the long form


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    bounds = Bounds(workers=0, jobs=10_000, uploads=10_000)
    house = build(tmp_path_factory.mktemp("house"), bounds)
    house.publish("toy")
    return house


@pytest.fixture(scope="module")
def described(house: House) -> Any:
    found = schemathesis.openapi.from_asgi(
        "/api/v1/openapi.json", house.app, headers={"host": "testserver", **house.headers["admin"]}
    )
    found.raw_schema.pop("security")  # else it leaves out tokens, which we put back
    return found


def test_every_route_is_described_with_its_errors(house: House) -> None:
    document = description(create_api(house.registry))
    found = {it["operationId"]: it for path in document["paths"].values() for it in path.values()}
    assert {*found, "openapi"} == set(POLICY)
    for name, it in found.items():
        for status in ("401", "403", "422", "500"):
            shape = it["responses"][status]["content"]["application/json"]["schema"]
            assert shape == {"$ref": "#/components/schemas/Error"}, name
        good = next(it["responses"][status] for status in it["responses"] if status < "300")
        assert good.get("content") or "204" in it["responses"], name
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert document["security"] == [{"bearer": []}]


OPERATIONS = sorted(
    (method.upper(), route.path)
    for part in PARTS
    for route in part.routes
    if route.include_in_schema
    for method in route.methods
)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_makes_the_server_fail_or_say_what_is_not_described(
    house: House, described: Any, method: str, path: str
) -> None:
    """Requests that follow the description, and requests that do not.

    All checks but two: that of tokens is test_policy's, and a request may be well-formed and yet
    name a cursor, a version or a manifest that cannot be.
    """
    strategy = described[path][method].as_strategy() | described[path][method].as_strategy(
        generation_mode=schemathesis.GenerationMode.NEGATIVE
    )

    @given(strategy)
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def ask(case: schemathesis.Case) -> None:
        headers = {"host": "testserver", **house.headers["admin"]}
        case.call_and_validate(headers=headers, excluded_checks=[ignored_auth, accepted])

    ask()


@pytest.mark.slow
def test_no_sequence_of_requests_makes_the_server_fail(house: House, described: Any) -> None:
    """What one answer names (an upload, a job, a version), the next request uses.

    All but the events of a job, which end with it: here no job is done.
    """
    machine = described.exclude(path_regex="events$").as_state_machine()
    for start in ("POST_uploads___201_", "POST_sync___202_", "GET_models___200_"):
        assert any(it.startswith(start) for it in vars(machine)), start
    headers = {"host": "testserver", **house.headers["admin"]}

    class Asking(machine):
        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            return {"headers": headers}

        def validate_response(self, response: Any, case: schemathesis.Case, **_: Any) -> None:
            case.validate_response(
                response, headers=headers, excluded_checks=[ignored_auth, accepted]
            )

    how = settings(
        max_examples=EXAMPLES, stateful_step_count=8, deadline=None, database=None,
        derandomize=True, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    Asking.run(settings=how)
