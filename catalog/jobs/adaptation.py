"""An adaptation as a Job: everything it needs in one folder, and the same `catalog adapt` there."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from catalog.adapt.adapt import child_name
from catalog.errors import cannot_write
from catalog.jobs.job import Blob, Job
from catalog.jobs.launcher import Launcher
from catalog.jobs.node import JOB_FILE
from catalog.jobs.runs import RESULT_FILE, Run, new_run, submit
from catalog.manifest import hash_stream
from catalog.pull import Pulled
from catalog.showers import ShowerSet
from catalog.streams import clone

CHILD = "child"
_PARENT = "parent"


@dataclass(frozen=True)
class Asked:
    """What to ask a place for."""

    on: str
    nodes: int = 1
    devices: int = 1
    device: str | None = None
    time_limit: str | None = None


def stage(
    home: Path, parent: Pulled, target: ShowerSet, data: Path, words: Sequence[str | Path],
    asked: Asked, launcher: Launcher, publish: bool,
) -> Run:  # fmt: skip
    """A run's folder with parent, job and the engine's own files in it; nothing is started.

    Parameters
    ----------
    words : further options of `catalog adapt`; a Path is a file that the job must be able to read
    """
    name = child_name(parent, target)
    run = new_run(home, name, asked.on, f"adapt {parent.ref} to {target.detector.name}", publish)
    folder = run.folder
    try:
        shutil.copytree(parent.folder, folder / _PARENT, copy_function=_clone)
        command = [
            "torchrun", "-m", "catalog", "adapt", f"{_PARENT}/", "--parent-ref", parent.ref,
            "--data", _reach(data, folder, launcher.shared),
            *(_reach(word, folder, launcher.shared) if isinstance(word, Path) else word
              for word in words),
            "--out", CHILD, "--result", RESULT_FILE, "--resume",
        ]  # fmt: skip
        with data.open("rb") as file:
            digest, size = hash_stream(file)
        job = Job(
            name=name.lower(), about=run.what, command=tuple(command), nodes=asked.nodes,
            devices=asked.devices, device=asked.device, time_limit=asked.time_limit,
            inputs=(Blob(path=str(data), digest=digest, gb=size / 1e9),),
        )  # fmt: skip
        files = {JOB_FILE: yaml.safe_dump(job.model_dump(mode="json", exclude_defaults=True))}
        for name, text in (files | launcher.spec(job, folder)).items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as exc:
        shutil.rmtree(folder, ignore_errors=True)
        raise cannot_write(folder, exc) from exc
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return run


def launch(run: Run, launcher: Launcher) -> Run:
    """Start it; a place that refuses leaves no run behind."""
    try:
        return submit(run, launcher)
    except BaseException:
        shutil.rmtree(run.folder, ignore_errors=True)
        raise


def _clone(source: str, target: str) -> None:
    clone(Path(source), Path(target))


def _reach(path: Path, folder: Path, shared: bool) -> str:
    """A path by which the job finds a file: where it is, or a copy that travels with the job."""
    if shared:
        return str(path.absolute())
    place = folder / "inputs" / path.name
    place.parent.mkdir(exist_ok=True)
    clone(path, place)
    return str(place.relative_to(folder))
