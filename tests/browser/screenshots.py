"""Pictures of every page at two widths and in both themes: python -m tests.browser.screenshots OUT

It shows the catalog that CATALOG_HOME and CATALOG_STORE name, or that of a server: --url URL.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from tests.browser.chromium import browser
from tests.browser.server import own_catalog

WIDTHS = (1280, 390)
THEMES = ("light", "dark")


def pages(page: object, url: str) -> dict[str, str]:
    """Name and address of every page, as far as this catalog has them."""
    page.goto(f"{url}/")
    refs = [it.get_attribute("value") for it in page.query_selector_all("[name=ref]")]
    found = {"find": "/", "narrowed": "/?validated=true&energy=10..50", "nothing": "/?q=zzzz",
             "fit": "/fit", "map": "/map", "runs": "/runs", "stores": "/stores",
             "sign-in": "/sign-in", "no-page": "/nowhere"}  # fmt: skip
    models = [link.get_attribute("href") for link in page.query_selector_all(".results .ref")]
    if models:
        shown = next((it for it in models if "bgo" in it), models[0])  # it has both fingerprints
        found["model"] = f"/{shown.removeprefix('./')}"
    if len(refs) > 1:
        found["compare"] = f"/compare?ref={refs[0]}&ref={refs[1]}"
    page.goto(f"{url}/runs")
    if job := page.query_selector("#main table a[href*='fit/']"):
        found["job"] = f"/{job.get_attribute('href').removeprefix('./')}"
    return found


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("out", type=Path)
    asked.add_argument("--url", default="")
    asked.add_argument("--only", default="")
    given = asked.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        url = given.url or stack.enter_context(own_catalog())
        chromium = stack.enter_context(browser())
        for width in WIDTHS:
            for theme in THEMES:
                page = chromium.new_page(
                    viewport={"width": width, "height": 900}, color_scheme=theme
                )
                for name, path in pages(page, url).items():
                    if given.only and name not in given.only.split(","):
                        continue
                    page.goto(url + path)
                    page.screenshot(path=given.out / f"{name}-{width}-{theme}.png", full_page=True)
                page.close()


if __name__ == "__main__":
    main()
