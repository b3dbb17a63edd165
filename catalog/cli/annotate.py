"""catalog annotate."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.annotate import annotate, as_dict
from catalog.cli import out
from catalog.index import open_index
from catalog.pull import resolve
from catalog.refs import parse_ref, prefix_of
from catalog.settings import load_settings
from catalog.stores import open_named


def run(
    ref: str = typer.Argument(help="A version without a card, or one whose card to replace."),
    card: Path = typer.Argument(help="The card: a YAML file as for publish."),
    as_json: bool = out.JSON,
) -> None:
    """Give somebody else's version a card. Example: catalog annotate lab:gan@3 card.yaml"""
    settings = load_settings()
    where = parse_ref(ref).store or settings.store
    store = open_named(where)
    with open_index(settings) as index:
        version = resolve(ref, index, settings.store)
        done = annotate(version, card, store, where, index, out.progress("hashing bytes"))
    prefix = prefix_of(where, settings.store, version.name)
    made = f"{prefix}{version.name}@{version.version}"
    out.emit(as_dict(done, made, where), as_json, lambda: f"{made} {done.version.digest}")
    if not done.compared:
        out.say("nothing tells this model's tensors: the card's are believed")
    if done.unread:
        out.say(f"recommended without a fingerprint: {done.unread}")
    out.say(f"  next: catalog show {made}")
