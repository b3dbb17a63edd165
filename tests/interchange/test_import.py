"""What comes back from another catalog is what went out, or is refused with its reason."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catalog.card import card_yaml
from catalog.errors import BadFile, CatalogError, CheckFailed, DigestMismatch, UsageError
from catalog.interchange import FORMATS, export_version, import_version
from catalog.manifest import build_manifest
from catalog.pull import Pulled, read_folder
from tests.catalog.test_cli import run
from tests.interchange.versions import files, rich_folder, with_external_weights
from tests.toys import generator_card, generator_folder

CARRYING = [name for name, form in FORMATS.items() if form.carries]


def silent(_: str) -> None:
    """Say nothing."""


def take(name: str, folder: Path, out: Path, card: Path | None = None) -> str:
    return import_version(name, folder, out, card, silent).manifest.digest


@pytest.fixture
def version(tmp_path: Path) -> Pulled:
    return read_folder(with_external_weights(rich_folder(tmp_path / "toy")))


@pytest.mark.parametrize("name", CARRYING)
def test_a_round_trip_keeps_the_digest_and_every_byte(
    tmp_path: Path, version: Pulled, name: str
) -> None:
    export_version(name, version, tmp_path / "out")
    assert take(name, tmp_path / "out", tmp_path / "back") == version.digest
    assert files(tmp_path / "back") == files(version.folder)
    assert build_manifest(tmp_path / "back").digest == version.digest


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in CARRYING])
def test_what_carries_no_files_cannot_be_imported(
    tmp_path: Path, version: Pulled, name: str
) -> None:
    export_version(name, version, tmp_path / "out")
    with pytest.raises(UsageError, match="does not carry its files"):
        take(name, tmp_path / "out", tmp_path / "back")


@pytest.mark.parametrize("name", CARRYING)
def test_any_changed_file_is_noticed_and_leaves_nothing(
    tmp_path: Path, version: Pulled, name: str
) -> None:
    export_version(name, version, tmp_path / "out")
    kept = {"huggingface": {"README.md"}, "oci-artifact": {"oci-layout", "index.json"}}[name]
    for path in sorted(set(files(tmp_path / "out")) - kept):
        target = tmp_path / "out" / path
        before = target.read_bytes()
        target.write_bytes(bytes([before[0] ^ 1]) + before[1:])
        if name == "oci-artifact" and b"modelfs" in before:
            target.write_bytes(before)
            continue  # the configuration repeats what the card says; nothing of it is taken
        with pytest.raises((DigestMismatch, BadFile)):
            take(name, tmp_path / "out", tmp_path / "back")
        target.write_bytes(before)
        assert not (tmp_path / "back").exists()
    assert take(name, tmp_path / "out", tmp_path / "back") == version.digest


def test_imported_twice_into_one_place_is_refused(tmp_path: Path, version: Pulled) -> None:
    export_version("huggingface", version, tmp_path / "out")
    take("huggingface", tmp_path / "out", tmp_path / "back")
    with pytest.raises(UsageError, match="exists already"):
        take("huggingface", tmp_path / "out", tmp_path / "back")


def test_a_file_that_git_lfs_did_not_fetch_is_said_to_be_that(
    tmp_path: Path, version: Pulled
) -> None:
    export_version("huggingface", version, tmp_path / "out")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    (tmp_path / "out" / "model.onnx").write_text(pointer)
    with pytest.raises(BadFile, match="Git LFS pointer") as caught:
        take("huggingface", tmp_path / "out", tmp_path / "back")
    assert caught.value.hint == "git lfs pull"


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A repository of somebody who knows nothing of this catalog."""
    folder = with_external_weights(generator_folder(tmp_path / "v"))
    place = tmp_path / "foreign" / "onnx"
    place.mkdir(parents=True)
    for name in ("model.onnx", "weights.data"):
        (folder / name).rename(place / name)
    (place.parent / "README.md").write_text("---\nlicense: mit\n---\n# Theirs\n")
    (place.parent / "pytorch_model.bin").write_bytes(b"\x80\x04 a pickle")
    return place.parent


def test_a_foreign_repository_says_what_its_card_needs(tmp_path: Path, foreign: Path) -> None:
    with pytest.raises(CheckFailed) as caught:
        take("huggingface", foreign, tmp_path / "back")
    text = "\n".join(caught.value.problems)
    for word in ("task", "licence", "domain", "'energy_gev'", "float32", "'showers'"):
        assert word in text
    assert "--card" in caught.value.hint
    assert not (tmp_path / "back").exists()


def test_a_foreign_repository_with_a_card_becomes_a_version(tmp_path: Path, foreign: Path) -> None:
    card = tmp_path / "card.yaml"
    card.write_text(card_yaml(generator_card("theirs")))
    take("huggingface", foreign, tmp_path / "back", card)
    names = {"README.md", "card.yaml", "model.onnx", "weights.data"}
    assert set(files(tmp_path / "back")) == names | {"test_inputs.npz", "test_outputs.npz"}


def test_a_card_that_does_not_fit_the_foreign_model_is_refused(
    tmp_path: Path, foreign: Path
) -> None:
    card = tmp_path / "card.yaml"
    card.write_text(card_yaml(generator_card("theirs")).replace("name: energy_gev", "name: e"))
    with pytest.raises(CheckFailed, match="'e' is not in the model"):
        take("huggingface", foreign, tmp_path / "back", card)


def test_two_foreign_models_are_one_too_many(tmp_path: Path, foreign: Path) -> None:
    (foreign / "other.onnx").write_bytes(b"x")
    with pytest.raises(BadFile, match="exactly one"):
        take("huggingface", foreign, tmp_path / "back")


def test_links_out_of_a_foreign_repository_are_not_followed(tmp_path: Path, foreign: Path) -> None:
    (foreign / "onnx" / "model.onnx").unlink()
    (foreign / "onnx" / "model.onnx").symlink_to(tmp_path / "v" / "card.yaml")
    with pytest.raises(BadFile, match="not a plain file"):
        take("huggingface", foreign, tmp_path / "back")


def rewrite(place: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest of an OCI layout as an attacker would: with digests that fit again."""
    index = json.loads((place / "index.json").read_bytes())
    old = place / "blobs" / "sha256" / index["manifests"][0]["digest"].removeprefix("sha256:")
    document = json.loads(old.read_bytes())
    change(document)
    data = json.dumps(document).encode()
    digest = hashlib.sha256(data).hexdigest()
    (old.parent / digest).write_bytes(data)
    index["manifests"][0] |= {"digest": f"sha256:{digest}", "size": len(data)}
    (place / "index.json").write_text(json.dumps(index))


def set_path(path: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document["annotations"] = {}
        document["layers"][0]["annotations"] = {"org.cncf.model.filepath": path}

    return change


def set_layer(**fields: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document["annotations"] = {}
        document["layers"][0] |= fields

    return change


HOSTILE = {
    "a path out of the folder": set_path("../../evil"),
    "an absolute path": set_path("/etc/passwd"),
    "a hidden file": set_path(".bashrc"),
    "a path with a backslash": set_path("a\\b"),
    "a path with a NUL": set_path("a\0b"),
    "the path of another layer": set_path("model.onnx"),
    "another layer's path in capitals": set_path("MODEL.onnx"),
    "an archive": set_layer(mediaType="application/vnd.cncf.model.weight.v1.tar"),
    "a packed archive": set_layer(mediaType="application/vnd.oci.image.layer.v1.tar+gzip"),
    "a size that is too small": set_layer(size=1),
    "a size that is too large": set_layer(size=10**9),
    "a size beyond every disk": set_layer(size=10**18),
    "a negative size": set_layer(size=-1),
    "a size that is no number": set_layer(size="1"),
    "a digest that is a path": set_layer(digest="sha256:../../index.json"),
    "a digest of another kind": set_layer(digest="md5:00"),
    "a digest of nothing that is there": set_layer(digest="sha256:" + "0" * 64),
    "no name": set_layer(annotations={}),
    "names of a wrong type": set_layer(annotations=[1]),
    "layers that are none": lambda document: document.update(layers=3),
    "no layers": lambda document: document.pop("layers"),
    "too many layers": lambda document: document.update(
        annotations={},
        layers=[
            document["layers"][0] | {"annotations": {"org.cncf.model.filepath": f"f{n}.txt"}}
            for n in range(1001)
        ],
    ),
    "another version's digest": lambda document: document.update(
        annotations={"hep-model-catalog.digest": "sha256:" + "0" * 64}
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_oci_layout_is_refused_and_leaves_nothing(
    tmp_path: Path, version: Pulled, what: str
) -> None:
    export_version("oci-artifact", version, tmp_path / "out")
    rewrite(tmp_path / "out", HOSTILE[what])
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises((BadFile, DigestMismatch)):
        take("oci-artifact", tmp_path / "out", tmp_path / "back")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["oci-layout", "index.json"])
@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b"[" * 100_000, b"\xff", b'{"manifests": 3}', b"x" * 5_000_000]
)
def test_a_malformed_oci_layout_is_refused(
    tmp_path: Path, version: Pulled, name: str, data: bytes
) -> None:
    export_version("oci-artifact", version, tmp_path / "out")
    (tmp_path / "out" / name).write_bytes(data)
    with pytest.raises(BadFile):
        take("oci-artifact", tmp_path / "out", tmp_path / "back")


@pytest.mark.parametrize("kind", ["file", "folder", "nothing", "pipe"])
@pytest.mark.parametrize("name", CARRYING)
def test_a_link_is_refused_also_where_nothing_would_read_it(
    tmp_path: Path, version: Pulled, name: str, kind: str
) -> None:
    export_version(name, version, tmp_path / "out")
    (tmp_path / "out" / "deep").mkdir()
    link = tmp_path / "out" / "deep" / "more.txt"
    targets = {"file": tmp_path / "toy" / "card.yaml", "folder": tmp_path / "toy"}
    if kind == "pipe":
        os.mkfifo(link)
    else:
        link.symlink_to(targets.get(kind, tmp_path / "absent"))
    with pytest.raises(BadFile, match=r"more\.txt: not a plain file"):
        take(name, tmp_path / "out", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_blob_that_is_a_link_or_a_pipe_is_refused(tmp_path: Path, version: Pulled) -> None:
    export_version("oci-artifact", version, tmp_path / "out")
    largest = max((tmp_path / "out" / "blobs" / "sha256").iterdir(), key=lambda p: p.stat().st_size)
    data = largest.read_bytes()
    largest.unlink()
    (tmp_path / "elsewhere").write_bytes(data)
    largest.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadFile, match="not a plain file"):
        take("oci-artifact", tmp_path / "out", tmp_path / "back")
    largest.unlink()
    os.mkfifo(largest)
    with pytest.raises(BadFile, match="not a plain file"):
        take("oci-artifact", tmp_path / "out", tmp_path / "back")


def test_what_the_gate_refuses_is_not_imported(tmp_path: Path) -> None:
    folder = generator_folder(tmp_path / "toy")
    pulled = read_folder(folder)
    (folder / "run.txt").write_bytes(b"\x80\x04 a pickle")
    export_version("oci-artifact", pulled, tmp_path / "out")
    with pytest.raises(CheckFailed, match="pickle"):
        take("oci-artifact", tmp_path / "out", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_an_absent_folder_is_an_error_of_the_catalog(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no such folder"):
        take("huggingface", tmp_path / "nowhere", tmp_path / "back")


def test_the_commands_say_what_they_wrote_and_what_is_next(tmp_path: Path) -> None:
    folder = generator_folder(tmp_path / "toy")
    done = run(
        tmp_path, "export", "oci-artifact", f"{folder}/", "-o", str(tmp_path / "o"), "--json"
    )
    assert done.returncode == 0, done.stderr
    digest = json.loads(done.stdout)["digest"]
    done = run(tmp_path, "import", "oci-artifact", str(tmp_path / "o"), "-o", str(tmp_path / "b"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "b")
    assert digest in done.stderr
    assert "catalog publish" in done.stderr
    done = run(tmp_path, "export", "docx", f"{folder}/", "-o", str(tmp_path / "x"))
    assert (done.returncode, "known formats" in done.stderr) == (2, True)
