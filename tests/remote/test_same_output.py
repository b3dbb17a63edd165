"""Every verb says the same of one catalog, asked directly and through a registry."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from catalog.adapt.log import Adaptation, append_log
from catalog.cli import main
from tests.toys import generator_card, generator_folder, shower_file

pytestmark = pytest.mark.slow
RUN = Adaptation(
    family="toy", strategy="tuned", model="sha256:" + "a" * 64, model_ref="near@1",
    target="clic-siw", target_digest="b" * 64, pdg=22, showers=100, steps=10, seed=0,
    zero_shot=0.5, reached=0.25, floor=0.125, seconds=3.0, device="cpu", date="2026-11-23",
)  # fmt: skip


class Catalog:
    """One catalog on this machine, and a server process in front of it."""

    def __init__(self, folder: Path, url: str, token: str) -> None:
        self.folder, self.url, self.token = folder, url, token

    def run(
        self, capsys: pytest.CaptureFixture[str], *words: str, through: bool
    ) -> tuple[int, str, str]:
        """What `catalog WORDS` does: exit code, stdout, stderr; no address may show."""
        with pytest.MonkeyPatch.context() as patch:
            if through:
                patch.setenv("CATALOG_REGISTRY", self.url)
                patch.setenv("CATALOG_TOKEN", self.token)
            patch.setattr(sys, "argv", ["catalog", *words])
            code = 0
            try:
                main()
            except SystemExit as exc:
                code = int(exc.code or 0)
        said = capsys.readouterr()
        assert self.token not in said.out + said.err
        return code, said.out, said.err


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    folder = tmp_path_factory.mktemp("catalog")
    places = {"CATALOG_HOME": "home", "CATALOG_CACHE": "cache", "CATALOG_CONFIG": "stores.yaml"}
    with pytest.MonkeyPatch.context() as patch:
        for name, below in places.items():
            patch.setenv(name, str(folder / below))
        for name in ("CATALOG_STORE", "CATALOG_INDEX", "CATALOG_REGISTRY", "CATALOG_TOKEN"):
            patch.delenv(name, raising=False)
        fill(folder)
        token = make_token()
        server = subprocess.Popen(
            program("serve", "--port", "0", "--no-grpc", "--auth"),
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stderr is not None
            line = next(it for it in server.stderr if "serving" in it)
            found = re.search(r"http://[0-9.:]+", line)
            assert found, line
            yield Catalog(folder, found[0], token)
        finally:
            server.terminate()
            server.communicate(timeout=60)


def program(*words: str) -> list[str]:
    return [sys.executable, "-c", "from catalog.cli import main; main()", *words]


def make_token() -> str:
    made = subprocess.run(
        program("token", "create", "me", "--role", "admin", "--json"),
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return str(json.loads(made.stdout)["token"])


def fill(folder: Path) -> None:
    """Three models, one of them in two versions, an alias, a recorded run."""
    from catalog.index import open_index
    from catalog.publish import publish
    from catalog.settings import load_settings
    from catalog.stores import open_named

    settings = load_settings()
    store = open_named(settings.store)
    with open_index(settings) as index:
        for name, how in (("near", {}), ("near", {"depth": 7.0}), ("other", {})):
            made = generator_folder(folder / f"{name}{len(how)}", name, **how)
            publish(made, store, settings.store, index, lambda _: None)
    append_log(settings.home, [RUN])
    shower_file(folder / "target.h5", n=80)


WORDS = [
    ["search"],
    ["search", "--particle", "gamma", "--energy", "5..50", "--detector", "ecal"],
    ["search", "toy", "--limit", "1"],
    ["search", "nothing-like-it"],
    ["show", "near"],
    ["show", "near@1"],
    ["show", "nera"],
    ["show", "near@9"],
    ["pull", "near@1"],
    ["pull", "near@ghost"],
    ["alias", "near"],
    ["alias", "near@2", "champion"],
    ["verify", "near@1"],
    ["verify", "--all"],
    ["runs"],
    ["sync"],
]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_text_and_json_are_the_same(
    catalog: Catalog, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    for how in ([], ["--json"]):
        direct = catalog.run(capsys, *words, *how, through=False)
        there = catalog.run(capsys, *words, *how, through=True)
        assert there[:2] == direct[:2], (there[2], direct[2])
        if words[0] not in ("verify", "sync"):  # progress is told less often from there
            assert there[2] == direct[2]


def test_aliases_are_set_and_removed_in_the_same_words(
    catalog: Catalog, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = (
        ["alias", "near@1", "blessed"], ["pull", "near@blessed"], ["alias", "near@2", "blessed"],
        ["alias", "near", "--rm", "blessed"], ["alias", "near", "--rm", "blessed"],
    )  # fmt: skip
    direct, there = (
        [catalog.run(capsys, *words, through=through) for words in steps]
        for through in (False, True)
    )
    assert there == direct
    assert [code for code, *_ in there] == [0, 0, 0, 0, 3]


def test_publishing_again_and_publishing_new_say_the_same(
    catalog: Catalog, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    again = str(catalog.folder / "other0")
    direct = catalog.run(capsys, "publish", again, "--json", through=False)
    assert catalog.run(capsys, "publish", again, "--json", through=True) == direct
    told = []
    for name, through in (("new-a", False), ("new-b", True)):
        folder = generator_folder(tmp_path / name, name)
        code, said, words = catalog.run(capsys, "publish", str(folder), through=through)
        assert code == 0, words
        told.append(re.sub("sha256:[0-9a-f]{64}|new-[ab]", "X", said + words))
    assert told[0] == told[1]
    code, said, _ = catalog.run(capsys, "show", "new-b", "--json", through=False)
    assert (code, json.loads(said)["documented"]) == (0, True)  # the server's index is ours


def test_a_bad_folder_is_refused_in_the_same_words(
    catalog: Catalog, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = generator_folder(tmp_path / "bad", "bad")
    (folder / "model.onnx").write_bytes(b"not a model")
    direct = catalog.run(capsys, "publish", str(folder), through=False)
    assert direct[0] == 1
    assert catalog.run(capsys, "publish", str(folder), through=True) == direct


def test_recommending_is_the_same_and_sends_no_shower(
    catalog: Catalog, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from catalog.remote.client import Client

    sent: list[tuple[str, str, int]] = []
    really = Client.open

    def watched(self, method, path, query=None, data=None, *more, **how):  # type: ignore[no-untyped-def]
        sent.append((method, path, len(data or b"")))
        return really(self, method, path, query, data, *more, **how)

    monkeypatch.setattr(Client, "open", watched)
    for how in ([], ["--json"]):
        words = ["recommend", "--data", str(catalog.folder / "target.h5"), *how]
        direct = catalog.run(capsys, *words, through=False)
        assert not sent
        there = catalog.run(capsys, *words, through=True)
        assert there == direct
        posted = [(path, size) for method, path, size in sent if method != "GET"]
        sent.clear()
        assert [path for path, _ in posted] == ["/shortlist"]
        assert posted[0][1] < 70_000 < (catalog.folder / "target.h5").stat().st_size


def test_stores_are_the_same_but_for_addresses(
    catalog: Catalog, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = []
    for through in (False, True):
        _, said, _ = catalog.run(capsys, "stores", "ls", "--json", through=through)
        rows.append([{**it, "uri": "", "credential": None} for it in json.loads(said)["stores"]])
    assert rows[0] == rows[1]


def test_records_are_added_over_there_once(
    catalog: Catalog, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    records = [asdict(RUN), asdict(RUN) | {"seed": 7}]
    log.write_text("".join(f"{json.dumps(it)}\n" for it in records))
    for added in (1, 0):
        code, said, words = catalog.run(capsys, "runs", "--add", str(log), "--json", through=True)
        assert (code, words) == (0, f"added {added} records\n")
        assert [it["seed"] for it in json.loads(said)["runs"]] == [0, 7]


def test_a_foreign_version_is_annotated_over_there(
    catalog: Catalog, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from catalog.card import card_yaml
    from catalog.settings import load_settings
    from catalog.stores import open_named
    from tests.adapters.mlflow_foreign import register

    for name in ("strange-here", "strange-there"):
        register(open_named(load_settings().store), name, {"data/weights.bin": b"x" * 1000})
    catalog.run(capsys, "sync", through=False)
    told = []
    for name, through in (("strange-here", False), ("strange-there", True)):
        card = tmp_path / f"{name}.yaml"
        card.write_text(card_yaml(generator_card(name)))
        words = ("annotate", f"{name}@1", str(card), "--json")
        code, said, err = catalog.run(capsys, *words, through=through)
        assert code == 0, err
        told.append({**json.loads(said), "digest": ""})
    assert json.dumps(told[0]).replace("-here", "-there") == json.dumps(told[1])


@pytest.mark.parametrize("verb", ["replicate", "serve", "token", "doctor"])
def test_verbs_that_work_with_stores_say_so(
    catalog: Catalog, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    code, _, said = catalog.run(capsys, verb, through=True)
    assert code == 2
    assert f"catalog {verb} does not go through a registry" in said


def test_the_option_means_what_the_variable_means(
    catalog: Catalog, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOG_TOKEN", catalog.token)
    monkeypatch.setenv("CATALOG_REGISTRY", "")
    direct = catalog.run(capsys, "search", "--json", through=False)
    there = catalog.run(capsys, "--registry", catalog.url, "search", "--json", through=False)
    assert there == direct
    assert os.environ["CATALOG_REGISTRY"] == catalog.url
