"""What the server refuses. The HTTP status of each is in `refusal`.

UsageError            the request is malformed
  TooSlow             the body did not arrive in time
  TooLarge            a size is above a limit of this server
  Unsupported         a coding or extension this server lacks
  RunFailed           the model failed on valid tensors
NotFound              no such model or version
Busy                  too much is waiting, or no memory is free at the moment
Expired               the request's own timeout is over
NoRoom                a model is larger than the memory this server may use
LoadFailed            a model cannot be fetched or loaded
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


class OutsideDomain(UsageError):
    """The model was not made for such particles, energies or angles."""


class Busy(CatalogError):
    """Too much is waiting to be answered, or no memory is free at the moment."""


class Expired(CatalogError):
    """The request's own timeout is over."""


class NoRoom(CatalogError):
    """A model is larger than the memory this server may use."""


class LoadFailed(CatalogError):
    """A model cannot be fetched or loaded; the cause holds paths, so it is for the log."""


def quoted(text: str) -> str:
    """A client's own text, safe to send back and to log: short, ASCII, no control characters."""
    return ascii(text if len(text) <= 64 else text[:61] + "...")
