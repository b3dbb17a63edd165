"""Two servers, a PostgreSQL and an MLflow server under load, one of which is killed, and again.

Clients are what people have: urllib3 with its own retries. Each asks either server for anything.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from catalog.index import open_index
from catalog.manifest import build_manifest
from catalog.publish import publish
from catalog.settings import Settings
from catalog.stores import Committed, Store
from catalog.verify import verify_version
from registry_server.auth.tokens import create_token
from registry_server.database import open_database
from tests.adapters import mlflow_server
from tests.postgres_server import running_postgres
from tests.toys import generator_folder

VICTIMS = ("one server", "other server", "postgres", "mlflow")
_PATIENCE = 180.0  # seconds for everybody to be served again
_RETRIES = urllib3.Retry(
    total=30, backoff_factor=0.2, backoff_max=4, allowed_methods=None, raise_on_status=False,
    status_forcelist=(429, 502, 503, 504),
)  # fmt: skip


class House:
    """The four processes, in one folder, and how to kill one and start it again."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        (folder / "mlflow").mkdir()
        self._mlflow_url = f"http://127.0.0.1:{mlflow_server.free_port()}"
        self._postgres = stack.enter_context(running_postgres("fsync=off"))
        self.settings = Settings(
            folder / "home", folder / "cache", f"mlflow+{self._mlflow_url}",
            index=self._postgres.url(),
        )  # fmt: skip
        self._mlflow = mlflow_server.launch(folder / "mlflow", self._mlflow_url)
        stack.callback(lambda: mlflow_server.end(self._mlflow))
        self.ports = [mlflow_server.free_port() for _ in range(2)]
        self._servers: list[Any] = [None, None]

    def store(self) -> Store:
        """What a reader with MLflow's own address opens."""
        from catalog_mlflow import open_store

        return open_store(self.settings.store)

    def token(self, name: str) -> str:
        """Of an admin."""
        with closing(open_database(self.settings)) as database:
            return create_token(database, name, "admin", 1)[0]

    def kill(self, victim: str) -> None:
        """No warning is given."""
        if victim == "postgres":
            self._postgres.stop(signal.SIGKILL)
        elif victim == "mlflow":
            mlflow_server.end(self._mlflow, signal.SIGKILL)
        else:
            server = self._servers[VICTIMS.index(victim)]
            server.kill()
            server.wait()

    def start(self, victim: str) -> None:
        """Wait until it answers."""
        if victim == "postgres":
            self._start_postgres()
        elif victim == "mlflow":
            self._mlflow = mlflow_server.launch(self._folder / "mlflow", self._mlflow_url)
        else:
            self._start_server(VICTIMS.index(victim))

    def _start_postgres(self) -> None:
        for left in range(20, -1, -1):
            try:
                self._postgres.start()
                return
            except RuntimeError:  # its children of before are still leaving
                if not left:
                    raise
                time.sleep(0.5)

    def _start_server(self, number: int) -> None:
        it, port = self.settings, self.ports[number]
        environment = {
            **os.environ, "CATALOG_HOME": str(it.home), "CATALOG_CACHE": str(it.cache),
            "CATALOG_STORE": it.store, "CATALOG_INDEX": it.index, "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        log = (self._folder / f"server-{number}.log").open("ab")
        program = "from catalog.cli import main; main()"
        process = subprocess.Popen(
            [sys.executable, "-c", program, "serve", "--auth", "--no-grpc", "--port", str(port)],
            env=environment, stdout=log, stderr=log,
        )  # fmt: skip
        log.close()
        self._servers[number] = process
        self._stack.callback(lambda: (process.kill(), process.wait()))
        ready, until = f"http://127.0.0.1:{port}/v2/health/ready", time.monotonic() + _PATIENCE
        with urllib3.PoolManager(retries=False) as pool:
            while True:
                try:
                    if pool.request("GET", ready).status == 200:
                        return
                except urllib3.exceptions.HTTPError:
                    pass
                if process.poll() is not None or time.monotonic() > until:
                    raise AssertionError(self.logs())
                time.sleep(0.1)

    def logs(self) -> str:
        """What the two servers wrote, its end."""
        files = sorted(self._folder.glob("server-*.log"))
        return "\n".join(it.read_text()[-3000:] for it in files)


@dataclass
class Crowd:
    """Threads that ask without a pause, and what they were told."""

    house: House
    folder: Path
    published: dict[tuple[str, int], str] = field(default_factory=dict)
    jobs: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    rounds: Counter[str] = field(default_factory=Counter)
    stop: threading.Event = field(default_factory=threading.Event)
    people: list[threading.Thread] = field(default_factory=list)

    def come(self) -> None:
        """Begin to ask."""
        for name, what in (
            ("publisher-0", self.publisher(0)), ("publisher-1", self.publisher(1)),
            ("searcher", self.searcher), ("runner", self.runner), ("boss", self.boss),
        ):  # fmt: skip
            self.people.append(self.person(name, what))
            self.people[-1].start()

    def leave(self) -> None:
        """End what they are at, and no more."""
        self.stop.set()
        for it in self.people:
            it.join()

    def ask(self, headers: dict[str, str], method: str, path: str, **more: Any) -> Any:
        """The JSON of a good answer of either server.

        Raises
        ------
        Wrong
            It was not good, retries or no.
        """
        port = random.choice(self.house.ports)
        with urllib3.PoolManager(retries=_RETRIES, timeout=60) as pool:
            answer = pool.request(method, f"http://127.0.0.1:{port}{path}", headers=headers, **more)
        if answer.status >= 300:
            raise Wrong(f"{method} {path}: {answer.status}: {answer.data[:300]!r}")
        return answer.json()

    def person(self, name: str, what: Callable[[dict[str, str], int], None]) -> threading.Thread:
        """Somebody with a token of his own, who does the same again and again."""

        def live() -> None:
            headers, number = {"authorization": f"Bearer {self.house.token(name)}"}, 0
            while not self.stop.is_set():
                try:
                    what(headers, number)
                    self.rounds[name] += 1
                except (Wrong, urllib3.exceptions.HTTPError, AssertionError, KeyError) as exc:
                    self.wrong.append(f"{name}: {type(exc).__name__}: {exc}")
                number += 1

        return threading.Thread(target=live, name=name)

    def publisher(self, number: int) -> Callable[[dict[str, str], int], None]:
        """New models of five versions each."""

        def one(headers: dict[str, str], turn: int) -> None:
            name, depth = f"model-{number}-{turn // 5}", 4.0 + 0.01 * turn + number
            folder = generator_folder(self.folder / f"{number}-{turn}", name, depth=depth)
            entries = build_manifest(folder).entries
            files = [{"path": e.path, "size": e.size, "digest": e.digest} for e in entries]
            at = "/api/v1/uploads"
            begun = self.ask(headers, "POST", at, json={"name": name, "files": files})["id"]
            for e in entries:
                self.ask(
                    headers, "PUT", f"{at}/{begun}/files/{e.digest}",
                    body=(folder / e.path).read_bytes(),
                )  # fmt: skip
            done = self.ask(headers, "POST", f"{at}/{begun}/commit")
            self.published[name, done["version"]] = done["digest"]

        return one

    def searcher(self, headers: dict[str, str], turn: int) -> None:
        """What was acknowledged to anybody is found at any server."""
        known = list(self.published)[-20:]
        listed = self.ask(headers, "GET", "/api/v1/models?q=toy&limit=20")
        assert listed["total"] >= len(known), (listed["total"], len(known))
        for name, version in random.sample(known, min(2, len(known))):
            found = self.ask(headers, "GET", f"/api/v1/models/{name}")["versions"]
            assert version in found, (name, version, found)

    def runner(self, headers: dict[str, str], turn: int) -> None:
        """Showers of the one model that everybody uses, always the same."""
        inputs = [
            {"name": name, "shape": [1, 1], "datatype": "FP32", "data": [value]}
            for name, value in (("noise", 0.5), ("energy_gev", 50.0))
        ]
        answer = self.ask(headers, "POST", "/v2/models/toy/infer", json={"inputs": inputs})
        data = answer["outputs"][0]["data"]
        self.first = getattr(self, "first", data)
        assert data == self.first
        time.sleep(0.05)

    def boss(self, headers: dict[str, str], turn: int) -> None:
        """A sync now and then."""
        self.jobs.append(self.ask(headers, "POST", "/api/v1/sync", json={})["id"])
        self.over(headers, self.jobs[-1])
        self.stop.wait(2)

    def over(self, headers: dict[str, str], job: str) -> dict[str, Any]:
        """A job, once it is over; it must be done."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            it: dict[str, Any] = self.ask(headers, "GET", f"/api/v1/jobs/{job}")
            if it["state"] not in ("queued", "running"):
                if it["state"] != "done":
                    raise Wrong(json.dumps(it))
                return it
            time.sleep(0.3)
        raise Wrong(f"job {job} does not end")


class Wrong(Exception):
    """An answer that nobody should get."""


@contextmanager
def crowded(folder: Path) -> Iterator[tuple[House, Crowd]]:
    """Everything runs, and everybody was served once."""
    with ExitStack() as stack:
        house = House(folder, stack)
        toy = generator_folder(folder / "toy", "toy")
        with open_index(house.settings) as index:
            publish(toy, house.store(), house.settings.store, index, lambda _: None)
        house.token("first")  # a server that nobody could come into does not start
        for victim in VICTIMS[:2]:
            house.start(victim)
        crowd = Crowd(house, folder / "made")
        crowd.come()
        try:
            served(crowd)
            yield house, crowd
        finally:
            crowd.leave()


def served(crowd: Crowd) -> float:
    """Wait until everybody was served from now on; the seconds that it took."""
    before, began = Counter(crowd.rounds), time.monotonic()
    while not all(crowd.rounds[it.name] > before[it.name] for it in crowd.people):
        if time.monotonic() - began > _PATIENCE:
            raise AssertionError((crowd.rounds, before, crowd.wrong, crowd.house.logs()))
        time.sleep(0.1)
    return time.monotonic() - began


def victims(count: int, choose: random.Random) -> Iterator[str]:
    """Who is killed: in random order, each as often as the others."""
    for number in range(count):
        if not number % len(VICTIMS):
            order = choose.sample(VICTIMS, len(VICTIMS))
        yield order[number % len(VICTIMS)]


def killed(house: House, crowd: Crowd, victim: str, choose: random.Random) -> dict[str, Any]:
    """Kill it at a random moment, start it again, and see what is left."""
    time.sleep(choose.uniform(0, 4))
    house.kill(victim)
    time.sleep(choose.uniform(0, 2))
    house.start(victim)
    seconds = served(crowd)
    known = dict(crowd.published)
    found = {(it.name, it.version): it.digest for it in house.store().versions()}
    lost = sum(found.get(key) != digest for key, digest in known.items())
    return {"killed": victim, "served_after_s": round(seconds, 1), "lost": lost}


def left(house: House, crowd: Crowd) -> dict[str, Any]:
    """When all is over: everything that can be read, and every job."""
    store = house.store()
    versions = list(store.versions())
    torn = [it for it in versions if not verify_version(store, it, lambda *_: None).sound]
    there = set(versions)
    known = crowd.published.items()
    lost = [key for key, digest in known if Committed(*key, digest) not in there]
    with closing(open_database(house.settings)) as database:
        rows = database.rows("SELECT id, state, attempt, result, error FROM jobs")
    states = {row["id"]: row for row in rows}
    undone = [states.get(it) for it in crowd.jobs if states.get(it, {}).get("state") != "done"]
    return {
        "published": len(known), "torn": len(torn), "lost": len(lost), "jobs": len(crowd.jobs),
        "undone": undone, "resumed": sum(row["attempt"] > 1 for row in rows),
        "wrong": crowd.wrong, "rounds": dict(crowd.rounds),
    }  # fmt: skip
