"""The engine: ONNX Runtime sessions behind names and versions. Knows nothing of HTTP."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from catalog.errors import BadFile, MissingExtra, NotFound, UsageError
from catalog.testvectors import MODEL_FILE
from registry_server.errors import RunFailed, quoted
from registry_server.tensors import Array, Limits, Tensor, check_inputs, check_outputs, describe

_T = TypeVar("_T")


class Servable(Protocol):
    """One version on this machine's disk, verified: what `catalog.pull` returns."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> int: ...  # noqa: D102
    @property
    def digest(self) -> str: ...  # noqa: D102
    @property
    def folder(self) -> Path: ...  # noqa: D102


@dataclass(frozen=True)
class Model:
    """One loaded version."""

    name: str
    version: int
    digest: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    session: Any
    limits: Limits

    @property
    def ref(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    def infer(self, inputs: Mapping[str, Array], wanted: Sequence[str] = ()) -> dict[str, Array]:
        """Run the model. Safe to call from many threads at once: a session needs no lock.

        Parameters
        ----------
        wanted : names of outputs, in the order they shall have; none = all
        """
        known = {tensor.name: tensor for tensor in self.outputs}
        for name in wanted:
            if name not in known:
                gives = ", ".join(map(quoted, known))
                raise UsageError(f"unknown output {quoted(name)}", f"this model gives {gives}")
        names = list(wanted or known)
        sizes = check_inputs(inputs, self.inputs, self.limits)
        check_outputs([known[name] for name in names], sizes, self.limits)
        try:
            values = self.session.run(names, dict(inputs))
        except Exception as exc:
            raise RunFailed(
                f"{self.ref} failed on these inputs; their names, datatypes and shapes are right",
                "check the values, or try one row at a time",
            ) from exc
        return dict(zip(names, values, strict=True))


class Engine:
    """The models being served, and the threads that run them."""

    def __init__(self, limits: Limits | None = None, threads: int | None = None) -> None:
        self.limits = limits or Limits()
        self._threads = threads or _usable_cores()
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="engine")
        # Replaced as a whole, never changed: readers need no lock.
        self._models: Mapping[str, Mapping[int, Model]] = {}

    def load(self, version: Servable) -> Model:
        """Load one version; loading the same version twice keeps the first.

        Raises
        ------
        BadFile, MissingExtra, UsageError
        """
        versions = self._models.get(version.name, {})
        loaded = versions.get(version.version)
        if loaded is not None:
            if loaded.digest != version.digest:
                raise UsageError(
                    f"two different models are called {loaded.ref}:"
                    f" {loaded.digest} and {version.digest}",
                    "serve one of them, or each with its own `catalog serve --port`",
                )
            return loaded
        session = _open(version.folder / MODEL_FILE, self._threads)
        model = Model(
            version.name,
            version.version,
            version.digest,
            tuple(describe(value) for value in session.get_inputs()),
            tuple(describe(value) for value in session.get_outputs()),
            session,
            self.limits,
        )
        self._models = {**self._models, model.name: {**versions, model.version: model}}
        return model

    def find(self, name: str, version: str | None = None) -> Model:
        """The model to use; without a version the newest that is loaded."""
        versions = self._models.get(name)
        if not versions:
            raise NotFound(f"Request for unknown model: {quoted(name)} is not found")
        if version is None:
            return versions[max(versions)]
        # isascii: isdigit() also accepts digits of other scripts, which int() then reads.
        if version.isascii() and version.isdigit() and len(version) < 10:
            model = versions.get(int(version))
            if model is not None and str(model.version) == version:
                return model
        known = ", ".join(str(number) for number in sorted(versions))
        raise NotFound(
            f"Request for unknown model: {quoted(name)} version {quoted(version)} is not found",
            f"versions served: {known}",
        )

    def models(self) -> list[Model]:
        """Every loaded version, by name and number."""
        found = [model for versions in self._models.values() for model in versions.values()]
        return sorted(found, key=lambda model: (model.name, model.version))

    async def in_thread(self, work: Callable[..., _T], *args: Any) -> _T:
        """Await `work(*args)` on one of the engine's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)

    def close(self) -> None:
        """Finish what runs, drop what waits, forget every model."""
        self._pool.shutdown(cancel_futures=True)
        self._models = {}
        _give_back_memory()


def _usable_cores() -> int:
    # On a batch node the process may own fewer cores than the machine has.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _open(path: Path, threads: int) -> Any:
    try:
        import onnxruntime as ort
    except ImportError as exc:
        raise MissingExtra("cpu", "serving a model") from exc
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    # Every session has its own threads; spinning, they would burn the cores between requests.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # failures are raised; the server logs them once
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as exc:
        raise BadFile(
            f"{path.name}: ONNX Runtime cannot load it: {exc}",
            "check that it runs before publishing it: catalog publish FOLDER",
        ) from exc


def _give_back_memory() -> None:
    # glibc keeps freed weights for itself: 15 unloaded 23 MB models held 763 MB without this.
    if hasattr(os, "confstr") and "CS_GNU_LIBC_VERSION" in os.confstr_names:
        ctypes.CDLL(None).malloc_trim(0)
