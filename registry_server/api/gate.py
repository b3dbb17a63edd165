"""The publish gate on a stranger's folder: in a process of its own, with bounds.

The gate reads files and runs a model that somebody sent. What these do to a reader or to ONNX
Runtime they do to that process: `python -m registry_server.api.gate FOLDER BYTES SECONDS`.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryFile

from catalog.errors import CatalogError, CheckFailed

# Nothing of the server's secrets: passwords of databases and stores lie in the environment.
_LEFT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "HOME", "PYTHONPATH", "LD_LIBRARY_PATH")
_SPARE = 8 << 30  # bytes of address space for Python, ONNX Runtime and the stacks of its threads
_TIMES = 4  # what a session holds of a file: the file, folded constants, weights laid out anew
_WRITES = 1 << 30  # bytes of one file
_SHOWN = 2000  # characters of its last words, for the log
_COMMAND = (sys.executable, "-m", "registry_server.api.gate")


def check_apart(folder: Path, model: str, size: int, seconds: float) -> None:
    """Add test vectors if there are none, and check the folder, in a process that may die of it.

    size : bytes of the version
    seconds : that the process may take

    Raises
    ------
    CheckFailed
    CatalogError
        The process could not do its work, for reasons of this machine.
    """
    command = [*_COMMAND, str(folder), str(_TIMES * size + _SPARE), str(seconds)]
    environment = {name: os.environ[name] for name in _LEFT if name in os.environ}
    with TemporaryFile() as out, TemporaryFile() as err:
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=out, stderr=err
        ) as child:  # its input is closed when we are killed, and then it ends
            try:
                child.wait(seconds)
            except subprocess.TimeoutExpired:
                said = f"checking it takes more than {seconds:g} s"
                raise CheckFailed(model, [said], "make it smaller") from None
            finally:
                child.kill()
        out.seek(0)
        err.seek(0)
        words = err.read().decode("utf-8", "replace")
        _judge(model, child.returncode, out.read(), words)


def _judge(model: str, code: int, out: bytes, err: str) -> None:
    if code < 0 or "bad_alloc" in err or "MemoryError" in err:
        why = signal.Signals(-code).name if code < 0 else "it needs too much memory"
        said = f"reading or running its files ended the process that did: {why}"
        raise CheckFailed(model, [said], "try it on your own machine: catalog publish FOLDER")
    try:
        told = json.loads(out)
        problems, hint = [str(it) for it in told["problems"]], str(told["hint"])
    except (ValueError, KeyError, TypeError) as exc:
        raise CatalogError(f"the gate ended with {code}: {err[-_SHOWN:]}") from exc
    if problems:
        raise CheckFailed(model, problems, hint)


def main() -> None:
    """Check the folder; the answer is a line of JSON."""
    folder, size, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    cores = os.cpu_count() or 1
    for what, most in (
        (resource.RLIMIT_AS, size),
        (resource.RLIMIT_CPU, int(seconds) * cores + 1),
        (resource.RLIMIT_FSIZE, _WRITES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))
    answer = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no answer
    problems, hint = _check(folder)
    os.write(answer, json.dumps({"problems": problems, "hint": hint}).encode("ascii"))


def _check(folder: Path) -> tuple[list[str], str]:
    from catalog.gate import check_folder
    from catalog.publish import add_test_vectors

    try:
        add_test_vectors(folder, lambda _: None)
        check_folder(folder)
    except CheckFailed as exc:
        return list(exc.problems), exc.hint
    except CatalogError as exc:
        return [exc.message], exc.hint
    return [], ""


def _end_with_the_server() -> None:
    while os.read(0, 4096):  # below Python's buffer, whose lock would outlive us
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
