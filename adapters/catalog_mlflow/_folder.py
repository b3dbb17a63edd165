"""The artifact folder of one version: on this machine's disk, or in a bucket MLflow knows."""

from __future__ import annotations

import os
import posixpath
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from catalog.errors import BadFile, NotFound, StoreError
from catalog.manifest import Entry, copy_verified, hash_stream
from catalog.streams import Flushing
from catalog_mlflow._edge import Edge, folder_error


class Folder(Protocol):
    """Where the files of one version lie. Paths come from a checked manifest."""

    def put(self, entry: Entry, source: BinaryIO) -> None:
        """Store exactly the bytes that `entry` promises, all of them or none."""
        ...

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Open one file for reading."""
        ...

    def sizes(self, paths: Iterable[str]) -> dict[str, int]:
        """The sizes of those that are there."""
        ...

    def damaged(self, entries: Iterable[Entry]) -> list[Entry]:
        """Those of the right size and wrong bytes, where looking costs no download."""
        ...

    def files(self) -> list[tuple[str, int]]:
        """(path, size) of every file, by path.

        Raises
        ------
        BadFile
            There are more than a version can have.
        """
        ...


class LocalFolder:
    """A folder on this machine. A file appears complete, under its name, or not at all."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, entry: Entry, source: BinaryIO) -> None:
        """Copy to a unique name beside the target, flush to the disk, rename."""
        target = self._root / entry.path
        # Asked for each time: a process that was forked has another pid than at the import.
        temp = target.with_name(f".{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _sweep(target.parent)
            with temp.open("xb") as file:
                sink = Flushing(file)
                copy_verified(source, sink, entry)
                sink.sync()
            temp.replace(target)
            _sync_folder(target.parent)
        except OSError as exc:
            raise folder_error(exc, str(target.parent)) from exc
        finally:
            temp.unlink(missing_ok=True)

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """Open a plain file that lies inside the folder; a link out of it is refused."""
        target = self._root / path
        try:
            if not target.resolve(strict=True).is_relative_to(self._root.resolve()):
                raise NotFound(f"{target}: leads out of the version's folder")
            file = target.open("rb")
        except FileNotFoundError as exc:
            raise NotFound(f"{target}: no such file") from exc
        except OSError as exc:
            raise folder_error(exc, str(target)) from exc
        with file:
            yield file

    def sizes(self, paths: Iterable[str]) -> dict[str, int]:
        """Ask the file system."""
        found = {}
        for path in paths:
            target = self._root / path
            if target.is_file():
                found[path] = target.stat().st_size
        return found

    def damaged(self, entries: Iterable[Entry]) -> list[Entry]:
        """Read them all."""
        found = []
        for entry in entries:
            try:
                with self.open(entry.path) as file:
                    intact = hash_stream(file) == (entry.digest, entry.size)
            except (NotFound, StoreError):
                intact = False
            if not intact:
                found.append(entry)
        return found

    def files(self) -> list[tuple[str, int]]:
        """Plain files only; links are neither followed nor listed."""
        found = []
        for parent, _, names in os.walk(self._root):
            for name in names:
                path = Path(parent) / name
                if path.is_file() and not path.is_symlink():
                    found.append((path.relative_to(self._root).as_posix(), path.stat().st_size))
            check_count(len(found))
        return sorted(found)


class BucketFolder:
    """A folder in object storage that the server names, reached with the user's own keys.

    MLflow's artifact repositories move whole files, so that each goes through a temporary one.
    """

    def __init__(self, uri: str, edge: Edge) -> None:
        self._uri = uri
        self._edge = edge

    def put(self, entry: Entry, source: BinaryIO) -> None:
        """Verify into a temporary file, then let MLflow send it."""
        parent, name = posixpath.split(entry.path)
        with tempfile.TemporaryDirectory() as scratch:
            temp = Path(scratch) / name
            with temp.open("wb") as sink:
                copy_verified(source, sink, entry)
            self._edge.call(self._repository().log_artifact, str(temp), parent or None)

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """Fetch to a temporary file that goes when the reader is done."""
        with tempfile.TemporaryDirectory() as scratch:
            target = self._edge.call(self._repository().download_artifacts, path, scratch)
            with Path(target).open("rb") as file:
                yield file

    def sizes(self, paths: Iterable[str]) -> dict[str, int]:
        """List each sub-folder once."""
        wanted = set(paths)
        found = {}
        for parent in sorted({posixpath.dirname(path) for path in wanted}):
            for info in self._edge.call(self._repository().list_artifacts, parent or None):
                if info.path in wanted and not info.is_dir:
                    found[info.path] = int(info.file_size or 0)
        return found

    def damaged(self, entries: Iterable[Entry]) -> list[Entry]:
        """Unknown: it would have to fetch them."""
        return []

    def files(self) -> list[tuple[str, int]]:
        """List every sub-folder."""
        return walk(self._list)

    def _list(self, parent: str) -> list[tuple[str, int | None]]:
        infos = self._edge.call(self._repository().list_artifacts, parent or None)
        return [(str(i.path), None if i.is_dir else int(i.file_size or 0)) for i in infos]

    def _repository(self) -> Any:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return self._edge.once(get_artifact_repository, self._uri)


def walk(listing: Callable[[str], list[tuple[str, int | None]]]) -> list[tuple[str, int]]:
    """Every file below a folder, from one that lists a sub-folder: (path, size or None: a folder).

    Raises
    ------
    BadFile
        There are more than a version can have, or a sub-folder that is not below its parent.
    """
    found, waiting, asked = [], [""], 0
    while waiting:
        parent = waiting.pop()
        asked += 1
        for path, size in listing(parent):
            if not path.startswith(f"{parent}/" if parent else "") or path == parent:
                raise BadFile(f"{path[:200]!r} is listed in the folder {parent[:200]!r}")
            if size is None:
                waiting.append(path)
            else:
                found.append((path, size))
        check_count(max(len(found), asked + len(waiting)))
    return sorted(found)


def check_count(files: int) -> None:
    """Refuse more files than a version can have.

    Raises
    ------
    BadFile
    """
    if files > _MAX_FILES:
        raise BadFile(f"more than {_MAX_FILES} files", "a version of the catalog has fewer")


_MAX_FILES = 1000


def _sweep(folder: Path) -> None:
    """Remove what a killed process of this machine left half-written."""
    host = socket.gethostname()
    for part in folder.glob(f".{host}-*.part"):
        pid = part.name.removeprefix(f".{host}-").partition("-")[0]
        if pid.isdigit() and not _is_alive(int(pid)):
            part.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut; not every file system can."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        return
    finally:
        os.close(handle)
