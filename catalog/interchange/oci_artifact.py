"""An OCI image layout that holds one version as CNCF ModelPack describes a model.

Every file is one raw layer, so its digest there is its digest here and nothing is packed or
unpacked. https://github.com/modelpack/model-spec (docs/spec.md, v0.0.7), image-spec v1.1.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Any

from catalog.errors import BadFile, DigestMismatch
from catalog.interchange.folder import (
    Version,
    check_size,
    parse_json,
    put,
    read_small,
    take,
    write_json,
)
from catalog.manifest import Entry, Manifest, check_digest, check_path

_OCI = "application/vnd.oci.image."
_PACK = "application/vnd.cncf.model."
_INDEX, _MANIFEST = f"{_OCI}index.v1+json", f"{_OCI}manifest.v1+json"
_ARTIFACT, _CONFIG = f"{_PACK}manifest.v1+json", f"{_PACK}config.v1+json"
_PATH = "org.cncf.model.filepath"
_TITLE = "org.opencontainers.image.title"
_DIGEST = "hep-model-catalog.digest"
_KINDS = {
    ".onnx": "weight", ".data": "weight", ".safetensors": "weight", ".npz": "dataset",
    ".yaml": "weight.config", ".json": "weight.config", ".sig": "weight.config",
}  # fmt: skip


def write(version: Version, out: Path) -> None:
    """Write oci-layout, index.json and the blobs."""
    for entry in version.manifest.entries:
        put(version, entry, out / _blob(entry.digest))
    config = _put_json(out, _config(version))
    document = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "artifactType": _ARTIFACT,
        "config": {"mediaType": _CONFIG, **config},
        "layers": [_layer(entry) for entry in version.manifest.entries],
        "annotations": {_TITLE: version.ref, _DIGEST: version.digest},
    }
    descriptor = {
        "mediaType": _MANIFEST,
        "artifactType": _ARTIFACT,
        **_put_json(out, document),
        "annotations": {"org.opencontainers.image.ref.name": _tag(version)},
    }
    index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [descriptor]}
    write_json(out / "index.json", index)
    write_json(out / "oci-layout", {"imageLayoutVersion": "1.0.0"})


def read(folder: Path, out: Path) -> None:
    """Take the files of a version, every digest verified on the way.

    Raises
    ------
    BadFile
        It is no OCI layout of one model, it packs files into archives, or it names a path that
        could leave its folder.
    DigestMismatch
    """
    layout = parse_json(read_small(folder, "oci-layout"), "oci-layout")
    if layout.get("imageLayoutVersion") != "1.0.0":
        raise BadFile(f"{folder}: oci-layout is of an unknown version")
    index = parse_json(read_small(folder, "index.json"), "index.json")
    document = _read_json(folder, _chosen(folder, index))
    try:
        manifest = _files(document["layers"])
        promised = dict(document.get("annotations") or {}).get(_DIGEST)
    except (KeyError, TypeError, ValueError) as exc:
        raise BadFile(f"{folder}: its manifest is malformed: {exc!r}") from exc
    check_size(manifest, str(folder))
    if promised not in (None, manifest.digest):
        raise DigestMismatch(
            f"{folder}: its files are {manifest.digest}, but it says {str(promised)[:80]!r}",
            "it was put together anew: fetch it again from where it was exported",
        )
    for entry in manifest.entries:
        take(folder, _blob(entry.digest), entry, out)


def _chosen(folder: Path, index: dict[str, Any]) -> Entry:
    """The one model of a layout: a manifest of ModelPack's type, or the only one there is."""
    try:
        found = [dict(item) for item in index["manifests"]]
        models = [item for item in found if item.get("artifactType") == _ARTIFACT] or found
        if len(models) != 1:
            raise BadFile(f"{folder}: index.json lists {len(models)} models, not one")
        return _entry("manifest", models[0])
    except (KeyError, TypeError, ValueError) as exc:
        raise BadFile(f"{folder}: index.json is malformed: {exc!r}") from exc


def _files(layers: list[Any]) -> Manifest:
    """The files that raw layers are; a sorted manifest, as ours."""
    entries = []
    for layer in layers:
        kind = str(layer["mediaType"])
        if not kind.startswith(_PACK) or not kind.endswith(".raw"):
            raise BadFile(
                f"layer {kind[:100]!r} is an archive or of an unknown kind: only raw files of "
                "ModelPack are read",
                "pack it again with raw layers, for example: modctl build --raw",
            )
        names = dict(layer["annotations"])
        entries.append(_entry(check_path(str(names.get(_PATH) or names[_TITLE])), layer))
    ordered = sorted(entries, key=lambda entry: entry.path)
    if len({entry.path.lower() for entry in ordered}) != len(ordered):
        raise BadFile("two layers have one path")
    return Manifest(tuple(ordered))


def _entry(path: str, descriptor: dict[str, Any]) -> Entry:
    size = descriptor["size"]
    if type(size) is not int or size < 0:
        raise BadFile(f"{path}: a size of {str(size)[:40]!r}")
    return Entry(path, size, check_digest(str(descriptor["digest"])))


def _read_json(folder: Path, entry: Entry) -> dict[str, Any]:
    data = read_small(folder, _blob(entry.digest))
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != entry.digest:
        raise DigestMismatch(f"{folder}: the {entry.path} is not the one that index.json names")
    return parse_json(data, f"{folder}: {entry.path}")


def _put_json(out: Path, value: Any) -> dict[str, Any]:
    data = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    (out / _blob(digest)).write_bytes(data)
    return {"digest": digest, "size": len(data)}


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _layer(entry: Entry) -> dict[str, Any]:
    kind = _KINDS.get(PurePosixPath(entry.path).suffix.lower(), "doc")
    return {
        "mediaType": f"{_PACK}{kind}.v1.raw",
        "digest": entry.digest,
        "size": entry.size,
        "annotations": {_PATH: entry.path, _TITLE: entry.path},
    }


def _config(version: Version) -> dict[str, Any]:
    card = version.card
    descriptor = {
        "name": card.name,
        "version": version.ref.partition("@")[2],
        "family": card.family or "",
        "title": card.summary,
        "description": card.description,
        "authors": list(card.authors),
        "licenses": [card.licence],
        "sourceURL": version.uri,
        "revision": version.digest,
    }
    return {
        "descriptor": {key: value for key, value in descriptor.items() if value},
        "modelfs": {"type": "layers", "diffIds": [e.digest for e in version.manifest.entries]},
        "config": {"format": "onnx"},
    }


def _tag(version: Version) -> str:
    """What an OCI registry may call it: no '@', at most 128 characters."""
    number = version.ref.partition("@")[2] or version.digest[7:19]
    return f"{version.card.name}-{number}"[:128]
