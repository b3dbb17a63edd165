"""The fingerprint of whatever a user names: a shower file, a fingerprint, a folder, a reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from catalog.errors import NotFound, UsageError
from catalog.fingerprint.file import FINGERPRINT_FILE, Kept, read_kept
from catalog.fingerprint.sums import fingerprint
from catalog.fingerprint.version import record_samples
from catalog.index import open_index
from catalog.pull import read_folder, resolve
from catalog.refs import parse_ref
from catalog.settings import Settings
from catalog.showers.showerfile import open_showers
from catalog.stores import open_named
from catalog.sync import fetch_kept
from catalog.validate import SHOWER_FILES


def find_kept(subject: str, settings: Settings, record: bool = False, **asked: Any) -> Kept:
    """Take a fingerprint, or fetch the one that is kept.

    Parameters
    ----------
    subject : a shower file (by its suffix, or a '/' in its path), a `.npz`, a version folder (with
        a '/') or a reference
    record : take that of a folder's model and keep it there
    asked : what `open_showers` is asked of a shower file

    Raises
    ------
    NotFound
        The version keeps none.
    """
    path = Path(subject)
    if record and not ("/" in subject and path.is_dir()):
        raise UsageError(
            f"--record needs a version folder, not {subject}",
            f"catalog pull {subject} --out FOLDER" if "/" not in subject else "",
        )
    if record:
        return record_samples(read_folder(path))
    if path.suffix.lower() == ".npz":
        return read_kept(path)
    if path.suffix.lower() in SHOWER_FILES or ("/" in subject and path.is_file()):
        return Kept(data=fingerprint(open_showers(path, **asked)))
    if "/" in subject:
        return _of_folder(path)
    with open_index(settings) as index:
        version = resolve(subject, index, settings.store)
    store = open_named(parse_ref(subject).store or settings.store)
    found = fetch_kept(store, version) if version.digest else None
    if found is None:
        raise NotFound(
            f"{version.name}@{version.version} keeps no fingerprint",
            f"take one of a folder of it: catalog pull {version.name} --out FOLDER; "
            "catalog fingerprint FOLDER/ --record",
        )
    return found


def _of_folder(folder: Path) -> Kept:
    path = read_folder(folder).folder / FINGERPRINT_FILE
    if not path.is_file():
        raise NotFound(
            f"{folder} keeps no fingerprint", f"take one: catalog fingerprint {folder}/ --record"
        )
    return read_kept(path)
