"""What a physicist does with the pages, in a real browser."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Served

pytestmark = pytest.mark.slow
DATA = Path(__file__).parents[2] / "sample_models" / "data"
CATALOG = [sys.executable, "-c", "from catalog.cli import main; main()"]


def refs(page: Any) -> list[str]:
    return [it.get_attribute("value") for it in page.query_selector_all("[name=ref]")]


def test_a_model_is_found_narrowed_and_opened_by_keyboard_only(served: Served, page: Any) -> None:
    page.goto(f"{served.open}/")
    assert len(refs(page)) == 3
    page.keyboard.press("/")
    page.keyboard.type("pbwo4")
    page.wait_for_url("**/?q=pbwo4")
    assert refs(page) == ["flow-pbwo4@1"]
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.wait_for_url(f"{served.open}/")
    page.wait_for_function("document.querySelectorAll('[name=ref]').length === 3")
    facet = page.locator("#facets a", has_text="clic-siw").or_(
        page.locator("#facets a", has_text="sampling")
    )
    facet.first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/?technology=sampling")
    page.wait_for_function("document.querySelectorAll('[name=ref]').length === 1")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/models/vae-clic-siw/1")
    page.go_back()
    assert refs(page) == ["vae-clic-siw@1"]


def test_the_energy_window_is_drawn_with_handles(served: Served, page: Any) -> None:
    page.goto(f"{served.open}/")
    low = page.locator("#energy .handle").first
    low.focus()
    for _ in range(40):
        page.keyboard.press("ArrowRight")
    page.wait_for_url("**low=100**")
    page.wait_for_function("document.querySelectorAll('[name=ref]').length === 0")
    assert "No model matches" in page.inner_text("#results")


def test_showers_that_are_dropped_are_ranked_as_the_command_line_does(
    served: Served, page: Any
) -> None:
    page.goto(f"{served.open}/fit")
    page.set_input_files("#file", DATA / "clic-siw-photon.h5")
    page.wait_for_url("**/fit/*")
    page.wait_for_selector("#ranking", timeout=180_000)
    shown = [it.inner_text() for it in page.query_selector_all("#ranking tbody th a")]
    command = [*CATALOG, "recommend", "--data", str(DATA / "clic-siw-photon.h5"), "--json"]
    told = json.loads(subprocess.run(command, capture_output=True, check=False).stdout)
    assert shown == [row["ref"] for row in told["ranking"]]
    assert told["reason"] in page.inner_text(".verdict")
    assert not list((served.settings.home / "jobs").glob("*.h5"))


def test_the_copied_command_pulls_the_model(served: Served, page: Any) -> None:
    page.goto(f"{served.open}/models/vae-clic-siw")
    page.click("[data-copy] >> nth=0")
    copied = page.evaluate("navigator.clipboard.readText()")
    first, *words = shlex.split(copied)
    assert (first, words) == ("catalog", ["pull", "vae-clic-siw@1"])
    done = subprocess.run([*CATALOG, *words], capture_output=True, text=True, check=True)
    assert (Path(done.stdout.strip()) / "model.onnx").is_file()


def test_two_models_are_marked_and_compared(served: Served, page: Any) -> None:
    page.goto(f"{served.open}/")
    page.check("[value='flow-pbwo4@1']")
    page.check("[value='vae-bgo@1']")
    page.click("text=Compare marked")
    page.wait_for_url("**/compare?*")
    heads = [it.inner_text() for it in page.query_selector_all("thead a")]
    assert heads == ["flow-pbwo4@1", "vae-bgo@1"]
    assert "PbWO4" in page.inner_text("table")


def test_the_map_zooms_and_opens_a_model(served: Served, page: Any) -> None:
    page.goto(f"{served.open}/map")
    before = page.get_attribute(".map", "viewBox")
    page.click("text=Zoom in")
    assert page.get_attribute(".map", "viewBox") != before
    page.click("[data-zoom='0']")
    page.locator(".map a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/models/**")


@pytest.mark.parametrize("role", ["reader", "publisher"])
def test_a_token_signs_in_and_out(served: Served, page: Any, role: str) -> None:
    page.goto(f"{served.closed}/models/vae-bgo")
    assert page.inner_text("h1") == "Sign in"
    page.fill("#token", "hepcat_wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    page.fill("#token", served.tokens[role])
    page.keyboard.press("Enter")
    page.wait_for_url(f"{served.closed}/")
    assert role in page.inner_text(".who")
    assert page.evaluate("document.cookie") == ""
    page.goto(f"{served.closed}/stores")
    assert page.query_selector("[aria-label^='sync ']") is None  # an admin's
    page.click("text=Sign out")
    page.goto(f"{served.closed}/")
    assert page.inner_text("h1") == "Sign in"


def test_a_sync_is_watched_until_it_is_done(served: Served, page: Any) -> None:
    page.goto(f"{served.open}/stores")
    page.click("[aria-label='sync mlflow']")
    page.wait_for_selector("text=3 versions", timeout=60_000)


@pytest.mark.parametrize("path", ["/", "/models/vae-bgo", "/fit", "/map", "/runs", "/stores",
                                  "/compare?ref=vae-bgo@1&ref=flow-pbwo4@1"])  # fmt: skip
def test_every_page_reads_without_its_scripts(served: Served, chromium: Any, path: str) -> None:
    bare = chromium.new_context(java_script_enabled=False).new_page()
    bare.goto(served.open + path)
    assert bare.is_visible("h1")
    main = bare.inner_text("main")
    assert len(main) > 80
    if path == "/":
        bare.click("#facets a >> nth=0")
        assert "versions" in bare.inner_text(".total")
    bare.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_has_a_serious_accessibility_violation(
    served: Served, chromium: Any, theme: str, width: int
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=theme,
                             bypass_csp=True)  # fmt: skip
    for path in ("/", "/?q=zzzz", "/models/vae-bgo", "/models/vae-clic-siw", "/fit", "/map",
                 "/runs", "/stores", "/compare?ref=vae-bgo@1&ref=flow-pbwo4@1", "/sign-in",
                 "/nowhere"):  # fmt: skip
        page.goto(served.open + path)
        found = axe.run(page).response["violations"]
        serious = [f"{it['id']}: {it['nodes'][0]['html'][:120]}" for it in found
                   if it["impact"] in ("serious", "critical")]  # fmt: skip
        assert serious == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.close()
