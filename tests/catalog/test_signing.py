"""Signatures: what they cover, whose they are, and who must have one."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from catalog.errors import BadFile, BadSignature, CheckFailed
from catalog.gate import check_folder
from catalog.index import open_index
from catalog.manifest import build_manifest, parse_manifest
from catalog.publish import Published, publish
from catalog.pull import fetch
from catalog.settings import Settings
from catalog.signed import SIGNATURE_FILE
from catalog.signing import check_signature, sign
from catalog.store_names import Named, read_names
from catalog.stores.memory import MemoryStore
from tests.catalog.test_cli import run
from tests.toys import generator_folder


def silent(_: str) -> None:
    """Say nothing."""


def key_pair(
    place: Path, name: str, password: bytes | None = None, curve: str = "SECP256R1"
) -> Path:
    """Write NAME.pem and NAME.pub; the private one's path."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(getattr(ec, curve)())
    hide = form.BestAvailableEncryption(password) if password else form.NoEncryption()
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, hide)
    public = key.public_key().public_bytes(
        form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo
    )
    (place / f"{name}.pem").write_bytes(private)
    (place / f"{name}.pub").write_bytes(public)
    return place / f"{name}.pem"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("keys")
    key_pair(place, "ours")
    key_pair(place, "theirs")
    return place


@pytest.fixture
def signed(tmp_path: Path, keys: Path) -> Path:
    folder = generator_folder(tmp_path / "toy")
    sign(folder, keys / "ours.pem", None, silent)
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    yield Settings(home=tmp_path / "home", cache=tmp_path / "cache", store="memory")


def put(folder: Path, store: MemoryStore, settings: Settings) -> Published:
    with open_index(settings.home) as index:
        return publish(folder, store, settings.store, index, silent)


def test_a_signature_holds_for_the_files_it_was_made_of(signed: Path, keys: Path) -> None:
    manifest = build_manifest(signed)
    assert SIGNATURE_FILE in {entry.path for entry in manifest.entries}, "a file like any other"
    check_signature((signed / SIGNATURE_FILE).read_bytes(), manifest, keys / "ours.pub")


def test_another_key_does_not_fit(signed: Path, keys: Path) -> None:
    data = (signed / SIGNATURE_FILE).read_bytes()
    with pytest.raises(BadSignature, match=r"theirs\.pub"):
        check_signature(data, build_manifest(signed), keys / "theirs.pub")


@pytest.mark.parametrize("change", ["more", "less", "other"])
def test_a_signature_covers_every_file(signed: Path, keys: Path, change: str) -> None:
    if change == "less":
        (signed / "notes.txt").write_text("signed")
        sign(signed, keys / "ours.pem", None, silent)
    data = (signed / SIGNATURE_FILE).read_bytes()
    if change == "more":
        (signed / "notes.txt").write_text("added")
    elif change == "less":
        (signed / "notes.txt").unlink()
    else:
        (signed / "card.yaml").write_text((signed / "card.yaml").read_text() + "\n")
    with pytest.raises(BadSignature):
        check_signature(data, build_manifest(signed), keys / "ours.pub")
    with pytest.raises(CheckFailed, match="sign again"):
        check_folder(signed)


def test_a_signature_that_leaves_files_out_counts_for_nothing(tmp_path: Path, keys: Path) -> None:
    """The key's owner may sign half of a folder; that vouches for no version."""
    folder = generator_folder(tmp_path / "toy")
    command = [
        "sign", "key", "--private_key", str(keys / "ours.pem"), "--signature",
        str(folder / SIGNATURE_FILE), "--ignore-paths", str(folder / "model.onnx"), str(folder),
    ]  # fmt: skip
    run_library(*command)
    manifest = build_manifest(folder)
    with pytest.raises(BadSignature):
        check_signature((folder / SIGNATURE_FILE).read_bytes(), manifest, keys / "ours.pub")


def run_library(*words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "model_signing", *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_we_sign_the_library_verifies_and_the_other_way_round(
    signed: Path, keys: Path, tmp_path: Path
) -> None:
    (signed / "manifest.json").write_bytes(build_manifest(signed).to_bytes())  # as pulled
    path = str(signed / SIGNATURE_FILE)
    public = str(keys / "ours.pub")
    run_library("verify", "key", "--public_key", public, "--signature", path, str(signed))
    theirs = generator_folder(tmp_path / "theirs")
    path = str(theirs / SIGNATURE_FILE)
    private = str(keys / "theirs.pem")
    run_library("sign", "key", "--private_key", private, "--signature", path, str(theirs))
    check_folder(theirs)
    data = (theirs / SIGNATURE_FILE).read_bytes()
    check_signature(data, build_manifest(theirs), keys / "theirs.pub")


def test_any_changed_byte_of_a_signature_is_noticed(signed: Path, keys: Path) -> None:
    data, manifest = (signed / SIGNATURE_FILE).read_bytes(), build_manifest(signed)
    document = json.loads(data)
    inner = base64.b64decode(document["dsseEnvelope"]["payload"])
    for place in range(0, len(inner), 97):
        wrong = inner[:place] + bytes([inner[place] ^ 1]) + inner[place + 1 :]
        document["dsseEnvelope"]["payload"] = base64.b64encode(wrong).decode()
        with pytest.raises(BadSignature):
            check_signature(json.dumps(document).encode(), manifest, keys / "ours.pub")


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 100_000, b"\xff", b'{"dsseEnvelope": 3}'])
def test_what_is_no_signature_is_refused(signed: Path, keys: Path, data: bytes) -> None:
    with pytest.raises(BadSignature):
        check_signature(data, build_manifest(signed), keys / "ours.pub")
    (signed / SIGNATURE_FILE).write_bytes(data)
    with pytest.raises(CheckFailed, match=r"model\.sig"):
        check_folder(signed)


def test_only_what_can_be_published_is_signed(tmp_path: Path, keys: Path) -> None:
    folder = generator_folder(tmp_path / "toy")
    (folder / "notes.txt").write_bytes(b"\x80\x04 a pickle")
    with pytest.raises(CheckFailed, match="pickle"):
        sign(folder, keys / "ours.pem", None, silent)
    assert not (folder / SIGNATURE_FILE).exists()


def test_signing_again_replaces_a_stale_signature(signed: Path, keys: Path) -> None:
    (signed / "notes.txt").write_text("added")
    manifest = sign(signed, keys / "theirs.pem", None, silent)
    check_folder(signed)
    check_signature((signed / SIGNATURE_FILE).read_bytes(), manifest, keys / "theirs.pub")
    assert not [path for path in signed.iterdir() if path.name.startswith(".")]


def test_an_encrypted_key_on_another_curve_signs_with_its_password(tmp_path: Path) -> None:
    key_pair(tmp_path, "secret", b"pass", "SECP384R1")
    folder = generator_folder(tmp_path / "toy")
    with pytest.raises(BadFile, match="no private key"):
        sign(folder, tmp_path / "secret.pem", None, silent)
    manifest = sign(folder, tmp_path / "secret.pem", "pass", silent)
    check_signature((folder / SIGNATURE_FILE).read_bytes(), manifest, tmp_path / "secret.pub")


def test_a_file_that_is_no_key_says_how_to_make_one(tmp_path: Path, signed: Path) -> None:
    (tmp_path / "no.pem").write_text("no key")
    with pytest.raises(BadFile) as caught:
        sign(signed, tmp_path / "no.pem", None, silent)
    assert "openssl" in caught.value.hint
    with pytest.raises(BadFile, match="not a public key"):
        check_signature(b"{}", build_manifest(signed), tmp_path / "no.pem")


def test_publishing_carries_the_signature_along(
    signed: Path, keys: Path, settings: Settings
) -> None:
    store = MemoryStore()
    version = put(signed, store, settings).version
    manifest = parse_manifest(store.manifest(version), "store")
    assert SIGNATURE_FILE in {entry.path for entry in manifest.entries}
    strict = replace(settings, require_signature=True, public_key=keys / "ours.pub")
    assert fetch(version, strict, store).digest == version.digest


def test_an_unsigned_version_is_not_given_out_where_a_signature_is_required(
    tmp_path: Path, keys: Path, settings: Settings
) -> None:
    store = MemoryStore()
    version = put(generator_folder(tmp_path / "toy"), store, settings).version
    fetch(version, settings, store)  # in the cache: no way around
    strict = replace(settings, require_signature=True, public_key=keys / "ours.pub")
    with pytest.raises(BadSignature, match="is not signed"):
        fetch(version, strict, store)
    with pytest.raises(BadSignature, match="no public key"):
        fetch(version, replace(settings, require_signature=True), store)


def test_a_version_signed_by_somebody_else_is_not_given_out(
    signed: Path, keys: Path, settings: Settings
) -> None:
    store = MemoryStore()
    version = put(signed, store, settings).version
    strict = replace(settings, require_signature=True, public_key=keys / "theirs.pub")
    with pytest.raises(BadSignature, match=r"theirs\.pub"):
        fetch(version, strict, store)


def test_a_store_is_added_with_the_key_and_the_credential_it_was_told(tmp_path: Path) -> None:
    config = tmp_path / "stores.yaml"
    done = run(
        tmp_path, "stores", "add", "lab", "mlflow+http://127.0.0.1:1", "--require-signature",
        "--public-key", "lab.pub", "--token-env", "LAB_TOKEN", CATALOG_CONFIG=str(config),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert read_names(config).stores["lab"] == Named(
        "mlflow+http://127.0.0.1:1", require_signature=True, token_env="LAB_TOKEN",
        public_key=str(Path("lab.pub").absolute()),
    )  # fmt: skip


def test_a_store_can_require_signatures_for_everybody(
    tmp_path: Path, keys: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "stores.yaml"
    config.write_text(
        "stores:\n  lab: {uri: 'memory:', require_signature: true, "
        f"public_key: {keys / 'ours.pub'}}}\n"
    )
    monkeypatch.setenv("CATALOG_CONFIG", str(config))
    store, lab = MemoryStore(), replace(settings, store="lab")
    unsigned = generator_folder(tmp_path / "plain")
    with pytest.raises(BadSignature, match="lab is for signed versions only"):
        put(unsigned, store, lab)
    assert not store._blobs and not list(store.versions())
    plain = put(unsigned, store, settings).version  # by somebody who knows of no rule
    with pytest.raises(BadSignature, match="lab is for signed versions only"):
        fetch(plain, lab, store)
    folder = generator_folder(tmp_path / "signed", depth=5.0)
    sign(folder, keys / "ours.pem", None, silent)
    version = put(folder, store, lab).version
    assert fetch(version, lab, store).digest == version.digest
