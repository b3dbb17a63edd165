"""One catalog of shipped models, served without and with a door, and one Chromium for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from catalog.index import open_index
from catalog.publish import publish
from catalog.settings import Settings
from catalog.stores import open_named
from registry_server.auth.tokens import create_token
from registry_server.database import open_database
from tests.browser.chromium import ABSENT, PROGRAM, browser
from tests.browser.server import own_catalog

VERSIONS = Path(__file__).parents[2] / "sample_models" / "versions"
NAMES = ("flow-pbwo4", "vae-bgo", "vae-clic-siw")


@dataclass(frozen=True)
class Served:
    """`open` takes whoever is on this machine for an admin, `closed` wants one of the tokens."""

    open: str
    closed: str
    tokens: dict[str, str]
    settings: Settings


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    pytest.importorskip("mlflow")
    pytest.importorskip("onnxruntime")
    home = tmp_path_factory.mktemp("browsed")
    settings = Settings(home / "home", home / "cache", "mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATALOG_HOME", str(settings.home))
        patch.setenv("CATALOG_CACHE", str(settings.cache))
        with open_index(settings) as index:
            for name in NAMES:
                publish(VERSIONS / name, open_named("mlflow"), "mlflow", index, lambda _: None)
        database = open_database(settings)
        tokens = {
            role: create_token(database, role, role, 1)[0] for role in ("reader", "publisher")
        }
        database.close()
        with own_catalog(settings) as opened, own_catalog(settings, auth=True) as closed:
            yield Served(opened, closed, tokens, settings)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Ended with its module: Playwright holds an event loop, and other tests run their own."""
    pytest.importorskip("playwright")
    if PROGRAM is None:
        pytest.skip(ABSENT)
    with browser() as started:
        yield started


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A fresh page that fails its test if a script does, or if the policy forbids something."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(15_000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda it: wrong.append(it.text) if "Security Policy" in it.text else None)
    yield page
    context.close()
    assert wrong == []
