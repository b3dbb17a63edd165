"""Which corner of which tenancy, from the URI that the user gave."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from catalog.address import shown
from catalog.errors import UsageError

_FORM = "oci:PROFILE?compartment=OCID&project=OCID[&bucket=NAME@NAMESPACE]"
_KEYS = ("compartment", "project", "bucket", "endpoint")
_OCID = re.compile(r"^ocid1\.[a-z0-9]+\.[a-zA-Z0-9._-]{1,240}$")
_PROFILE = re.compile(r"^[A-Za-z0-9_.-]{0,100}$")
_BUCKET = re.compile(r"^([A-Za-z0-9_.-]{1,256})@([A-Za-z0-9_-]{1,100})$")
_LOCAL = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Place:
    """A compartment and a project; `bucket` and `namespace` carry artifacts above 2 GB.

    `profile` is a section of ~/.oci/config, or `instance-principal` or `resource-principal`.
    """

    profile: str
    compartment: str
    project: str
    bucket: str = ""
    namespace: str = ""
    endpoint: str = ""

    @property
    def label(self) -> str:
        """What messages call it."""
        where = f" at {self.endpoint}" if self.endpoint else ""
        return f"the OCI model catalog ({self.profile}, project ...{self.project[-6:]}){where}"


def parse_place(uri: str) -> Place:
    """Read `oci:PROFILE?compartment=...&project=...`; no PROFILE is DEFAULT.

    Raises
    ------
    UsageError
        Anything else. A URI never carries a credential.
    """
    profile, _, query = uri.removeprefix("oci:").partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(set(options) - set(_KEYS))
    if not uri.startswith("oci:") or not _PROFILE.fullmatch(profile) or unknown:
        named = unknown and re.fullmatch("[a-z_]{1,40}", unknown[0])  # it might be a secret itself
        what = f"unknown option {unknown[0]!r}" if named else f"{shown(uri)[:60]!r}"
        raise UsageError(f"not an OCI model catalog: {what}", f"use {_FORM}")
    for name, kind in (("compartment", "compartment or tenancy"), ("project", "project")):
        if not _OCID.fullmatch(options.get(name, "")):
            raise UsageError(f"the OCI store needs the OCID of a {kind}: {name}=", f"use {_FORM}")
    bucket = _BUCKET.fullmatch(options.get("bucket", ""))
    if options.get("bucket") and not bucket:
        raise UsageError("bucket= is not NAME@NAMESPACE", "your namespace: oci os ns get")
    return Place(
        profile or "DEFAULT",
        options["compartment"],
        options["project"],
        bucket[1] if bucket else "",
        bucket[2] if bucket else "",
        _endpoint(options.get("endpoint", "")),
    )


def _endpoint(url: str) -> str:
    """Another address of the service; signed requests go nowhere in clear but to this machine."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises on nonsense
    except ValueError as exc:
        raise UsageError("endpoint= is malformed", "use endpoint=https://host") from exc
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)
    if not safe or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError("endpoint= is not an https address", "use endpoint=https://host")
    return url.rstrip("/")
