"""Who may ask: an RSA key in an ordinary ~/.oci/config, and the check of every signature."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.adapters.oci_double.wire import RefusedError

_SKEW = 300  # seconds
_FIELD = re.compile(r'(\w+)="([^"]*)"')
_SCHEME = re.compile(r"^Signature\s+", re.IGNORECASE)


@dataclass(frozen=True)
class Identity:
    """A user with a key."""

    key: rsa.RSAPrivateKey
    tenancy: str = "ocid1.tenancy.oc1..aaaadouble"
    user: str = "ocid1.user.oc1..aaaaphysicist"

    @classmethod
    def new(cls, user: str = "physicist") -> Identity:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return cls(key, user=f"ocid1.user.oc1..aaaa{user}")

    @property
    def fingerprint(self) -> str:
        public = self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        digest = hashlib.md5(public, usedforsecurity=False).hexdigest()
        return ":".join(digest[i : i + 2] for i in range(0, 32, 2))

    @property
    def key_id(self) -> str:
        return f"{self.tenancy}/{self.user}/{self.fingerprint}"

    def write_config(self, folder: Path) -> Path:
        """Write config and key as `oci setup config` would; returns the config's path."""
        folder.mkdir(parents=True, exist_ok=True)
        pem = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        (folder / "key.pem").write_bytes(pem + b"OCI_API_KEY\n")
        config = folder / "config"
        config.write_text(
            f"[DEFAULT]\nuser={self.user}\ntenancy={self.tenancy}\nregion=us-ashburn-1\n"
            f"fingerprint={self.fingerprint}\nkey_file={folder / 'key.pem'}\n"
        )
        for path in (config, folder / "key.pem"):
            path.chmod(0o600)
        return config


def check_signature(
    identities: list[Identity], method: str, target: str, headers: Any, now: float
) -> Identity:
    """Whose signature it is; 401 if it is nobody's, stale, or leaves out what must be signed."""
    text = headers.get("authorization", "")
    fields = dict(_FIELD.findall(_SCHEME.sub("", text)))
    known = {it.key_id: it for it in identities}
    signed = fields.get("headers", "").lower().split()
    try:
        identity = known[fields["keyId"]]
        date = parsedate_to_datetime(headers["date"] or headers["x-date"])
        if abs(date.timestamp() - now) > _SKEW:
            raise RefusedError(401, "NotAuthenticated", "the date is stale")
        if not {"(request-target)", "host"} <= set(signed) or not {"date", "x-date"} & set(signed):
            raise RefusedError(401, "NotAuthenticated", "too little is signed")
        lines = [
            f"(request-target): {method.lower()} {target}"
            if name == "(request-target)"
            else f"{name}: {headers[name]}"
            for name in signed
        ]
        identity.key.public_key().verify(
            base64.b64decode(fields["signature"]),
            "\n".join(lines).encode(),
            padding.PKCS1v15(),
            hashes.SHA256(),
        )
    except (KeyError, ValueError, TypeError, InvalidSignature) as exc:
        raise RefusedError(401, "NotAuthenticated", "the signature is not right") from exc
    return identity


def check_body(headers: Any, body: bytes) -> None:
    """A JSON body must be signed, by its SHA-256."""
    if "x-content-sha256" not in headers.get("authorization", ""):
        raise RefusedError(401, "NotAuthenticated", "the body is not signed")
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    if headers.get("x-content-sha256") != digest:
        raise RefusedError(401, "NotAuthenticated", "the body is not the signed one")
