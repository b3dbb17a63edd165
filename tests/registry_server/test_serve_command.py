"""`catalog serve`, in a process of its own."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import typer

from catalog.errors import CatalogError, UsageError
from registry_server.command import serve

# The command with a catalog that is a folder of this test.
PROGRAM = """
import sys, typer, registry_server.engine
from pathlib import Path
from tiny_models import Version
from registry_server.command import serve
from registry_server.engine import MemorySource
folder = Path(sys.argv.pop())
source = MemorySource([Version(n, 1, "sha256:" + "0" * 64, folder) for n in ("affine", "tagger")])
registry_server.engine.CatalogSource = lambda settings: source
typer.run(serve)
"""


@pytest.fixture
def start(versions, tmp_path):
    running = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        folder = str(versions["affine@1"].folder)
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments, folder],
            cwd=Path(__file__).parent,
            env={"PYTHONPATH": f"{Path(__file__).parents[2]}", "CATALOG_HOME": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_serves_and_stops_cleanly_when_told(start, number) -> None:
    process = start("affine", "tagger", "--port", "0")
    line = process.stderr.readline()
    found = re.fullmatch(
        r"serving affine@1, tagger@1 on (http://127\.0\.0\.1:\d+)"
        r" and gRPC on 127\.0\.0\.1:\d+ \(Ctrl-C stops\)\n",
        line,
    )
    assert found, line + process.stderr.read()
    with urllib.request.urlopen(f"{found[1]}/v2/models/tagger/ready") as answer:
        assert json.load(answer) == {"name": "tagger", "ready": True}
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")


def test_verbose_logs_every_request_to_stderr(start) -> None:
    process = start("affine", "--port", "0", "--verbose")
    seen = ""
    while "serving affine" not in seen:
        seen = process.stderr.readline()
        assert seen
    url = re.search(r"http://\S+", seen)[0]
    urllib.request.urlopen(f"{url}/v2/health/live").close()
    process.send_signal(signal.SIGINT)
    lines = process.communicate(timeout=20)[1].splitlines()
    (line,) = [json.loads(line) for line in lines if line.startswith("{")]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/v2/health/live", 200)


def test_a_port_in_use_is_an_error_that_names_the_port_and_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CatalogError) as caught:
            serve(["affine"], port=port)
    assert f"127.0.0.1 port {port}" in caught.value.message
    assert caught.value.hint == "take any free port with --port 0"


def test_a_host_that_is_not_ours_is_an_error() -> None:
    with pytest.raises(UsageError, match="no such address"):
        serve(["affine"], host="no such host", port=0)


def python(program: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    return done.returncode, done.stderr + done.stdout


@pytest.mark.parametrize("part", ["fastapi", "uvicorn"])
def test_without_the_extra_the_command_says_what_to_install(part: str) -> None:
    program = f"""
import sys
sys.modules[{part!r}] = None
from catalog.errors import MissingExtra
from registry_server.command import serve
try:
    serve(["affine"])
except MissingExtra as exc:
    print(exc.hint)
"""
    assert python(program) == (0, "pip install 'hep-model-catalog[serve]'\n")


def test_importing_the_command_imports_nothing_heavy() -> None:
    program = """
import sys, registry_server.command
heavy = {"fastapi", "numpy", "onnx", "onnxruntime", "starlette", "uvicorn"}
print(*heavy & sys.modules.keys())
"""
    assert python(program) == (0, "\n")


def test_every_option_has_help() -> None:
    app = typer.Typer()
    app.command()(serve)
    command = typer.main.get_command(app)
    assert command.help
    assert [p.name for p in command.params if not getattr(p, "help", None)] == []
