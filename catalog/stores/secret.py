"""Who we are at one store: read when it is opened, never written anywhere."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Secret:
    """A token, or a user name and a password; `source` says where it came from, for messages."""

    token: str = field(default="", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    source: str = ""
