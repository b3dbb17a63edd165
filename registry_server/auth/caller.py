"""Who asks, and what that allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from catalog.errors import CatalogError

Role = Literal["reader", "publisher", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)  # each may do what those before it may


class Unknown(CatalogError):
    """We do not know who asks. Why is for the log: a stranger learns nothing from it."""


class Forbidden(CatalogError):
    """We know who asks, and the answer is no."""


@dataclass(frozen=True)
class Caller:
    """`name` tells callers apart in the audit log and as owners: `token:NAME`, `oidc:SUBJECT`."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether the own role includes `role`."""
        return ROLES.index(self.role) >= ROLES.index(role)
