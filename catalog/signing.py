"""Signatures: who vouches for a version. OpenSSF Model Signing v1.0, with a key of one's own.

`model.sig` is a file of the version like any other: it is in the manifest, so signing gives a new
digest, and a store that flips a byte of it is found out. It signs every other file by its SHA-256;
itself and manifest.json, which repeats those, it cannot. What it signs is compared with the
manifest, not with what the signature says should be ignored.
"""

from __future__ import annotations

import sys
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from catalog.errors import BadFile, BadSignature, MissingExtra, cannot_write
from catalog.gate import check_folder
from catalog.manifest import MANIFEST_FILE, Manifest, build_manifest
from catalog.publish import Say, add_test_vectors
from catalog.settings import Settings
from catalog.signed import SIGNATURE_FILE
from catalog.text import first_line

# Whoever signs with model_signing's own command leaves these out, too; no version can hold them.
_GIT = frozenset({".git", ".gitattributes", ".github", ".gitignore"})
_UNSIGNED = frozenset({SIGNATURE_FILE, MANIFEST_FILE})


def sign(folder: Path, key: Path, password: str | None, say: Say) -> Manifest:
    """Check a version folder and write its model.sig; returns the manifest with it.

    Parameters
    ----------
    key : private key, PEM, on the curve P-256, P-384 or P-521
    password : of an encrypted key

    Raises
    ------
    CheckFailed
        Only what can be published is signed.
    BadFile
        It is no such key.
    """
    add_test_vectors(folder, say)
    manifest = check_folder(folder, signing=True).manifest
    library = _library()
    config = library.signing.Config().set_hashing_config(_Hashed(library, folder.name, manifest))
    temp = folder / f".{SIGNATURE_FILE}.{uuid.uuid4().hex}"
    try:
        try:
            secret = password.encode() if password else None
            config.use_elliptic_key_signer(private_key=key, password=secret)
        except Exception as exc:
            raise BadFile(f"{key}: no private key that can sign: {first_line(exc)}", _KEYS) from exc
        config.sign(folder, temp)
        temp.replace(folder / SIGNATURE_FILE)
    except OSError as exc:
        raise cannot_write(folder, exc) from exc
    finally:
        temp.unlink(missing_ok=True)
    return build_manifest(folder)


_KEYS = (
    "make a pair: openssl ecparam -name prime256v1 -genkey -noout -out key.pem && "
    "openssl ec -in key.pem -pubout -out key.pub"
)


def check_signature(signature: bytes, manifest: Manifest, public_key: Path) -> None:
    """Check that a key's owner signed all files of a manifest, but for the signature itself.

    Raises
    ------
    BadSignature
        Another key's, of other files, or no signature.
    BadFile
        `public_key` is none.
    """
    library = _library()
    try:
        config = library.verifying.Config().use_elliptic_key_verifier(public_key=public_key)
    except Exception as exc:
        raise BadFile(f"{public_key}: not a public key: {first_line(exc)}", _KEYS) from exc
    config.set_hashing_config(_Hashed(library, "", manifest))
    try:
        with _as_file(signature) as path, redirect_stdout(sys.stderr):  # it prints warnings there
            config.verify(Path(), path)
    except Exception as exc:
        reason = first_line(exc) or "the signature does not fit the key"
        raise BadSignature(
            f"{SIGNATURE_FILE} is not a signature of these files by {public_key}: {reason}",
            "ask who published it for the right key; do not use the version until it fits",
        ) from exc


def demand(folder: Path, ref: str, settings: Settings) -> None:
    """Check a pulled version's signature where the user or the store's entry demands one.

    Raises
    ------
    BadSignature
    """
    required, key = policy(settings)
    if required:
        _check_folder_signature(folder, build_manifest(folder), ref, settings.store, key)


def demand_to_publish(folder: Path, manifest: Manifest, ref: str, store: str) -> None:
    """Hold a folder to the rule on signatures of the store that it is to be published to.

    Raises
    ------
    BadSignature
    """
    required, key = policy_of(store)
    if required:
        _check_folder_signature(folder, manifest, ref, store, key)


def _check_folder_signature(
    folder: Path, manifest: Manifest, ref: str, store: str, key: Path | None
) -> None:
    path = folder / SIGNATURE_FILE
    key = check_demand(ref, store, key, path.is_file())
    check_signature(path.read_bytes(), manifest, key)


def check_demand(ref: str, store: str, key: Path | None, signed: bool) -> Path:
    """The key by which a version of a store that requires signatures is judged.

    Raises
    ------
    BadSignature
        There is no key, or no signature.
    """
    if key is None:
        raise BadSignature(
            f"{ref}: a signature is required, but no public key is given",
            "--public-key KEY.pem, or `public_key:` of the store in stores.yaml",
        )
    if not signed:
        raise BadSignature(
            f"{ref} is not signed, and {store} is for signed versions only",
            "ask its author to sign it: catalog sign FOLDER --key KEY.pem, and publish it",
        )
    return key


def policy_of(store: str) -> tuple[bool, Path | None]:
    """(whether a store requires signatures, the public key of its entry in stores.yaml)."""
    from catalog.store_names import config_file, read_names, registry_name, registry_told

    names = read_names(config_file())
    # Through a registry its own entry counts: what its stores are called says nothing here.
    named = names.stores.get(registry_name(names) if registry_told() else store)
    key = Path(named.public_key) if named and named.public_key else None
    return bool(named and named.require_signature), key


def policy(settings: Settings) -> tuple[bool, Path | None]:
    """(whether a signature is required, the public key): the user's word, else the store's."""
    required, key = policy_of(settings.store)
    return settings.require_signature or required, settings.public_key or key


class _Hashed:
    """Stands where the library would hash a folder: our manifest has hashed it already.

    The signature may name paths to be ignored. What a version could hold is never among them, or
    a signature of nothing would pass for one of everything.
    """

    def __init__(self, library: Any, name: str, manifest: Manifest) -> None:
        self._library = library
        self._name = name
        self._entries = [it for it in manifest.entries if it.path not in _UNSIGNED]

    def hash(self, model_path: Any, *, files_to_hash: Any = None) -> Any:
        """The manifest in the library's terms."""
        del model_path, files_to_hash
        module = self._library.manifest
        how = module.SerializationType.from_args(
            {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": sorted(_UNSIGNED),
            }
        )
        items = [how.new_item(it.path, self._digest(it.digest)) for it in self._entries]
        return module.Manifest(self._name, items, how)

    def add_ignored_paths(self, *, model_path: Any, paths: Iterable[Any]) -> None:
        """Refuse a signature that ignores more than it must."""
        del model_path
        more = sorted({str(path) for path in paths} - _UNSIGNED - _GIT)
        if more:
            raise ValueError(f"it leaves out {', '.join(more[:5])}")

    def _digest(self, text: str) -> Any:
        kind = self._library.manifest.hashing.Digest
        return kind("sha256", bytes.fromhex(text.removeprefix("sha256:")))


def _library() -> Any:
    """OpenSSF model-signing, imported when something is signed or checked (a second)."""
    try:
        from model_signing import manifest, signing, verifying
    except ImportError as exc:
        raise MissingExtra("sign", "signing, and checking signatures,") from exc
    return SimpleNamespace(manifest=manifest, signing=signing, verifying=verifying)


@contextmanager
def _as_file(data: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / SIGNATURE_FILE
        path.write_bytes(data)
        yield path
