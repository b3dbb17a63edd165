"""catalog annotate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from catalog.annotate import annotate, as_dict
from catalog.cli import out
from catalog.index import open_index
from catalog.pull import resolve
from catalog.refs import parse_ref, prefix_of
from catalog.remote.verbs import annotate_there
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
    store, progress = open_named(where), out.progress("hashing bytes")
    with open_index(settings) as index:
        version = resolve(ref, index, settings.store)
        if settings.registry:
            told = annotate_there(version, card, where, progress)
            _say(told, told.pop("unread"), as_json)
            return
        done = annotate(version, card, store, where, index, progress)
    prefix = prefix_of(where, settings.store, version.name)
    made = f"{prefix}{version.name}@{version.version}"
    _say(as_dict(done, made, where), done.unread, as_json)


def _say(value: Mapping[str, Any], unread: str, as_json: bool) -> None:
    out.emit(value, as_json, lambda: f"{value['ref']} {value['digest']}")
    if not value["compared"]:
        out.say("nothing tells this model's tensors: the card's are believed")
    if unread:
        out.say(f"recommended without a fingerprint: {unread}")
    out.say(f"  next: catalog show {value['ref']}")
