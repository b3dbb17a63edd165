"""Bodies against the SDK's own descriptions: unknown or wrong-typed fields are refused."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from tests.adapters.oci_double.wire import RefusedError

_SIMPLE: dict[str, type | tuple[type, ...]] = {
    "str": str, "int": int, "float": (int, float), "bool": bool, "object": object,
}  # fmt: skip
_LIST = re.compile(r"^list\[(.+)\]$")
_DICT = re.compile(r"^dict\(str, (.+)\)$")
_CATEGORIES = {
    "Performance", "Training Profile", "Training and Validation Datasets", "Training Environment",
    "Other", "Reports", "Readme", "NULL", None,
}  # fmt: skip
_TAG_KEY = re.compile(r"^[A-Za-z0-9_\-]{1,100}$")


def check_shape(body: Any, model: str, service: str = "data_science") -> dict[str, Any]:
    """The body if every field of it is one of `oci.<service>.models.<model>`, of its type."""
    import oci

    models = getattr(oci, service).models
    if not isinstance(body, dict):
        raise RefusedError(400, "InvalidParameter", f"{model}: an object, please")
    described = getattr(models, model)
    if hasattr(described, "get_subtype"):
        described = getattr(models, described.get_subtype(body))
    instance = described()
    types = {instance.attribute_map[name]: kind for name, kind in instance.swagger_types.items()}
    for name, value in body.items():
        if name not in types:
            raise RefusedError(400, "InvalidParameter", f"{model} has no field {name}")
        _check(value, types[name], f"{model}.{name}", service)
    return {name: value for name, value in body.items() if value is not None}


def _check(value: Any, kind: str, where: str, service: str) -> None:
    if value is None:
        return
    if found := _LIST.match(kind):
        _check_type(value, list, where)
        for item in value:
            _check(item, found[1], where, service)
    elif found := _DICT.match(kind):
        _check_type(value, dict, where)
        for item in value.values():
            _check(item, found[1], where, service)
    elif kind == "datetime":
        datetime.fromisoformat(value)
    elif kind in _SIMPLE:
        _check_type(value, _SIMPLE[kind], where)
    else:
        check_shape(value, kind, service)


def _check_type(value: Any, kind: Any, where: str) -> None:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind in (int, (int, float))):
        raise RefusedError(400, "InvalidParameter", f"{where}: {type(value).__name__}")


def check_limits(body: dict[str, Any]) -> None:
    """What Oracle's pages and ADS say of sizes; the description's limit is an assumption."""
    metadata = body.get("customMetadataList", []) + body.get("definedMetadataList", [])
    total = 0
    for item in metadata:
        total += sum(len(str(item.get(k) or "").encode()) for k in ("key", "value", "description"))
        too_long = len(item.get("value") or "") > 16_000 or len(item.get("description") or "") > 255
        if too_long or not item.get("key") or item.get("category") not in _CATEGORIES:
            raise RefusedError(400, "InvalidParameter", f"metadata {item.get('key')}")
    if total > 32_000:
        raise RefusedError(400, "LimitExceeded", f"{total} bytes of metadata")
    if len(body.get("displayName", "")) > 255 or len(body.get("description", "")) > 1000:
        raise RefusedError(400, "InvalidParameter", "displayName or description is too long")
    tags = body.get("freeformTags", {})
    if len(tags) > 10 or any(not _TAG_KEY.match(k) or len(v) > 256 for k, v in tags.items()):
        raise RefusedError(400, "InvalidParameter", "freeformTags")
