"""What MLflow's own records tell of a model that somebody else logged: text, read as data.

`MLmodel` names the flavors and holds the signature. Nothing it names is imported or loaded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

from pydantic import ValidationError

from catalog.domain import TensorSpec
from catalog.errors import CatalogError
from catalog.stores.protocol import Foreign
from catalog.strict_yaml import load_yaml
from catalog_mlflow._folder import Folder

_FILE = "MLmodel"
_MAX_FILE = 1_000_000  # bytes
_MAX_TENSORS = 1000
_GENERIC = ("python_function", "openai", "langchain")  # say how it is wrapped, not what it is
_DTYPES = frozenset(get_args(TensorSpec.model_fields["dtype"].annotation))
_COLUMNS = {  # of MLflow's signatures by columns
    "float": "float32", "double": "float64", "integer": "int32", "long": "int64", "boolean": "bool"
}  # fmt: skip


def tell(folder: Folder, description: str, tags: Mapping[str, str]) -> Foreign:
    """What is known; a file that is absent, too large or no MLmodel adds nothing."""
    document = _read(folder)
    flavors = document.get("flavors")
    names = [str(name)[:100] for name in flavors] if isinstance(flavors, dict) else []
    framework = next((name for name in names if name not in _GENERIC), "".join(names[:1]))
    signature = document.get("signature")
    told = signature if isinstance(signature, dict) else {}
    return Foreign(
        framework=framework,
        description=description,
        inputs=tuple(_tensors(told.get("inputs"), "features")),
        outputs=tuple(_tensors(told.get("outputs"), "prediction")),
        tags=dict(tags),
    )


def _read(folder: Folder) -> dict[str, Any]:
    try:
        with folder.open(_FILE) as file:
            data = file.read(_MAX_FILE + 1)
        document = load_yaml(data.decode("utf-8")) if len(data) <= _MAX_FILE else None
    except (CatalogError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _tensors(text: object, role: Literal["features", "prediction"]) -> Iterator[TensorSpec]:
    """The tensors of one side of a signature that a card could describe; a name may be ""."""
    try:
        columns = json.loads(str(text)) if text else []
    except (ValueError, RecursionError):
        return
    for column in columns[:_MAX_TENSORS] if isinstance(columns, list) else ():
        if not isinstance(column, dict):
            continue
        spec = column.get("tensor-spec")
        dtype, shape = _COLUMNS.get(str(column.get("type")), ""), [-1]
        if isinstance(spec, dict):
            dtype, shape = str(spec.get("dtype")), spec.get("shape") or []
        if dtype not in _DTYPES:
            continue
        name = str(column.get("name") or "")[:200]
        try:
            yield TensorSpec.model_validate(
                {"name": name, "dtype": dtype, "shape": shape, "role": role}
            )
        except ValidationError:
            continue
