"""What the service answers: every method but those that run a model is one delegation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.metadata import version as installed_version
from typing import Any, NamedTuple

from catalog.errors import NotFound
from registry_server import describe
from registry_server.engine import Engine
from registry_server.errors import Busy, LoadFailed, NoRoom, Unsupported, quoted

Answer = dict[str, Any]


class Method(NamedTuple):
    """`path` is where HTTP has the same: what it needs is in the policy table, by its beginning."""

    path: str
    work: Callable[[Engine, Any], Awaitable[Answer]]


async def _live(_: Engine, __: Any) -> Answer:
    return {"live": True}


async def _ready(_: Engine, __: Any) -> Answer:
    return {"ready": True}  # the models of the command line are loaded before the server listens


async def _model_ready(engine: Engine, asked: Any) -> Answer:
    try:
        await engine.model(asked.name, asked.version or None)
    except (NotFound, LoadFailed, NoRoom, Busy):
        return {"ready": False}
    return {"ready": True}


async def _server_metadata(_: Engine, __: Any) -> Answer:
    version = installed_version(describe.NAME)
    return {"name": describe.NAME, "version": version, "extensions": describe.EXTENSIONS}


async def _model_metadata(engine: Engine, asked: Any) -> Answer:
    model = await engine.model(asked.name, asked.version or None)
    versions = [found.version for found, _ in await engine.index(model.name)]
    return describe.metadata(model, versions)


async def _model_config(engine: Engine, asked: Any) -> Answer:
    return {"config": describe.config(await engine.model(asked.name, asked.version or None))}


async def _model_statistics(engine: Engine, asked: Any) -> Answer:
    version = None
    if asked.name:
        found = await engine.find(asked.name, asked.version or None)
        version = found.version if asked.version else None
    return describe.statistics(engine.statistics(asked.name or None, version), engine.models())


async def _index(engine: Engine, asked: Any) -> Answer:
    _one_repository(asked)
    rows = await engine.index()
    return {
        "models": [describe.index_entry(it, why) for it, why in rows if not (asked.ready and why)]
    }


async def _load(engine: Engine, asked: Any) -> Answer:
    _one_repository(asked)
    if asked.parameters:
        raise Unsupported(
            f"a model cannot be loaded with {quoted(min(asked.parameters))}",
            "publish it: catalog publish FOLDER",
        )
    await engine.load(asked.model_name)
    return {}


async def _unload(engine: Engine, asked: Any) -> Answer:
    _one_repository(asked)  # `unload_dependents`: no model here depends on another
    engine.unload(asked.model_name)
    return {}


def _one_repository(asked: Any) -> None:
    if asked.repository_name:
        raise Unsupported("this server has one repository", "leave repository_name empty")


METHODS = {
    "ServerLive": Method("/v2/health/live", _live),
    "ServerReady": Method("/v2/health/ready", _ready),
    "ServerMetadata": Method("/v2", _server_metadata),
    "ModelReady": Method("/v2/models/{name}/ready", _model_ready),
    "ModelMetadata": Method("/v2/models/{name}", _model_metadata),
    "ModelConfig": Method("/v2/models/{name}/config", _model_config),
    "ModelStatistics": Method("/v2/models/{name}/stats", _model_statistics),
    "RepositoryIndex": Method("/v2/repository/index", _index),
    "RepositoryModelLoad": Method("/v2/repository/models/{name}/load", _load),
    "RepositoryModelUnload": Method("/v2/repository/models/{name}/unload", _unload),
}
# Triton's, which nobody needs here: shared memory would let a client name memory of this machine.
UNSERVED = (
    *(f"{kind}SharedMemory{verb}" for kind in ("System", "Cuda") for verb in
      ("Status", "Register", "Unregister")),
    "TraceSetting",
    "LogSettings",
)  # fmt: skip
