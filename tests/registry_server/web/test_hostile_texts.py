"""Whatever a stranger writes into a card, a page is built of the same elements."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from house import House, build

from catalog.domain import TensorSpec
from catalog.index import Row
from tests.toys import generator_card

PAYLOADS = [
    "<script>alert(1)</script>", "</title><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>', "' onmouseover='alert(1)", '" autofocus onfocus="alert(1)',
    "<a href=javascript:alert(1)>x</a>", "javascript:alert(1)", "<iframe src=//evil.example>",
    "<style>*{display:none}</style>", "<link rel=stylesheet href=//evil.example>",
    "<base href=//evil.example/>", "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<form action=//evil.example><input name=token>", "</bdi></p></main><h1>forged</h1>",
    "<!--", "-->", "<![CDATA[<script>alert(1)</script>]]>", "<math><mi//xlink:href='data:x,1'>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>", "{{ 7 * 7 }}", "{% raw %}",
    "{{ config.__class__ }}", "&lt;script&gt;alert(1)&lt;/script&gt;", "&#60;script&#62;",
    "<scr\x00ipt>alert(1)</scr\x00ipt>", "\u202eevil\u202c \u2066hidden\u2069", "\x1b[31mred\x07",
    "<textarea><title><noscript>", "${alert(1)} `id` $(id) ; rm -rf / #", "\ufeff<b>bom</b>",
    "A" * 5000,
]  # fmt: skip
BENIGN = "nothing special"


class Structure(HTMLParser):
    """Elements in order, each with the names of its attributes; scripts' and links' addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.addresses += [
            value or "" for name, value in attrs if name in ("src", "href", "action")
        ]


def card_json(text: str) -> str:
    card = generator_card("victim").model_dump(mode="json", exclude_defaults=True)
    card |= {"summary": text, "description": text, "authors": [text], "references": [text]}
    card["domain"]["notes"] = card["domain"]["detector"]["title"] = text
    card["domain"]["simulator"] = {"name": text, "version": text}
    for spec in (*card["inputs"], *card["outputs"]):
        spec["meaning"] = text
    card["training"] = {"dataset": text, "device": text, "showers": 10}
    gates = [{"name": text, "value": 1, "limit": 2, "passed": True}]
    card["physics"] = [
        {"dataset": text, "n": 10, "metrics": {text: 1.0}, "floor": {}, "passed": True,
         "gates": gates}
    ]  # fmt: skip
    return json.dumps(card)


def described(text: str, description: str) -> str:
    card = json.loads(card_json(text))
    return json.dumps(card | {"description": description or text})


def told_json(text: str) -> str:
    spec = TensorSpec.model_construct(name=text, dtype=text, shape=(1,))
    tensors = [{"name": spec.name, "dtype": spec.dtype, "shape": [1]}]
    told = {"framework": text, "description": text, "tags": {text: text}}
    return json.dumps({**told, "inputs": tensors, "outputs": tensors})


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return build(tmp_path_factory.mktemp("house"))


def put(house: House, text: str, longer: str = "") -> None:
    common: dict[str, Any] = {"store": "memory:", "version": 1, "digest": "sha256:" + "1" * 64}
    card = described(text, longer)
    told = {**common, "digest": ""}
    rows = [
        Row(name="victim", summary=longer or text, card=card, task="shower-generation",
            family="toy", detector="clic-siw", detector_type="ecal", licence=text, **common),
        Row(name="foreign", summary=text, told=told_json(text), **told),
    ]  # fmt: skip
    with house.registry.index() as index:
        index.put(*rows)


def structure(house: House, path: str) -> tuple[Structure, str]:
    headers = {"accept": "text/html", **house.headers["reader"]}
    answer = house.client.get(path, headers=headers)
    assert answer.status_code == 200
    found = Structure()
    found.feed(answer.text)
    return found, answer.text


PATHS = ("/", "/models/victim/1", "/models/foreign/1", "/map",
         "/compare?ref=victim@1&ref=foreign@1")  # fmt: skip


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
def test_a_hostile_text_changes_no_element_of_a_page(house: House, number: int) -> None:
    put(house, BENIGN)
    before = {path: structure(house, path)[0] for path in PATHS}
    put(house, PAYLOADS[number])
    for path in PATHS:
        found, text = structure(house, path)
        ours = [it for it in found.elements if it != ("details", ("open",))]
        wanted = [it for it in before[path].elements if it != ("details", ("open",))]
        if path == "/models/victim/1":  # a long description is folded
            ours, wanted = ([it for it in each if it[0] != "details"] for each in (ours, wanted))
        assert ours == wanted, path
        assert not [it for it in found.addresses if it.startswith(("javascript:", "//", "data:"))]
        assert not any(c in text for c in "\u202e\u202c\u2066\u2069\x00\x1b\x07")


def test_a_text_of_a_megabyte_is_cut(house: House) -> None:
    put(house, BENIGN, "long <b>" * 125_000)
    for path in PATHS:
        _, text = structure(house, path)
        assert len(text) < 150_000, path
        assert ("(cut: 1,000,000)" in text) == (path in PATHS[:2]), path


def test_a_markup_that_was_not_built_here_is_text(tmp_path: Path) -> None:
    from registry_server.web.render import clean

    assert str(clean("<b>")) == "&lt;b&gt;"
    assert clean(None) == ""
