"""ONNX Runtime sessions, and the memory that they hold."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import Any

from catalog.errors import BadFile, MissingExtra


def usable_cores() -> int:
    """Cores that this process may use: on a batch node fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def runtime() -> Any:
    """The module `onnxruntime`.

    Raises
    ------
    MissingExtra
    """
    try:
        import onnxruntime as ort
    except ImportError as exc:
        raise MissingExtra("cpu", "serving a model") from exc
    return ort


def open_session(path: Path, threads: int) -> Any:
    """Open a model on `threads` cores of the CPU.

    Raises
    ------
    MissingExtra, BadFile
    """
    ort = runtime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    # Every session has its own threads; spinning, they would burn the cores between requests.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The arena keeps the memory of the largest batch ever run: 24 MB for a model that needs 1 MB.
    # Without it a run took as long (3-D generator, 1 and 32 rows).
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4  # failures are raised; the server logs them once
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as exc:
        raise BadFile(
            f"{path.name}: ONNX Runtime cannot load it: {exc}",
            "check that it runs before publishing it: catalog publish FOLDER",
        ) from exc


def held_bytes() -> int:
    """Bytes that this process holds: what its allocator has given out, else its resident size.

    Read before and after, it is the size of a session to within 1 %; files are no measure of it
    (constants folded at load made 21 MB of a file of 1.2 MB).
    """
    mallinfo = _mallinfo()
    if mallinfo is not None:
        it = mallinfo()
        return int(it.uordblks + it.hblkhd)
    try:
        with Path("/proc/self/statm").open(encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def give_back_memory() -> None:
    """Return freed memory to the system.

    glibc keeps freed weights for itself: 15 unloaded 23 MB models held 763 MB without this.
    """
    if _is_glibc():
        ctypes.CDLL(None).malloc_trim(0)


class _MallInfo(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd",
            "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    )  # fmt: skip


@cache
def _mallinfo() -> Any:
    """`mallinfo2` of glibc 2.33 or newer, over all its arenas; None elsewhere."""
    function = getattr(ctypes.CDLL(None), "mallinfo2", None) if _is_glibc() else None
    if function is not None:
        function.restype = _MallInfo
    return function


def _is_glibc() -> bool:
    return hasattr(os, "confstr") and "CS_GNU_LIBC_VERSION" in os.confstr_names
