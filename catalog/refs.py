"""References people type: name, name@3, name@champion, name@sha256:..., store:name@... ."""

from __future__ import annotations

import re
from dataclasses import dataclass

from catalog.address import shown
from catalog.errors import UsageError

_REF = re.compile(
    r"^(?:(?P<store>[a-z0-9][a-z0-9_-]{0,31}):)?"
    # Other people's names, too: letters of any language, but nothing that could be an option,
    # a path or another part of a reference. After its store a name may begin like an option.
    r"(?P<name>(?(store)[\w-]|[^\W_])(?:[\w .-]{0,248}[\w.-])?)"
    r"(?:@(?:(?P<version>[1-9][0-9]{0,8})|(?P<digest>sha256:[0-9a-f]{6,64})"
    r"|(?P<alias>[A-Za-z_][A-Za-z0-9_-]{0,254})))?\Z"  # also what MLflow's other users call theirs
)
_NUMBERED = re.compile(r"^(latest|v[0-9]+)$", re.IGNORECASE)


@dataclass(frozen=True)
class Ref:
    """A parsed reference; at most one of version, digest (may be a prefix) and alias is set."""

    name: str
    store: str | None = None
    version: int | None = None
    digest: str | None = None
    alias: str | None = None


def parse_ref(text: str) -> Ref:
    """Parse a reference.

    Raises
    ------
    UsageError
        With the accepted forms.
    """
    found = _REF.match(text)
    if not found:
        hint = "write name, name@3, name@champion or name@sha256:..., for example: catalog show "
        raise UsageError(
            f"not a model reference: {shown(text)[:100]!r}",
            f"{hint}vae-clic-siw@1"
            if not text.startswith(("-", "_"))
            else f"{hint}mlflow:{text[:50]}",
        )
    version, alias = found["version"], found["alias"]
    if alias and is_numbered(alias):
        raise UsageError(
            f"{alias!r} is no alias",
            f"the newest is {found['name']}, the third {found['name']}@3",
        )
    number = int(version) if version else None
    return Ref(found["name"], found["store"], number, found["digest"], alias)


def prefix_of(store: str, usual: str, name: str) -> str:
    """`store:` where a reference needs it: it is not the usual one, or the name is like an option.

    A store that has no name but its address cannot be part of a reference.
    """
    needed = store != usual or name.startswith(("-", "_"))
    return f"{store}:" if needed and ":" not in store else ""


def is_numbered(alias: str) -> bool:
    """Whether it reads as a version, or as the newest one: `v3`, `latest`."""
    return bool(_NUMBERED.match(alias))
