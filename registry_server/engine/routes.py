"""What a name and a version of an address mean now: a version, and when that changes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from catalog.errors import NotFound, UsageError
from catalog.refs import Ref, parse_ref
from registry_server.engine.source import Found, Source
from registry_server.errors import quoted

_ROUTES = 4096  # addresses remembered; the oldest is looked up again

Route = tuple[str, str | None]


@dataclass
class Routes:
    """The versions that may be asked for. With `only`, those that were pinned and no other.

    `find` asks the source, so it belongs in a thread; everything else is quick.
    """

    source: Source
    only: bool
    pins: dict[str, Found] = field(default_factory=dict)  # by reference as typed
    unloaded: set[Found] = field(default_factory=set)  # pinned, and told to go
    known: dict[Route, Found] = field(default_factory=dict)

    def find(self, name: str, version: str | None) -> Found:
        """The version that is meant; the newest without a number or an alias.

        Raises
        ------
        NotFound
        """
        if not self.only:
            return self._ask(name, version)
        served = {it.version: it for it in self.pins.values() if it.name == name}
        here = {number: it for number, it in served.items() if it not in self.unloaded}
        if not served:
            raise unknown(name)
        if not here:
            raise NotFound(
                f"Request for unknown model: {quoted(name)} has no available versions",
                f"it was unloaded; load it: POST /v2/repository/models/{name}/load",
            )
        if version is None:
            return here[max(here)]
        found = here.get(int(version)) if is_number(version) else self._pinned(name, version)
        if found is None and not is_number(version):
            with suppress(NotFound):
                found = self._ask(name, version)
        if found is None or found not in here.values():
            numbers = ", ".join(str(number) for number in sorted(here))
            raise _unknown_version(name, version, f"versions served: {numbers}")
        return found

    def remember(self, route: Route, found: Found) -> None:
        """Keep what an address means, for the next request."""
        if len(self.known) >= _ROUTES:
            self.known.pop(next(iter(self.known)))
        self.known[route] = found

    def forget(self, name: str) -> None:
        """Look up every address of a model again."""
        for route in [it for it in self.known if it[0] == name]:
            del self.known[route]

    def why_absent(self, found: Found) -> str:
        """Why a version is not loaded."""
        return "unloaded" if found in self.unloaded else "not loaded"

    def moving(self) -> list[tuple[str, Found]]:
        """The pinned references that are aliases."""
        return [(ref, it) for ref, it in self.pins.items() if parse_ref(ref).alias]

    def _pinned(self, name: str, alias: str) -> Found | None:
        return next(
            (it for ref, it in self.moving() if it.name == name and parse_ref(ref).alias == alias),
            None,
        )

    def _ask(self, name: str, version: str | None) -> Found:
        try:
            wanted = parse_ref(f"{name}@{version}" if version is not None else name)
            if wanted.name != name:  # the name held a store or a version
                raise unknown(name)
            found = self.source.find(_text(wanted))
        except (NotFound, UsageError) as exc:
            if version is None:
                raise unknown(name) from exc
            hint = "its versions: POST /v2/repository/index"
            raise _unknown_version(name, version, hint) from exc
        return found


def is_number(version: str) -> bool:
    """Whether it is written as a version number is."""
    # isascii: isdigit() also accepts digits of other scripts, which int() then reads.
    return version.isascii() and version.isdigit() and len(version) < 10 and version[0] != "0"


def unknown(name: str) -> NotFound:
    """The error for a model that is not there."""
    return NotFound(f"Request for unknown model: {quoted(name)} is not found")


def _unknown_version(name: str, version: str, hint: str) -> NotFound:
    what = f"{quoted(name)} version {quoted(version)}"
    return NotFound(f"Request for unknown model: {what} is not found", hint)


def _text(ref: Ref) -> str:
    version = ref.version or ref.digest or ref.alias
    return f"{ref.name}@{version}" if version else ref.name
