"""A card and a manifest for somebody else's version, kept in tags of MLflow's own.

They are cut into chunks below the narrowest column of MLflow's databases, under keys that carry
the manifest's digest. The tag with the digest comes last and is the commit: a reader sees the old
card or the new one. Chunks that no digest points to are nobody's, and go with the next adoption.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, BinaryIO

from catalog.card import CARD_FILE
from catalog.errors import CatalogError, NotFound, StoreError
from catalog.manifest import MANIFEST_FILE, Manifest
from catalog_mlflow._edge import Edge
from catalog_mlflow._registry import ADOPTED, Located
from catalog_mlflow._staging import MANIFEST_TAG

_CHUNK = 4500  # characters; 5000 fit everywhere
_MAX_CHUNKS = 200
_KEPT = (CARD_FILE, MANIFEST_FILE)


def keep(client: Any, edge: Edge, located: Located, manifest: Manifest, card: bytes) -> None:
    """Write the chunks, then the digest, then sweep what older cards left.

    Raises
    ------
    StoreError
        The card and the manifest are too large for tags.
    """
    name, number = located.version.name, str(located.version.version)
    texts = {CARD_FILE: card.decode("utf-8"), MANIFEST_FILE: manifest.to_bytes().decode()}
    wanted = {
        _key(manifest.digest, path, index): text[start : start + _CHUNK]
        for path, text in texts.items()
        for index, start in enumerate(range(0, len(text), _CHUNK))
    }
    if len(wanted) > _MAX_CHUNKS:
        raise StoreError(
            f"{name}@{number}: card and manifest are too large for tags of MLflow "
            f"({len(wanted)} of {_CHUNK} characters, at most {_MAX_CHUNKS})",
            "shorten the card's description, or publish a copy: catalog publish FOLDER",
        )
    for key, text in wanted.items():
        edge.call(client.set_model_version_tag, name, number, key, text)
    edge.call(client.set_model_version_tag, name, number, MANIFEST_TAG, manifest.digest)
    for key in located.tags:
        if key.startswith(ADOPTED) and key not in wanted:
            try:
                edge.call(client.delete_model_version_tag, name, number, key)
            except CatalogError:
                break  # garbage only
    # Tags move no time; the description, written as it is, does: others learn of it.
    edge.call(client.update_model_version, name, number, located.description)


def open_kept(located: Located, path: str) -> BinaryIO:
    """One of the two files, from the tags.

    Raises
    ------
    NotFound
    """
    parts: list[str] = []
    while (key := _key(located.version.digest, path, len(parts))) in located.tags:
        parts.append(located.tags[key])
    if not parts:
        raise NotFound(f"{located.version.name}@{located.version.version}: no {path} in its tags")
    return io.BytesIO("".join(parts).encode())


def is_kept(tags: Mapping[str, str], digest: str, path: str) -> bool:
    """Whether this file of a version is read from its tags."""
    return path in _KEPT and _key(digest, path, 0) in tags


def _key(digest: str, path: str, index: int) -> str:
    short = digest.removeprefix("sha256:")[:16]
    return f"{ADOPTED}{short}/{path}/{index:03}"
