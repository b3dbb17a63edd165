"""Jobs: long work that is asked for now and done by whichever server process takes it.

The table is the truth. A process that takes a job says every few seconds that it is alive; when it
has been silent for a while, another takes the job again, and after five attempts it has failed.
What a worker writes is written only for its own attempt, so one that was given up cannot overwrite
the next. Leases are by the clock of the database: those of two machines differ.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

from catalog.errors import NotFound
from registry_server.api.errors import TooMany
from registry_server.api.registry import Bounds, Registry, place_of
from registry_server.auth.caller import Caller
from registry_server.database import Block, Database

SILENT = 15.0  # seconds after which a process that works on a job is taken for dead
ATTEMPTS = 5  # servers are restarted more often than a job kills one
PAUSE = 2.0  # seconds, times the attempts so far, before what did not answer is asked again
OVER = ("done", "failed", "cancelled")
_OPEN = "state IN ('queued', 'running')"
_COUNT = f"SELECT count(*) AS open FROM jobs WHERE caller = ? AND {_OPEN}"  # noqa: S608


@dataclass(frozen=True)
class Taken:
    """One attempt at a job."""

    id: str
    kind: str
    asked: dict[str, Any]
    attempt: int


class Jobs:
    """The table of jobs. Safe for threads and processes.

    place : the home whose files can be read here; jobs that need those of another are left to it
    """

    def __init__(self, database: Database, bounds: Bounds, place: str = "") -> None:
        self._database, self._bounds, self._place = database, bounds, place

    def add(self, caller: Caller, kind: str, asked: dict[str, Any], wanted: str = "") -> str:
        """Queue a job; its id.

        wanted : the id under which a file of the job is kept here

        Raises
        ------
        TooMany
        """
        name = wanted or new_id()
        place = self._place if wanted else ""
        sql = (
            "INSERT INTO jobs (id, kind, caller, asked, state, place, created) "
            "VALUES (?, ?, ?, ?, 'queued', ?, ?)"
        )
        with self._database.transaction("jobs") as db:
            if db.rows(_COUNT, caller.name)[0]["open"] >= self._bounds.jobs:
                raise self.too_many()
            db.run(sql, name, kind, caller.name, json.dumps(asked), place, time.time())
        return name

    def left(self, caller: Caller) -> int:
        """How many more a caller may have open."""
        return self._bounds.jobs - int(self._database.rows(_COUNT, caller.name)[0]["open"])

    def too_many(self) -> TooMany:
        """The refusal of one more."""
        return TooMany(f"you have {self._bounds.jobs} jobs open", "wait for one, or cancel one")

    def get(self, caller: Caller, wanted: str) -> dict[str, Any]:
        """A job of this caller, or of anybody for an admin, as JSON.

        Raises
        ------
        NotFound
        """
        found = self._database.rows("SELECT * FROM jobs WHERE id = ?", wanted)
        if not found or not (found[0]["caller"] == caller.name or caller.may("admin")):
            raise NotFound("no such job of yours", "GET /api/v1/jobs lists yours")
        return as_dict(found[0])

    def some(self, caller: Caller, start: int, count: int) -> list[dict[str, Any]]:
        """Jobs of this caller, or all for an admin, the latest first."""
        sql = (
            "SELECT * FROM jobs WHERE (? OR caller = ?) ORDER BY created DESC, id LIMIT ? OFFSET ?"
        )
        rows = self._database.rows(sql, caller.may("admin"), caller.name, count, start)
        return [as_dict(row) for row in rows]

    def cancel(self, wanted: str) -> None:
        """Ask for the end of a job; one that nobody took ends at once."""
        with self._database.transaction() as db:
            db.run(
                "UPDATE jobs SET state = 'cancelled', finished = ? "
                "WHERE id = ? AND state = 'queued'",
                time.time(), wanted,
            )  # fmt: skip
            db.run("UPDATE jobs SET cancel = 1 WHERE id = ? AND state = 'running'", wanted)

    def take(self, *, bury: bool = True) -> Taken | None:
        """The job that has waited longest, now ours; None if none waits.

        bury : also look for jobs whose server has been silent
        """
        clock, skip = self._database.clock, self._database.skip_locked
        with self._database.transaction() as db:
            if bury:
                self._bury(db)
            found = db.rows(
                f"SELECT * FROM jobs WHERE state = 'queued' AND due <= {clock} "  # noqa: S608
                f"AND place IN ('', ?) ORDER BY created, id LIMIT 1{skip}",
                self._place,
            )
            if not found:
                return None
            row = found[0]
            attempt = row["attempt"] + 1
            db.run(
                "UPDATE jobs SET state = 'running', attempt = ?, "  # noqa: S608
                f"alive = {clock}, started = {clock} WHERE id = ?",
                attempt, row["id"],
            )  # fmt: skip
        return Taken(row["id"], row["kind"], json.loads(row["asked"]), attempt)

    def alive(self, job: Taken) -> bool:
        """Say that we work on it; False if we shall not: it was cancelled, or given up."""
        ours = self._database.run(
            f"UPDATE jobs SET alive = {self._database.clock} "  # noqa: S608
            "WHERE id = ? AND attempt = ? AND state = 'running' AND cancel = 0",
            job.id, job.attempt,
        )  # fmt: skip
        return bool(ours)

    def tell(self, job: Taken, message: str, done: int, total: int) -> None:
        """Keep how far it is."""
        text = json.dumps({"message": message[:500], "done": done, "total": total})
        sql = "UPDATE jobs SET progress = ? WHERE id = ? AND attempt = ? AND state = 'running'"
        self._database.run(sql, text, job.id, job.attempt)

    def end(
        self, job: Taken, state: str, result: Any = None, error: dict[str, str] | None = None
    ) -> None:
        """Keep what came of it, unless that is known already."""
        self._database.run(
            "UPDATE jobs SET state = ?, result = ?, error = ?, finished = ? "
            "WHERE id = ? AND attempt = ? AND state = 'running'",
            state, json.dumps(result) if result is not None else None,
            json.dumps(error) if error else None, time.time(), job.id, job.attempt,
        )  # fmt: skip

    def give_back(self, job: Taken) -> None:
        """Queue it again, as if it had not been taken: the server stops."""
        self._database.run(
            "UPDATE jobs SET state = 'queued', attempt = attempt - 1 "
            "WHERE id = ? AND attempt = ? AND state = 'running' AND cancel = 0",
            job.id, job.attempt,
        )  # fmt: skip

    def put_off(self, job: Taken, error: dict[str, str]) -> None:
        """Queue it again for a little later, because something did not answer; not for ever."""
        if job.attempt >= ATTEMPTS:
            self.end(job, "failed", error=error)
            return
        self.tell(job, f"{error['message']}; it is tried again", 0, 0)
        self._database.run(
            f"UPDATE jobs SET state = 'queued', due = {self._database.clock} + ? "  # noqa: S608
            "WHERE id = ? AND attempt = ? AND state = 'running' AND cancel = 0",
            PAUSE * job.attempt, job.id, job.attempt,
        )  # fmt: skip

    def open_ids(self) -> set[str]:
        """Jobs that are not over."""
        sql = f"SELECT id FROM jobs WHERE {_OPEN}"  # noqa: S608
        return {row["id"] for row in self._database.rows(sql)}

    def sweep(self) -> None:
        """Forget what has been over for long."""
        before = time.time() - self._bounds.keep
        self._database.run("DELETE FROM jobs WHERE finished < ?", before)

    def _bury(self, db: Block) -> None:
        """Queue again, or give up, what a dead process worked on."""
        silent = db.rows(
            "SELECT id, attempt, cancel FROM jobs "  # noqa: S608
            f"WHERE state = 'running' AND alive < {self._database.clock} - ?"
            f"{self._database.skip_locked}",
            SILENT,
        )
        lost = {"message": f"its server died {ATTEMPTS} times", "hint": "ask for it again"}
        over = "UPDATE jobs SET state = ?, error = ?, finished = ? WHERE id = ?"
        for row in silent:
            if row["cancel"]:
                db.run(over, "cancelled", None, time.time(), row["id"])
            elif row["attempt"] >= ATTEMPTS:
                db.run(over, "failed", json.dumps(lost), time.time(), row["id"])
            else:
                db.run("UPDATE jobs SET state = 'queued' WHERE id = ?", row["id"])


def jobs_of(registry: Registry) -> Jobs:
    """The jobs behind a server."""
    return Jobs(registry.database, registry.bounds, place_of(registry.settings.home))


def new_id() -> str:
    """A name for a job that nobody can guess."""
    return secrets.token_hex(16)


def as_dict(row: dict[str, Any]) -> dict[str, Any]:
    """The JSON of a job."""
    blank = {"message": "", "done": 0, "total": 0}
    return {
        "id": row["id"], "kind": row["kind"], "state": row["state"], "caller": row["caller"],
        "created": row["created"], "started": row["started"], "finished": row["finished"],
        "progress": json.loads(row["progress"]) if row["progress"] else blank,
        "result": json.loads(row["result"]) if row["result"] else None,
        "error": json.loads(row["error"]) if row["error"] else None,
    }  # fmt: skip
