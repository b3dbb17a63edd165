"""What a model's own metadata hold: who published what, and the card of an adopted version."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from itertools import count
from typing import Any, Literal, get_args

from pydantic import ValidationError

from catalog.card import MAX_CARD
from catalog.domain import TensorSpec
from catalog.errors import BadFile, NotFound, StoreError
from catalog.manifest import MAX_MANIFEST, Manifest
from catalog.stores.protocol import Foreign

_OURS = "catalog."
_TOTAL = 32_000  # bytes of all metadata of a model (oracle-ads 2.16, validate_size)
_VALUE = 15_000  # characters; the service takes 16,000
_TAG, _TAGS = 1_000, 8_000  # characters of one publish tag, and of all
_MAX_TENSORS = 1000
_DTYPES = frozenset(get_args(TensorSpec.model_fields["dtype"].annotation))


def item(key: str, value: str) -> Any:
    """One piece of custom metadata; the service wants strings, and a category it knows."""
    from oci.data_science.models import Metadata

    return Metadata(key=f"{_OURS}{key}", value=value, category="Other")


def describe(tags: Mapping[str, str], digest: str) -> list[Any]:
    """Metadata for people who look with Oracle's own tools; never none at all.

    `oracle-ads` cannot download the artifact of a model that has none.
    """
    items, used = [item("manifest", digest)], 0
    for key, value in sorted(tags.items()):
        used += len(value[:_TAG])
        if used <= _TAGS:
            items.append(item(f"tag.{key[:100]}", value[:_TAG]))
    return items


def with_items(model: Any, items: list[Any]) -> list[Any]:
    """A model's custom metadata with ours added or replaced, by key.

    Raises
    ------
    StoreError
        There is no room.
    """
    keys = {it.key for it in items}
    kept = [it for it in model.custom_metadata_list or [] if it.key not in keys]
    found = kept + items
    everything = found + list(model.defined_metadata_list or [])
    size = sum(len(str(v or "").encode()) for it in everything for v in (it.key, it.value))
    if size > _TOTAL - 1000:  # the service counts categories and descriptions, too
        raise StoreError(
            f"OCI has room for {_TOTAL:,} bytes of metadata of a model, this would be {size:,}",
            "shorten the card, or publish the model with it: catalog publish FOLDER",
        )
    return found


def adoption(model: Any, manifest: Manifest, card: bytes) -> list[Any]:
    """A model's metadata with a card and a manifest in place of those it had."""
    items = _split("card", card) + _split("manifest", manifest.to_bytes())
    items.append(item("digest", manifest.digest))
    keys = (f"{_OURS}card.", f"{_OURS}manifest.")
    model.custom_metadata_list = [
        it for it in model.custom_metadata_list or [] if not str(it.key).startswith(keys)
    ]
    return with_items(model, items)


def adopted(model: Any, what: Literal["card", "manifest"]) -> bytes:
    """The card or the manifest that a model was given.

    Raises
    ------
    NotFound, BadFile
    """
    told = {str(it.key): str(it.value) for it in model.custom_metadata_list or []}
    keys = (f"{_OURS}{what}.{number}" for number in count())
    text = ""
    for key in keys:
        if key not in told:
            break
        text += told[key]
    if not text:
        raise NotFound(f"{model.display_name}: its {what} is gone from its metadata")
    limit = max(MAX_CARD, MAX_MANIFEST) + 1
    try:
        return zlib.decompressobj().decompress(base64.b64decode(text, validate=True), limit)
    except (ValueError, zlib.error) as exc:
        raise BadFile(f"{model.display_name}: its {what} in the metadata is damaged") from exc


def _split(what: str, data: bytes) -> list[Any]:
    text = base64.b64encode(zlib.compress(data, 9)).decode()
    chunks = [text[at : at + _VALUE] for at in range(0, len(text), _VALUE)]
    return [item(f"{what}.{number}", chunk) for number, chunk in enumerate(chunks)]


def tell(model: Any) -> Foreign:
    """What a model's records tell of it: taxonomy, tags, schemas, read as data."""
    taxonomy = {str(it.key): _plain(it.value) for it in model.defined_metadata_list or []}
    told = {str(it.key): _plain(it.value) for it in model.custom_metadata_list or []}
    told = {key: value for key, value in told.items() if not key.startswith(_OURS)}
    return Foreign(
        framework=taxonomy.get("Framework", ""),
        description=str(model.description or ""),
        inputs=_tensors(model.input_schema, "features"),
        outputs=_tensors(model.output_schema, "prediction"),
        tags=told | {k: v for k, v in taxonomy.items() if v} | dict(model.freeform_tags or {}),
    )


def _plain(value: object) -> str:
    """A value as text; `oracle-ads` writes JSON strings."""
    text = str(value or "")
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _tensors(text: object, role: str) -> tuple[TensorSpec, ...]:
    """The columns of a schema as `oracle-ads` writes it; what a card could not say is left out."""
    try:
        document = json.loads(str(text)) if text else {}
    except (ValueError, RecursionError):
        return ()
    columns = document.get("schema") if isinstance(document, dict) else None
    found = []
    for column in columns[:_MAX_TENSORS] if isinstance(columns, list) else ():
        dtype = str(column.get("dtype")) if isinstance(column, dict) else ""
        if dtype not in _DTYPES:
            continue
        fields = {"name": str(column.get("name"))[:200], "dtype": dtype, "shape": [-1]}
        try:
            found.append(TensorSpec.model_validate(fields | {"role": role}))
        except ValidationError:
            continue
    return tuple(found)
