"""Parameters of an address as one shape, for what is asked often.

FastAPI takes half a millisecond to read a dozen of them one by one, which is more than the search.
"""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

T = TypeVar("T", bound=BaseModel)


def told_by(shape: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of them: the `openapi_extra` of a route."""
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": schema}
            for name, schema in shape.model_json_schema()["properties"].items()
        ]
    }


def told(request: Request, shape: type[T]) -> T:
    """The parameters of a request; of one that is told twice the last.

    Raises
    ------
    RequestValidationError
    """
    try:
        return shape.model_validate(dict(request.query_params))
    except ValidationError as exc:
        wrong = exc.errors(include_url=False)
        raise RequestValidationError(
            [{**it, "loc": ("query", *it["loc"])} for it in wrong]
        ) from exc


def known_parameters(route: Any) -> set[str]:
    """The names of all that a route takes."""
    extra = (route.openapi_extra or {}).get("parameters", ())
    return {it.alias for it in route.dependant.query_params} | {it["name"] for it in extra}
