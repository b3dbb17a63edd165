"""Look at this installation as somebody who helps would: what is there, what works, what to type.

Nothing is changed but the index, which opening creates. No secret is read into a line: of a store
only its name and what its check says.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from catalog.errors import CatalogError
from catalog.index import open_index
from catalog.settings import Settings, load_settings
from catalog.store_check import CLOCK_LIMIT, all_stores, check_all
from catalog.store_names import EMBEDDED, StoreNames
from catalog.text import first_line, table

State = Literal["ok", "warning", "failed"]

# What each extra brings; the verbs that need an absent one name it.
_EXTRAS = {
    "cpu or gpu": ("onnxruntime", "onnxruntime-gpu"), "mlflow": ("mlflow",), "oci": ("oracle-ads",),
    "train": ("torch",), "serve": ("fastapi",), "plot": ("matplotlib",), "sign": ("model-signing",),
    "root": ("uproot",), "postgres": ("psycopg",), "client": ("tritonclient",),
}  # fmt: skip
_NEEDED = "cpu or gpu"  # nothing is validated, published or probed without it
_PYTHONS = ((3, 11), (3, 14))
_LITTLE = 2_000_000_000  # bytes: less than a large model and its copy


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, how it is, and what to type next ("" if nothing)."""

    what: str
    state: State
    words: str
    next: str = ""


def examine() -> list[Finding]:
    """Look at everything; whatever fails does not keep the rest from being looked at."""
    try:
        settings = load_settings()
    except CatalogError:  # the list of stores cannot be read: told where stores are looked at
        settings = load_settings(StoreNames())
    looks: tuple[tuple[str, Callable[[], list[Finding]]], ...] = (
        ("Python", _python),
        ("extras", _extras),
        ("ONNX Runtime", _runtime),
        ("data folder", lambda: [_folder("data folder", settings.home, "CATALOG_HOME")]),
        ("cache folder", lambda: [_folder("cache folder", settings.cache, "CATALOG_CACHE")]),
        ("index", lambda: [_index(settings)]),
        ("stores", lambda: _stores(settings)),
    )
    found: list[Finding] = []
    for what, look in looks:
        try:
            found += look()
        except CatalogError as exc:
            found.append(Finding(what, "failed", exc.message, exc.hint))
        except Exception as exc:  # noqa: BLE001  a broken library is what a doctor is for
            found.append(Finding(what, "failed", f"{type(exc).__name__}: {first_line(exc)}"))
    return found


def _python() -> list[Finding]:
    shown = ".".join(str(part) for part in sys.version_info[:3])
    if _PYTHONS[0] <= sys.version_info[:2] < _PYTHONS[1]:
        return [Finding("Python", "ok", f"{shown}, hep-model-catalog {_installed(_OURS)}")]
    return [Finding("Python", "failed", f"{shown}: 3.11 to 3.13 is needed", "python3.11 -m venv")]


_OURS = ("hep-model-catalog",)


def _installed(names: Sequence[str]) -> str:
    """The version of the first that is there; "" if none is."""
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return ""


def _extras() -> list[Finding]:
    found = []
    for extra, names in _EXTRAS.items():
        there = _installed(names)
        if there:
            found.append(Finding(f"extra {extra}", "ok", f"{names[0]} {there}"))
            continue
        state: State = "warning" if extra == _NEEDED else "ok"
        command = f"pip install 'hep-model-catalog[{extra.partition(' ')[0]}]'"
        found.append(Finding(f"extra {extra}", state, "not installed", command))
    return found


def _runtime() -> list[Finding]:
    if not _installed(_EXTRAS[_NEEDED]):
        return []
    import onnxruntime

    return [Finding("ONNX Runtime", "ok", ", ".join(onnxruntime.get_available_providers()))]


def _folder(what: str, path: Path, variable: str) -> Finding:
    """Whether it, or the folder in which it will be made, can be written; and how much fits."""
    there = next(it for it in (path, *path.parents) if it.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        hint = f"export {variable}=/a/folder/of/yours"
        return Finding(what, "failed", f"{path}: {there} cannot be written", hint)
    free = shutil.disk_usage(there).free
    words = f"{path}: {free / 1e9:.1f} GB free"
    if free < _LITTLE:
        return Finding(what, "warning", words, f"df -h {there}; or: export {variable}=/elsewhere")
    return Finding(what, "ok", words)


def _index(settings: Settings) -> Finding:
    with open_index(settings) as index:
        names = all_stores(settings, index)
        known = sum(index.count(name) for name in names)
        synced = [name for name in names if index.token(name)[1]]
    if known or synced:
        return Finding("index", "ok", f"{known} versions of {len(names)} store(s)")
    return Finding("index", "ok", "opens; nothing in it yet", "catalog sync")


def _stores(settings: Settings) -> list[Finding]:
    """Each store, asked as `catalog stores check` does; an absent embedded one is not made."""
    with open_index(settings) as index:
        names = all_stores(settings, index)
    asked = [it for it in names if it != EMBEDDED or (settings.home / EMBEDDED).exists()]
    return [_store(told) for told in check_all(asked)]


def _store(told: dict[str, Any]) -> Finding:
    what = f"store {told['name']}"
    if told["error"]:
        return Finding(what, "failed", told["error"], told["next"] or "")
    if abs(told["clock_ahead_s"] or 0) > CLOCK_LIMIT:
        words = f"this machine's clock is {told['clock_ahead_s']} s ahead of the server's"
        return Finding(what, "warning", words, "timedatectl set-ntp true")
    if told["problem"]:
        return Finding(what, "warning", told["problem"], f"catalog verify --all --store {what[6:]}")
    return Finding(what, "ok", f"{told['versions']} versions, {told['documented']} with a card")


def as_dict(found: Sequence[Finding]) -> dict[str, Any]:
    """The JSON of `catalog doctor`."""
    return {"healthy": healthy(found), "findings": [asdict(it) for it in found]}


def healthy(found: Sequence[Finding]) -> bool:
    """Whether nothing failed."""
    return all(it.state != "failed" for it in found)


def human(found: Sequence[Finding]) -> str:
    """One line each, and what to type below those that are not well."""
    lines = table(("WHAT", "STATE", ""), [(it.what, it.state, it.words) for it in found])
    shown = []
    for it, line in zip((None, *found), lines.splitlines(), strict=True):
        shown.append(line)
        if it and it.next and it.state != "ok":
            shown.append(f"  next: {it.next}")
    return "\n".join(shown)
