"""How wrong this machine's clock is: signed requests, and tokens, fail where it is by minutes."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import Request, urlopen

_PATIENCE = 5.0  # seconds


def skew(url: str) -> float | None:
    """Seconds by which this machine's clock is ahead of a server's; None if it does not tell.

    The server is asked without any credential, so that a clock that keeps us from signing in can be
    told, too; whatever it answers has a `Date` (RFC 9110, section 6.6.1), to a second.
    """
    if not url.startswith(("http://", "https://")):
        return None
    began = time.time()
    try:
        with urlopen(Request(url, method="HEAD"), timeout=_PATIENCE) as answer:  # noqa: S310
            told = answer.headers["Date"]
    except HTTPError as exc:
        told = exc.headers["Date"]
        exc.close()
    except (OSError, ValueError, HTTPException):
        return None
    try:
        return (began + time.time()) / 2 - parsedate_to_datetime(told).timestamp() - 0.5
    except (TypeError, ValueError, OverflowError):
        return None
