"""Aliases are MLflow's own: `mlflow ui` shows them, and whoever uses MLflow alone may set them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from catalog.errors import NotFound
from catalog.stores.protocol import Alias
from catalog_mlflow._edge import Edge

_PAGE = 100


def list_aliases(client: Any, edge: Edge, name: str | None = None) -> list[Alias]:
    """Every alias, by model and alias. What is no version number is left out: it leads nowhere."""
    found = [alias for model in _models(client, edge, name) for alias in aliases_of(model)]
    return sorted(found, key=lambda it: (it.name, it.alias))


def aliases_of(model: Any) -> list[Alias]:
    """The aliases of a registered model as MLflow gave it; none of None."""
    found = []
    for alias, version in dict(model.aliases or {}).items() if model else ():
        number = str(version)
        if number.isascii() and number.isdigit() and len(number) < 10:
            found.append(Alias(str(model.name), str(alias), int(number)))
    return found


def set_alias(client: Any, edge: Edge, name: str, alias: str, version: int) -> None:
    """Set or move it: one row of one table, so it means the old version or the new one.

    Raises
    ------
    NotFound
        MLflow knows no such version.
    """
    # Asked first, because servers differ in how they refuse what is not there.
    try:
        edge.call(client.get_model_version, name, str(version))
    except NotFound as exc:
        raise NotFound(
            f"no version {name}@{version} in this store", f"catalog show {name}"
        ) from exc
    edge.call(client.set_registered_model_alias, name, alias, str(version))


def remove_alias(client: Any, edge: Edge, name: str, alias: str) -> None:
    """Remove it; the versions stay.

    Raises
    ------
    NotFound
    """
    if alias not in (it.alias for it in list_aliases(client, edge, name)):
        raise NotFound(f"{name} has no alias {alias!r}", f"see them: catalog alias {name}")
    edge.call(client.delete_registered_model_alias, name, alias)


def _models(client: Any, edge: Edge, name: str | None) -> Iterator[Any]:
    if name is not None:
        try:
            yield edge.call(client.get_registered_model, name)
        except NotFound:
            return
        return
    yield from edge.paged(client.search_registered_models, max_results=_PAGE)
