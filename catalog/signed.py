"""What a model.sig says it signs, read without any cryptography: enough to see that it is stale."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from catalog.errors import BadFile
from catalog.manifest import Manifest

SIGNATURE_FILE = "model.sig"
MAX_SIGNATURE = 5_000_000  # bytes


def read_signed(path: Path) -> dict[str, str]:
    """The files that a signature names, path -> `sha256:<hex>`. Nothing is verified.

    Raises
    ------
    BadFile
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SIGNATURE + 1)
        if len(data) > MAX_SIGNATURE:
            raise ValueError(f"larger than {MAX_SIGNATURE} bytes")
        envelope = json.loads(data)["dsseEnvelope"]
        payload = json.loads(base64.b64decode(envelope["payload"], validate=True))
        resources = payload["predicate"]["resources"]
        return {str(it["name"]): f"{it['algorithm']}:{it['digest']}" for it in resources}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as exc:
        raise BadFile(f"{path}: not a signature of OpenSSF Model Signing: {exc}") from exc


def stale(folder: Path, manifest: Manifest) -> list[str]:
    """Why the signature in a folder, if there is one, is not of these files."""
    path = folder / SIGNATURE_FILE
    if not path.is_file():
        return []
    try:
        signed = read_signed(path)
    except BadFile as exc:
        return [exc.message]
    files = {it.path: it.digest for it in manifest.entries if it.path != SIGNATURE_FILE}
    names = sorted(name for name in {*signed, *files} if signed.get(name) != files.get(name))
    if not names:
        return []
    shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
    return [
        f"{SIGNATURE_FILE} does not sign the files as they are ({shown}): sign again "
        "(catalog sign FOLDER --key KEY.pem), or delete it"
    ]
