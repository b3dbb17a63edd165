"""What the edges of all adapters share: nothing foreign passes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from catalog.errors import CatalogError


@contextmanager
def translated(words: Callable[[Exception], CatalogError]) -> Iterator[None]:
    """Turn whatever a foreign library raises into an error of ours; ours pass unchanged."""
    try:
        yield
    except CatalogError:
        raise
    except Exception as exc:
        raise words(exc) from exc
