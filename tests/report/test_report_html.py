"""The report file: self-contained, inert, whole or not there."""

from __future__ import annotations

import errno
import os
from html.parser import HTMLParser
from pathlib import Path

import pytest

from catalog.errors import CatalogError
from catalog.report.folder import write_report
from catalog.report.html import Report, render_report
from catalog.report.markup import duration, interval, number

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
HOSTILE = (
    "</style></title><script src=http://evil.example/x></script>\"'><img src=x onerror=y>\ud800"
)
FULL = Report(
    title="Which model for my detector?",
    verdict="Adapt cvae@3.",
    subtitle=("electrons, 1 to 100 GeV",),
    date="2026-11-23",
    n=1000,
    seed=7,
    adapt_showers=300,
    target={"X0 [mm]": 4.02, "R_M [mm]": None, "detector": "Si-W"},
    ranking=[
        {"ref": "cvae@3", "predicted": 0.0712, "low": 0.05, "high": 0.1, "zero_shot": 0.31},
        {"ref": "gan@1", "predicted": None, "zero_shot": None, "notes": "undocumented"},
    ],
    scratch={"predicted": 0.18, "low": 0.14, "high": 0.24},
    excluded={"tagger@1": "generates no showers"},
    metrics={
        "cvae@3": {"w1_geomean": 0.31, "auc": 0.9},
        "floor": {"w1_geomean": 0.06, "kpd": -1e-5},
    },
    gates=[{"name": "response_bias", "value": 0.05, "limit": 0.03, "passed": False}],
    lineage=[{"parent": "a@1", "parent_digest": "sha256:0", "child": "a@2", "child_digest": "x"}],
    costs=[{"what": "adapt", "seconds": 412.0, "device": "2 CPU cores"}],
    commands=["catalog validate cvae@3"],
    plots={"Longitudinal profile": '<svg xmlns="http://www.w3.org/2000/svg"></svg>'},
)


def hostile() -> Report:
    """A report in which every text is an attack."""
    return Report(
        title=HOSTILE,
        verdict=HOSTILE,
        subtitle=(HOSTILE,),
        date=HOSTILE,
        n=1,
        compared=HOSTILE,
        metric=HOSTILE,
        target={HOSTILE: HOSTILE},
        ranking=[{"ref": HOSTILE, "notes": HOSTILE}],
        excluded={HOSTILE: HOSTILE},
        metrics={HOSTILE: {HOSTILE: 1.0}},
        gates=[{"name": HOSTILE, "value": 1.0, "limit": 2.0, "passed": True}],
        lineage=[{"parent": HOSTILE, "parent_digest": HOSTILE, "child": "", "child_digest": ""}],
        costs=[{"what": HOSTILE, "seconds": None, "device": HOSTILE, "note": HOSTILE}],
        commands=[HOSTILE],
        plots={HOSTILE: HOSTILE},
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Page(HTMLParser):
    """Collects elements and attributes, and checks that elements nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("report", [FULL, hostile(), Report(title="")])
def test_nothing_is_fetched_and_nothing_runs(report: Report) -> None:
    page = Page(render_report(report))
    assert page.open == []
    assert not {"script", "link", "iframe", "object", "base", "form", "a"} & set(page.tags)
    for name, value in page.attributes:
        assert not name.startswith("on")
        assert name != "href"
        if name == "src":
            assert value.startswith("data:image/svg+xml;base64,")
    assert ("content", POLICY) in page.attributes


def test_no_address_of_another_machine() -> None:
    page = render_report(FULL)
    assert "http:" not in page
    assert "https:" not in page
    assert "url(" not in page
    assert "@import" not in page


def test_hostile_text_is_shown_as_text() -> None:
    page = render_report(hostile())
    assert "<script" not in page
    assert "&lt;script" in page
    assert page.count("</style>") == 1
    page.encode("utf-8")


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    write_report(tmp_path / "a.html", FULL)
    write_report(tmp_path / "b.html", FULL)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_every_given_fact_is_in_the_report() -> None:
    page = render_report(FULL)
    for fact in (
        "0.071 (0.050 to 0.10)",
        "0.18 (0.14 to 0.24)",
        "predicted after 300 showers",
        "unseen full simulation, 1,000 showers on each side",
        "2026-11-23",
        "from scratch",
        "tagger@1",
        "failed",
        "6 min 52 s",
        "catalog validate cvae@3",
        "sha256:0",
        "not known",
    ):
        assert fact in page


def test_sections_without_content_are_left_out() -> None:
    page = render_report(Report(title="empty"))
    assert "<h2>" not in page
    assert "<table>" not in page


def test_an_old_report_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(path, FULL)
    assert "cvae@3" in path.read_text("utf-8")
    assert names(tmp_path) == ["report.html"]


def test_no_folder_is_said_with_the_path(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "report.html"
    with pytest.raises(CatalogError, match=r"absent.report\.html"):
        write_report(path, FULL)


def test_a_folder_in_the_way_leaves_no_partial_file(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(CatalogError, match="cannot be written"):
        write_report(tmp_path / "report.html", FULL)
    assert names(tmp_path) == ["report.html"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_a_failing_disk_leaves_the_old_report(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def fail(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CatalogError, match=os.strerror(code)):
        write_report(path, FULL)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["report.html"]


def test_being_stopped_leaves_no_partial_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        write_report(tmp_path / "report.html", FULL)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "not known"),
        (float("nan"), "not known"),
        (float("inf"), "infinite"),
        (0.0, "0"),
        (0.07123, "0.0712"),
        (0.1, "0.100"),
        (999.7, "1,000"),
        (123456.7, "123,457"),
        (1000, "1,000"),
        (-0.41, "\N{MINUS SIGN}0.410"),
        (2.14e-5, "2.14 \N{MULTIPLICATION SIGN} 10\u207b\u2075"),
    ],
)
def test_numbers_have_sensible_digits(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_intervals_need_both_ends() -> None:
    assert interval(0.2, 0.1, 0.4) == "0.20 (0.10 to 0.40)"
    assert interval(0.2, None, 0.4) == "0.20"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "not known"), (0.0042, "0.0042 s"), (59.99, "1 min 00 s"), (7500.0, "2 h 05 min")],
)
def test_durations_have_readable_units(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown
