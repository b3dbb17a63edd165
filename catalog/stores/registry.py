"""Find a store by its URI: `mlflow`, `mlflow+https://server`, `memory:` ..."""

from __future__ import annotations

from inspect import signature

from catalog.address import shown
from catalog.errors import UsageError
from catalog.plugins import load_plugin
from catalog.stores.protocol import Store
from catalog.stores.secret import Secret


def open_store(uri: str, secret: Secret | None = None) -> Store:
    """Open the store that `uri` names; its first word is the adapter, the rest is the adapter's.

    An adapter that takes credentials has an opener with a second parameter, a Secret.

    Raises
    ------
    NotFound
        No adapter of that name is installed.
    UsageError
        The adapter takes no credential from us.
    MissingExtra
        The adapter's own libraries are not installed.
    """
    kind = uri.split(":", 1)[0].split("+", 1)[0]
    hint = "set CATALOG_STORE to one of them, e.g. mlflow+https://mlflow.example.org"
    opener = load_plugin("stores", kind, what="store", extra=kind, hint=hint)
    if secret is not None and len(signature(opener).parameters) < 2:
        raise UsageError(
            f"a store of the kind {kind!r} has its own ways to sign in",
            "add it without --token-env, --login-env and --keyring: "
            f"catalog stores add NAME {shown(uri)}",
        )
    store: Store = opener(uri) if secret is None else opener(uri, secret)
    return store
