"""A card in the words of other catalogs: keywords, a page of Markdown, numbers by name."""

from __future__ import annotations

import base64
import re

from catalog.card import Card, Physics
from catalog.domain import TensorSpec
from catalog.index.query import particle_name
from catalog.interchange.folder import Version
from catalog.text import number


def keywords(card: Card) -> list[str]:
    """What people look for: the task, the detector, its type, particles."""
    detector = card.domain.detector
    particles = [particle_name(pdg) for pdg in card.domain.particles]
    words = ["high-energy-physics", card.task, detector.type, detector.name, *particles]
    return list(dict.fromkeys([*words, *([card.family] if card.family else [])]))


def named_digest(digest: str) -> str:
    """`ni:///sha-256;...`, the URI of bytes by their digest (RFC 6920)."""
    raw = bytes.fromhex(digest.removeprefix("sha256:"))
    return "ni:///sha-256;" + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def results(card: Card) -> list[tuple[Physics, str, float]]:
    """Every metric of every validation: (validation, name, value)."""
    return [(it, name, value) for it in card.physics for name, value in it.metrics.items()]


def page(version: Version) -> str:
    """The card as Markdown, without a title of its own."""
    card, domain = version.card, version.card.domain
    low, high = domain.energy_gev or (None, None)
    simulator = domain.simulator
    facts = [
        ("task", card.task),
        ("family", card.family or ""),
        ("detector", f"{domain.detector.name} ({domain.detector.type}) {domain.detector.title}"),
        ("particles", ", ".join(particle_name(pdg) for pdg in domain.particles)),
        ("energies", "" if low is None else f"{low:g} to {high:g} GeV"),
        ("simulator", f"{simulator.name} {simulator.version}" if simulator else ""),
        ("licence", card.licence),
        ("adapted from", card.lineage.parent_ref if card.lineage else ""),
        ("digest", f"`{version.digest}`"),
    ]  # fmt: skip
    lines = [_plain(card.summary), "", *_paragraphs(card), "| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(text)} |" for name, text in facts if text.strip()]
    lines += [
        "",
        "## Tensors",
        "",
        "| name | type | unit | role | components |",
        "|---|---|---|---|---|",
    ]
    lines += [_tensor(spec) for spec in (*card.inputs, *card.outputs)]
    lines += [line for it in card.physics for line in _physics(it)]
    return "\n".join([*lines, ""])


def _paragraphs(card: Card) -> list[str]:
    return [_plain(card.description.strip()), ""] if card.description.strip() else []


def _tensor(spec: TensorSpec) -> str:
    cells = (
        spec.name, f"{spec.dtype}{list(spec.shape)}", spec.unit, spec.role,
        ", ".join(spec.components),
    )  # fmt: skip
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _physics(it: Physics) -> list[str]:
    verdict = "passed" if it.passed else "not passed"
    return [
        "",
        f"## Validation on {_plain(it.dataset)}",
        "",
        f"{it.n} showers of {it.reference}; gates {verdict}. The floor is what two halves of the",
        "reference differ by.",
        "",
        "| metric | model | floor |",
        "|---|---|---|",
        *(
            f"| {_cell(name)} | {value:.4g} | {number(it.floor.get(name), 4)} |"
            for name, value in it.metrics.items()
        ),
    ]


def _plain(text: str) -> str:
    """Text of a stranger's card: it shall not become HTML, or a heading, of somebody's page."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"^(\s*)(#|---|```)", r"\1\\\2", escaped, flags=re.M)


def _cell(text: str) -> str:
    return _plain(" ".join(text.split())).replace("|", "\\|")
