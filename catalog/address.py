"""Addresses of stores: a password or token that somebody wrote into one is never shown or kept."""

from __future__ import annotations

import re

from catalog.errors import UsageError

# What an option must look like to be shown; whatever else follows a '?' may be a token.
_PLAIN = re.compile(
    r"(compartment|project)=ocid1\.[\w.-]*|bucket=[\w.-]*(@[\w-]*)?|endpoint=https?://[\w.:-]+/?"
)
_OCI = re.compile(r"oci:[^:@/\\?&#;%]*(?=[?]|$)")  # its options may hold an @
_MARK = re.compile(r"([?&#;]|%(?:25)*(?:3[fb]|2[36]))", re.IGNORECASE)  # also quoted ones
_AT = re.compile("@|%(?:25)*40")
_KIND = re.compile(r"[\w+.-]*(:(//)?)?")


def shown(text: str) -> str:
    """A text that is, or holds, an address, as messages and tables may have it."""
    parts = _MARK.split(text)  # what comes before the options, a mark, an option, a mark ...
    options = [it if not it or _PLAIN.fullmatch(it) else "***" for it in parts[2::2]]
    told = text
    if _OCI.match(text):
        told = parts[0] + "".join(it for it in parts[2::2] if not _PLAIN.fullmatch(it))
    # To the end: a password may hold any sign of a URI, and the slashes may be mistyped.
    if _AT.search(re.sub("%(25)*3a", ":", told, flags=re.IGNORECASE).partition(":")[2]):
        return f"{_KIND.match(text)[0]}***"  # type: ignore[index]  # it matches anything
    return parts[0] + "".join(mark + it for mark, it in zip(parts[1::2], options, strict=True))


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
