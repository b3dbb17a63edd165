"""Run a real PostgreSQL on this machine for a while."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ABSENT = "no PostgreSQL is installed here (Debian: apt-get install postgresql)"
_PATIENCE = 60.0
USER = "catalog"


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`, of the newest release here."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda it: float(it.parts[-2]))
    found = shutil.which("initdb")
    folders = [*reversed(debian), *([Path(found).parent] if found else [])]
    return next(
        (it for it in folders if (it / "initdb").exists() and (it / "postgres").exists()), None
    )


class Server:
    """One cluster in a folder of its own, on a free port of 127.0.0.1; nobody is asked who he is.

    Its collation is of a language, unlike SQLite's; the role `locked` needs a password.
    """

    def __init__(self, folder: Path, *settings: str) -> None:
        self._folder, self._programs = folder, programs()
        self._user = _unprivileged()
        if self._user:
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)
        self._run(
            "initdb", "--pgdata", str(folder / "data"), "--username", USER, "--auth", "trust",
            "--encoding", "UTF8", "--locale", "C.UTF-8", "--locale-provider", "icu",
            "--icu-locale", "en-US", "--no-sync",
        )  # fmt: skip
        rules = folder / "data" / "pg_hba.conf"
        rules.write_text("host all locked 127.0.0.1/32 scram-sha-256\n" + rules.read_text())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._settings = (
            "listen_addresses=127.0.0.1", f"port={self.port}", f"unix_socket_directories={folder}",
            *settings,
        )  # fmt: skip
        self.start()

    def url(self, database: str = "postgres", user: str = USER) -> str:
        """Its address, as CATALOG_INDEX takes it."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = [word for setting in self._settings for word in ("-c", setting)]
        with (self._folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self._folder / "data"), *options],
                cwd=self._folder, stdout=log, stderr=log, user=self._user, start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + _PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self._folder / "log.txt").read_text()[-3000:])
            time.sleep(0.05)

    def stop(self, kind: signal.Signals = signal.SIGINT) -> None:
        """End it; SIGINT breaks connections, SIGQUIT also loses what is in memory, as a crash."""
        if self._process.poll() is None:
            self._process.send_signal(kind)
            self._process.wait(_PATIENCE)

    def _answers(self) -> bool:
        """A line of the log would come too early: it is there once a client gets in."""
        ready = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        command: Sequence[str] = [str(self._programs / program), *arguments]
        done = subprocess.run(
            command, cwd=self._folder, user=self._user, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")


@contextmanager
def running_postgres(*settings: str) -> Iterator[Server]:
    """A server that ends with the block, in a folder of its own: pytest's only root may enter."""
    with tempfile.TemporaryDirectory(prefix="catalog-pg-") as folder:
        server = Server(Path(folder), *settings)
        try:
            yield server
        finally:
            server.stop()


def _unprivileged() -> str | None:
    """PostgreSQL refuses to run as root: who shall run it instead."""
    if os.geteuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
