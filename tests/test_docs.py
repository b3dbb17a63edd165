"""The documentation says what the code does."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer

from catalog.cli.app import build_app
from catalog.cli.verbs import VERBS

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if page.name == "cli.md":
            continue
        for block in re.findall(r"```(?:sh|bash)?\n(.*?)```", text, re.S):
            found += [
                (page.name, line.partition("  #")[0].strip())
                for line in block.splitlines()
                if line.startswith("catalog ")
            ]
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_in_the_docs_has_known_options(page: str, line: str) -> None:
    words = shlex.split(line)
    if words[1] == "--registry":  # the one option that stands before the verb
        del words[1:3]
    verb = words[1]
    assert verb in VERBS, f"{page}: {line}"
    command = typer.main.get_command(build_app(verb))
    known = {option for param in command.commands[verb].params for option in param.opts}
    for word in words[2:]:
        if word.startswith("--"):
            assert word.partition("=")[0] in known | {"--help"}, f"{page}: {line}"


def test_the_page_of_commands_is_what_the_code_prints() -> None:
    spec = importlib.util.spec_from_file_location("make_cli", ROOT / "docs" / "make_cli.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.page() == module.PAGE.read_text(encoding="utf-8"), "run: make docs"


def test_readme_tells_every_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for extra in project["optional-dependencies"]:
        assert f"`{extra}`" in readme or f"[{extra}" in readme or extra == "client", extra


def test_the_version_is_the_newest_one_of_the_changelog() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(\d[^\]]*)\]", changelog, re.M)
    assert versions[0] == project["version"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {project['version']}" in citation


QUOTE = r"<!-- ([\w-]+)\.([\w./-]+) = ([^ ]+) -->"
QUOTING = [page for page in PAGES if re.search(QUOTE, page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", QUOTING, ids=lambda page: page.name)
def test_every_quoted_figure_is_in_a_kept_result(page: Path) -> None:
    """Figures stand as `NAME.figure = value` in comments beside the text that quotes them."""
    assert ROOT / "README.md" in QUOTING
    for name, path, value in re.findall(QUOTE, page.read_text(encoding="utf-8")):
        result = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())
        found = result["figures"]
        for key in path.split("/"):
            found = found[int(key)] if key.isdigit() else found[key]
        assert str(found) == value, f"{name}.{path}: {page.name} says {value}, measured {found}"


PLANNED = {"verify", "annotate", "replicate", "stores", "quote", "fingerprint", "doctor"}


def test_no_message_names_a_command_that_does_not_exist() -> None:
    for folder in ("catalog", "adapters", "registry_server", "sample_models"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            for verb in re.findall(r"\bcatalog ([a-z]+)\b", text):
                assert verb not in PLANNED - set(VERBS), f"{path}: catalog {verb}"
