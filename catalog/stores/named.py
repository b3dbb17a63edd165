"""Open a store by its name in the user's list, or by its URI."""

from __future__ import annotations

import os
from importlib import import_module

from catalog.address import check_address, shown
from catalog.errors import NotAuthorised, NotFound, UsageError
from catalog.refs import parse_ref
from catalog.store_names import EMBEDDED, Named, StoreNames, config_file, read_names, registry_told
from catalog.stores.protocol import Store
from catalog.stores.registry import open_store
from catalog.stores.secret import Secret


def open_named(told: str, names: StoreNames | None = None) -> Store:
    """Open the store that `told`, a name or a URI, means; nothing is contacted yet.

    Through a registry (CATALOG_REGISTRY) it is a name there.

    Raises
    ------
    NotFound
        No store has that name, and it is no URI of a known adapter.
    NotAuthorised
        The variable or the keyring that holds its credential has none.
    """
    if registry_told():
        from catalog.remote.connect import connect
        from catalog.remote.store import RegistryStore

        return RegistryStore(connect(), told)
    names = names or read_names(config_file())
    named = names.stores.get(told)
    if named is not None:
        return open_store(named.uri, secret_of(told, named))
    if told == EMBEDDED or ":" in told:
        return open_store(check_address(told))
    known = ", ".join((EMBEDDED, *names.stores))
    raise NotFound(
        f"no store is named {shown(told)!r}; known: {known}",
        f"catalog stores add {shown(told)} URI    (or give a URI, e.g. mlflow+https://mlflow.example.org)",
    )


def store_of(ref: str | None, option: str, told: str | None, default: str) -> str:
    """The store that a reference names, or an option; both at once must name the same.

    Raises
    ------
    UsageError
    """
    meant = parse_ref(ref).store if ref else None
    if meant and told and store_name(told, default) != meant:
        raise UsageError(f"{ref} is in the store {meant}, and {option} says {told}", "say one")
    return meant or store_name(told, default)


def store_name(told: str | None, default: str, names: StoreNames | None = None) -> str:
    """The name that a `--store` option means.

    Raises
    ------
    NotFound
    """
    if told is None:
        return default
    if registry_told():
        return told  # it knows which there are
    names = names or read_names(config_file())
    name = names.name_of(told)
    if name not in names.stores and name != EMBEDDED and ":" not in name:
        open_named(name, names)  # says what is known
    return name


def secret_of(name: str, named: Named) -> Secret | None:
    """The credential of a named store; None leaves it to the adapter's own variables.

    Raises
    ------
    NotAuthorised
    """
    if named.token_env:
        return Secret(token=_variable(name, named.token_env), source=named.token_env)
    if named.login_env:
        user, colon, password = _variable(name, named.login_env).partition(":")
        if not colon:
            raise NotAuthorised(
                f"{named.login_env} does not hold USER:PASSWORD, as the store {name!r} needs",
                f"export {named.login_env}=USER:PASSWORD",
            )
        return Secret(username=user, password=password, source=named.login_env)
    if named.keyring:
        return Secret(token=_from_keyring(name, named.keyring), source="the keyring")
    return None


def _variable(name: str, variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise NotAuthorised(
            f"the store {name!r} takes its credential from {variable}, which is not set",
            f"export {variable}=...",
        )
    return value


def _from_keyring(name: str, service: str) -> str:
    try:
        keyring = import_module("keyring")
    except ImportError as exc:
        raise UsageError(
            f"the store {name!r} takes its token from the keyring, but `keyring` is not installed",
            "pip install keyring",
        ) from exc
    token = keyring.get_password(service, name)
    if not token:
        raise NotAuthorised(
            f"the keyring has no token of {name!r} under {service!r}",
            f"keyring set {service} {name}",
        )
    return str(token)
