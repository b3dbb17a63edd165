"""Runs as the command line shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from catalog.adapt.log import Adaptation
from catalog.text import number, table

_NEXT = {
    "ready": "catalog runs resume {id}",
    "queued": "catalog runs status {id}",
    "running": "catalog runs logs {id}",
    "done": "catalog runs collect {id}",
    "failed": "catalog runs logs {id}; catalog runs resume {id}",
    "lost": "catalog runs logs {id}; catalog runs resume {id}",
    "cancelled": "catalog runs resume {id}",
    "unknown": "catalog runs status {id}",
}


def recorded(runs: Sequence[Adaptation]) -> tuple[dict[str, Any], Callable[[], str]]:
    """All recorded adaptations: the JSON, and the table."""
    head = ("DATE", "MODEL", "TARGET", "SHOWERS", "STEPS", "ZERO-SHOT", "REACHED", "FLOOR",
            "SECONDS", "WHERE")  # fmt: skip
    rows = [
        (
            r.date, r.model_ref or f"scratch ({r.family})", r.target, str(r.showers), str(r.steps),
            number(r.zero_shot), number(r.reached), number(r.floor), f"{r.seconds:.0f}",
            r.where or "here",
        )
        for r in runs
    ]  # fmt: skip
    return {"runs": [asdict(r) for r in runs]}, lambda: table(head, rows)


def many(launched: Sequence[Mapping[str, Any]]) -> str:
    """A line for each launched run."""
    if not launched:
        return "nothing was launched from here; next: catalog adapt REF --data F.h5 --on NAME"
    head = ("ID", "WHAT", "ON", "STATE", "SUBMITTED", "SECONDS", "COLLECTED")
    rows = [
        (run["id"], run["what"], run["on"], run["state"], run["submitted"],
         f"{run['seconds']:.0f}", run["child"] or ("yes" if run["collected"] else "no"))
        for run in launched
    ]  # fmt: skip
    return table(head, rows)


def one(run: Mapping[str, Any]) -> str:
    """All about one launched run, and what to type next."""
    why = f" ({run['reason']})" if run["reason"] else ""
    lines = [
        f"{run['id']}: {run['what']}, on {run['on']}",
        f"state    {run['state']}{why}",
        f"tried    {run['attempts']} time(s), {run['seconds']:.0f} s in those that ended",
        f"folder   {run['folder']}",
        f"next     {_NEXT[run['state']].format(id=run['id'])}",
    ]
    return "\n".join(lines)


def launched(run: Mapping[str, Any]) -> str:
    """What was just launched, or only written."""
    lines = [f"{run['id']}: {run['what']}", f"folder   {run['folder']}: {', '.join(run['files'])}"]
    if not run["handle"]:
        return "\n".join([*lines, f"nothing is started; next: catalog runs resume {run['id']}"])
    return "\n".join([
        *lines, f"state    {run['state']} on {run['on']}, there {run['handle']}",
        f"next     catalog runs status {run['id']}; catalog runs collect {run['id']}",
    ])  # fmt: skip


def collected(done: Mapping[str, Any]) -> str:
    """What a collected run has reached."""
    rival = "" if done["scratch"] is None else f", {done['scratch']:.3g} from scratch"
    next_ = f"catalog show {done['published']}" if done["published"] else (
        f"catalog publish {done['folder']}" if done["adapted"] < done["before"]
        else f"keep {done['parent']}"
    )  # fmt: skip
    return (
        f"{done['run']}: w1_geomean {done['before']:.3g} before, {done['adapted']:.3g} adapted"
        f"{rival} (floor {done['floor']:.3g})\n"
        f"took     {done['seconds']:.0f} s on {done['device']}\nnext     {next_}"
    )
