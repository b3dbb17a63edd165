"""What the server refuses. The HTTP status of each is in `refusal`.

UsageError            the request is malformed
  TooSlow             the body did not arrive in time
  TooLarge            a size is above a limit of this server
  Unsupported         a coding or extension this server lacks
  RunFailed           the model failed on valid tensors
NotFound              no such model or version
Busy                  too many bytes are waiting
"""

from __future__ import annotations

from catalog.errors import CatalogError, UsageError


class TooSlow(UsageError):
    """The body did not arrive in time."""


class TooLarge(UsageError):
    """A size is above a limit of this server."""


class Unsupported(UsageError):
    """The request uses a coding or an extension that this server does not have."""


class RunFailed(UsageError):
    """The model failed on tensors that its own description allows."""


class Busy(CatalogError):
    """Too many bytes are waiting to be answered."""


def quoted(text: str) -> str:
    """A client's own text, safe to send back and to log: short, ASCII, no control characters."""
    return ascii(text if len(text) <= 64 else text[:61] + "...")
