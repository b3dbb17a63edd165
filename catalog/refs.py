"""References people type: `name`, `name@3`, `name@sha256:...`, `store:name@...`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from catalog.errors import UsageError

_REF = re.compile(
    r"^(?:(?P<store>[a-z0-9][a-z0-9_-]{0,31}):)?"
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,248}[A-Za-z0-9._-])?)"
    r"(?:@(?:(?P<version>[1-9][0-9]{0,8})|(?P<digest>sha256:[0-9a-f]{6,64})))?$"
)


@dataclass(frozen=True)
class Ref:
    """A parsed reference; at most one of version and digest (may be a prefix) is set."""

    name: str
    store: str | None = None
    version: int | None = None
    digest: str | None = None


def parse_ref(text: str) -> Ref:
    """Parse a reference.

    Raises
    ------
    UsageError
        With the accepted forms.
    """
    found = _REF.match(text)
    if not found:
        raise UsageError(
            f"not a model reference: {text[:100]!r}",
            "write name, name@3 or name@sha256:..., for example: catalog show vae-clic-siw@1",
        )
    version = found["version"]
    return Ref(found["name"], found["store"], int(version) if version else None, found["digest"])
