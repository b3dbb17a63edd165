"""What `catalog show` tells about one version, as JSON and as a page of text."""

from __future__ import annotations

import json
from typing import Any

from catalog.index import Index, Row
from catalog.index.query import particle_name
from catalog.refs import prefix_of
from catalog.remote.index import RemoteIndex
from catalog.stores import Committed


def describe(version: Committed, index: Index, store: str, usual: str) -> dict[str, Any]:
    """Everything the index knows: card, places, other versions, parent and children.

    store : where the version was looked up; `usual` is the store that references need not name
    """
    if isinstance(index, RemoteIndex):
        return index.described(version, store)
    rows = index.lookup(version.name, store=None, version=None, digest=None)
    same = [r for r in rows if (r.version, r.digest) == (version.version, version.digest)]
    row = next((r for r in same if r.store == store), same[0])
    places = index.places(row)
    parents = index.by_digest(row.parent) if row.parent else []
    card = json.loads(row.card) if row.card else None
    prefix = prefix_of(row.store, usual, row.name)
    return {
        "ref": f"{prefix}{row.ref}",
        "name": row.name,
        "version": row.version,
        "store": row.store,
        "digest": row.digest,
        "documented": card is not None,
        "stores": list(places.stores),
        "conflicts": [{"store": where, "digest": digest} for where, digest in places.conflicts],
        "gone": row.gone or None,
        "versions": sorted({r.version for r in rows if not r.gone}),
        "aliases": list(row.aliases),
        "card": card,
        "told": json.loads(row.told) if row.told else None,
        "materials": list(row.materials),
        "lineage": {
            "parent": _link(parents[0]) if parents else _unknown_parent(row, card),
            "children": [_link(child) for child in index.children(row.digest)]
            if row.digest
            else [],
        },
    }


def page(value: dict[str, Any]) -> str:
    """The description as text."""
    card = value["card"]
    lines = [f"{value['ref']}  {value['digest'] or '(no manifest)'}"]
    if value["aliases"]:
        lines.append(f"also {', '.join(value['aliases'])}")
    lines += _warnings(value)
    if card is None:
        return "\n".join(lines + _undocumented(value))
    lines += [card["summary"], ""]
    if card.get("description"):
        lines += [card["description"].strip(), ""]
    lines += _domain(card["domain"], card)
    lines += ["", "tensors"]
    for where in ("inputs", "outputs"):
        lines += [f"  {where[:-1]:7}{_tensor(spec)}" for spec in card[where]]
    lines += _physics(card) + _training(card) + _lineage(value["lineage"])
    lines += ["", f"stores   {', '.join(value['stores'])}   versions {value['versions']}"]
    if not value["gone"]:
        lines += [f"next     catalog pull {value['ref']}"]
    return "\n".join(lines)


def _warnings(value: dict[str, Any]) -> list[str]:
    """What somebody should know before the rest."""
    name = f"{value['name']}@{value['version']}"
    lines = [
        f"CONFLICT: {other['store']} has another {name}: {other['digest'] or '(no manifest)'}"
        for other in value["conflicts"]
    ]
    if value["gone"]:
        lines.append(f"gone: deleted in {value['store']}, noticed on {value['gone']}")
    return lines


def _undocumented(value: dict[str, Any]) -> list[str]:
    """A version without a card, in the store's own words."""
    told = value["told"] or {}
    lines = ["undocumented: registered by other means, without a card"]
    # A stranger's lines are indented, so that none passes for one of ours.
    indented = {key: str(told.get(key) or "").replace("\n", "\n" + " " * 12) for key in told}
    lines += [f"{key:12}{indented[key]}" for key in ("framework", "description") if told.get(key)]
    lines += [
        f"{where[:-1]:12}{spec['name'] or '(no name)'} {spec['dtype']}{spec['shape']}"
        for where in ("inputs", "outputs")
        for spec in told.get(where, [])
    ]
    tags = told.get("tags", {}).items()
    lines += [f"{'tag':12}{' '.join(f'{key} = {text}'.splitlines())}" for key, text in tags]
    return [*lines, f"{'next':12}catalog annotate {value['ref']} CARD.yaml"]


def _domain(domain: dict[str, Any], card: dict[str, Any]) -> list[str]:
    detector = domain["detector"]
    low, high = domain.get("energy_gev") or (None, None)
    simulator = domain.get("simulator") or {}
    rows = [
        ("task", card["task"] + (f" ({card['family']})" if card.get("family") else "")),
        ("detector", f"{detector['name']} ({detector['type']}) {detector.get('title', '')}"),
        ("particles", " ".join(particle_name(p) for p in domain.get("particles", [])) or "-"),
        ("energies", "-" if low is None else f"{low:.3g}..{high:.3g} GeV"),
        ("trained on", f"{simulator.get('name', '-')} {simulator.get('version', '')}".strip()),
        ("licence", card["licence"]),
    ]
    if domain.get("notes"):
        rows.append(("notes", domain["notes"]))
    return [f"{name:11}{text}".rstrip() for name, text in rows]


def _tensor(spec: dict[str, Any]) -> str:
    unit = "" if spec.get("unit", "1") == "1" else f" [{spec['unit']}]"
    parts = f" ({', '.join(spec['components'])})" if spec.get("components") else ""
    return f"{spec['name']} {spec['dtype']}{spec['shape']}{unit} {spec['role']}{parts}"


def _physics(card: dict[str, Any]) -> list[str]:
    lines = []
    for result in card.get("physics", []):
        found = "  ".join(f"{name} {value:.3g}" for name, value in result["metrics"].items())
        floor = "  ".join(f"{name} {value:.3g}" for name, value in result["floor"].items())
        failed = [gate["name"] for gate in result.get("gates", []) if not gate["passed"]]
        verdict = "passed" if result["passed"] else f"NOT passed {', '.join(failed)}".rstrip()
        lines += ["", f"physics on {result['dataset']} (n = {result['n']}): gates {verdict}"]
        lines += [f"  model  {found}", f"  floor  {floor}"]
    return lines


def _training(card: dict[str, Any]) -> list[str]:
    training = card.get("training")
    if not training:
        return []
    known = [f"{key} {value}" for key, value in training.items() if not isinstance(value, dict)]
    return ["", "training", *(f"  {line}" for line in known)]


def _lineage(lineage: dict[str, Any]) -> list[str]:
    lines = [""]
    if lineage["parent"]:
        lines.append(f"parent   {lineage['parent']['ref']}  {lineage['parent']['digest']}")
    lines += [f"child    {child['ref']}  {child['digest']}" for child in lineage["children"]]
    return lines if len(lines) > 1 else []


def _link(row: Row) -> dict[str, str]:
    return {"ref": row.ref, "digest": row.digest}


def _unknown_parent(row: Row, card: dict[str, Any] | None) -> dict[str, str] | None:
    """A parent that is not in this index is still named."""
    if not row.parent or not card:
        return None
    return {"ref": card["lineage"]["parent_ref"], "digest": row.parent}
