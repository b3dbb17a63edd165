"""Addresses of stores: a password or token that somebody wrote into one is never shown or kept."""

from __future__ import annotations

import re

from catalog.errors import UsageError

# What an option must look like to be shown; whatever else follows a '?' may be a token.
_PLAIN = re.compile(
    r"(compartment|project)=ocid1\.[\w.-]*|bucket=[\w.-]*(@[\w-]*)?|endpoint=https?://[\w.:-]+/?"
)
_USER = re.compile(r"://.*@.*", re.DOTALL)  # to the end: a password may hold any sign of a URI
_OPTION = re.compile(r"(?<=[?&#;])[^?&#;]+")


def shown(text: str) -> str:
    """A text that is, or holds, an address, as messages and tables may have it."""
    if "://" in re.split("[?&#;]", text)[0]:  # oci:DEFAULT?... may have them in its options
        text = _USER.sub("://***", text)
    return _OPTION.sub(_hidden, text)


def _hidden(option: re.Match[str]) -> str:
    return option[0] if _PLAIN.fullmatch(option[0]) else "***"


def check_address(told: str) -> str:
    """The address itself, if it may be kept in files and shown in tables.

    Raises
    ------
    UsageError
        It carries a password or a token; they are not repeated.
    """
    if shown(told) == told:
        return told
    raise UsageError(
        f"the address of a store carries a password, a token or an unknown option: {shown(told)}",
        "leave it out, and name the variable that holds it: "
        "catalog stores add NAME URI --token-env VARIABLE (or --login-env, for USER:PASSWORD)",
    )


def spelt(uri: str) -> str:
    """One spelling of an address: a rule of a store must not hang on a slash or a capital."""
    scheme, slashes, rest = uri.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{slashes}{host.lower()}{slash}{path}".rstrip("/")
