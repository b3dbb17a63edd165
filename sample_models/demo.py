"""The story behind `catalog demo`: eight steps, each one a plain command that is run as typed."""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from catalog.cli.app import build_app
from catalog.cli.out import say
from catalog.errors import CatalogError
from catalog.settings import load_settings

HERE = Path(__file__).parent
TARGET = HERE / "data" / "par04-siw-electron.h5"
SHOWERS = 300  # of the new detector, to adapt on; the others in the file stay unseen
_START_SECONDS = 60

_INTRO = """\
This demo walks the whole path on showers of full simulation (Geant4), in a few minutes: the
sample models are published to a registry on this machine, the catalog says which one fits a
detector that none of them has seen, it is adapted on {n} showers, compared with training from
scratch on the same showers, validated on showers it has not seen, published, and served. Every
figure is computed now, except the recorded runs of step 1.
"""


def run(steps: int | None) -> None:
    """Tell the story; an error of any step ends it."""
    started = time.monotonic()
    work = load_settings().home / "demo"
    adapted, scratch, report = work / "adapted", work / "scratch", work / "report.html"
    for folder in (adapted, scratch):  # our own output of an earlier demo
        shutil.rmtree(folder, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    say(_INTRO.format(n=SHOWERS))
    data = ["--data", str(TARGET)]
    used = ["--showers", str(SHOWERS)]

    _title(1, "Publish the sample models, each through the same gate as anybody's")
    for folder in sorted(path.parent for path in HERE.glob("versions/*/card.yaml")):
        _type("publish", str(folder))
    _type("runs", "--add", str(HERE / "evidence.jsonl"))
    say(f"the registry is a real MLflow one; look at it with: {_mlflow_ui()}")
    _title(2, "Find what is there for electromagnetic calorimeters")
    _type("search", "--detector", "ecal")
    _title(3, "Ask which one to adapt to a detector that none of them knows")
    best = _type("recommend", *data, *used).ranking[0].ref
    _title(4, f"Pull the best one, {best}")
    _type("pull", best)
    _title(5, f"Adapt it on {SHOWERS} showers, and train from scratch with the same compute")
    more = ["--steps", str(steps)] if steps else []
    _type("adapt", best, *data, *used, "--out", str(adapted), "--scratch", str(scratch), *more)
    _title(6, "Validate it on the showers it has not seen, and publish it as a child")
    _type("validate", str(adapted), *data, "--skip", str(SHOWERS), "--record", may_fail=True)
    _type("publish", str(adapted))
    child = _child_name(adapted)
    _type("show", child)
    _title(7, "Serve it, and ask it for showers with a Triton client")
    with _serving(child) as url:
        _python("sample_models.ask", url, child)
    _title(8, "Write the report")
    _type("report", child, *data, *used, "--scratch", str(scratch), "--out", str(report))
    say(f"\ndone in {time.monotonic() - started:.0f} s; open {report} in a browser")


def _title(number: int, text: str) -> None:
    say(f"\n{number}. {text}")


def _type(*words: str, may_fail: bool = False) -> Any:
    """Show a command and run it, in this process, exactly as if it were typed."""
    say(f"\n$ {shlex.join(['catalog', *words])}")
    result = build_app(words[0])(list(words), standalone_mode=False)
    if isinstance(result, int) and result and not may_fail:
        raise CatalogError(f"the demo stopped: catalog {words[0]} ended with exit code {result}")
    return result


def _python(module: str, *words: str) -> None:
    command = [sys.executable, "-m", module, *words]
    say(f"\n$ {shlex.join(['python', *command[1:]])}")
    if subprocess.run(command, check=False).returncode:
        raise CatalogError(f"the demo stopped: {module} failed")


def _child_name(folder: Path) -> str:
    from catalog.card import read_card

    return read_card(folder).name


def _mlflow_ui() -> str:
    database = load_settings().home / "mlflow" / "mlflow.db"
    return f"mlflow ui --backend-store-uri sqlite:///{database}"


@contextmanager
def _serving(ref: str) -> Iterator[str]:
    """`catalog serve` in a process of its own, on a free port; gives the URL."""
    words = ["serve", ref, "--port", "0"]
    say(f"\n$ {shlex.join(['catalog', *words])}")
    start = [sys.executable, "-c", "from catalog.cli import main; main()"]
    server = subprocess.Popen([*start, *words], stderr=subprocess.PIPE, text=True)
    try:
        line = server.stderr.readline() if server.stderr else ""
        say(line.strip())
        url = next((word for word in line.split() if word.startswith("http://")), None)
        if url is None:
            raise CatalogError("the server did not start", f"catalog serve {ref}")
        yield url
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(_START_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
