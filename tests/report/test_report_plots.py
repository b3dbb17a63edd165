"""The drawings: complete, inert, repeatable, and possible with the poorest input."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from catalog.errors import MissingExtra, UsageError
from catalog.physics.observables import Observables
from catalog.report import plots
from catalog.report.canvas import Plot, look, plain
from catalog.report.charts import recommendation_chart, spelled, w1_chart
from catalog.report.correlation import correlations, depth_correlations
from catalog.report.plots import Scene
from catalog.report.rows import Estimate, Ranked

MakeSet = Callable[..., Observables]
HOSTILE = "<script>alert(1)</script>--> $\\frac{ _x & \u4e2d\x00\n\ud800"


def ids(plot: Plot) -> list[str]:
    return [str(e.get("id")) for e in ElementTree.fromstring(plot.svg).iter() if e.get("id")]


def every_plot(sets: dict[str, Observables]) -> list[Plot]:
    scene = Scene(sets, floor=next(iter(sets.values())))
    return [*plots.profile_plots(scene).values(), depth_correlations(scene)]


def test_same_input_gives_the_same_bytes(
    sets: dict[str, Observables], drawn: dict[str, Plot]
) -> None:
    assert plots.profile_plots(Scene(dict(sets))) == drawn


def test_user_settings_change_nothing(sets: dict[str, Observables], drawn: dict[str, Plot]) -> None:
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 30, "svg.fonttype": "none", "text.usetex": True}):
        assert plots.radial_profile(Scene(sets)) == drawn["Radial profile"]


def test_plots_are_plain_svg_without_script_or_address(drawn: dict[str, Plot]) -> None:
    for svg, _ in drawn.values():
        names = {element.tag.rsplit("}")[-1] for element in ElementTree.fromstring(svg).iter()}
        assert names <= {"svg", "g", "path", "defs", "use", "clipPath", "rect", "style"}
        assert "http" not in svg.replace("http://www.w3.org/", "")
        assert "matplotlib.org" not in svg
        assert "DOCTYPE" not in svg


def test_hostile_labels_are_inert(reference: Observables) -> None:
    sets = {HOSTILE: reference, f"{HOSTILE}2": reference, "_hidden": reference, "": reference}
    every = [
        *plots.profile_plots(Scene(sets, reference, HOSTILE)).values(),
        depth_correlations(Scene(sets, reference, HOSTILE)),
        w1_chart({HOSTILE: {HOSTILE: 0.1}}, {HOSTILE: 0.1}),
        recommendation_chart([{"ref": HOSTILE, "zero_shot": 1.0}], metric=HOSTILE),
    ]
    for plot in every:
        assert "<script" not in plot.svg
        assert ids(plot)  # well-formed


@pytest.mark.parametrize("n", [0, 1])
def test_sets_of_few_showers_are_drawn(n: int, make_set: MakeSet, reference: Observables) -> None:
    few = make_set(n)
    for sets in ({"a": reference, "b": few}, {"a": few, "b": few, "c": reference}):
        assert all(ids(plot) for plot in every_plot(sets))


def test_values_without_meaning_are_drawn(reference: Observables) -> None:
    bad = {
        str(value): Observables(
            reference.names,
            reference.values,
            *(
                np.full_like(part, value)
                for part in (
                    reference.incident_gev,
                    reference.longitudinal,
                    reference.radial,
                    reference.cells,
                )
            ),
        )
        for value in (np.nan, np.inf, 0.0, -1.0)
    }
    for sets in ({"a": reference, **bad}, bad, {"zero": bad["0.0"], "a": reference}):
        assert all(ids(plot) for plot in every_plot(sets))


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(UsageError, match="nothing to draw"):
        plots.longitudinal_profile(Scene({}))


def test_missing_matplotlib_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, sets: dict[str, Observables]
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match="plot"):
        plots.longitudinal_profile(Scene(sets))


def test_a_label_keeps_its_colour_in_every_plot(drawn: dict[str, Plot]) -> None:
    charts = [*drawn.values(), w1_chart({"model@1": {"a": 0.1}}, {"a": 0.05})]
    for svg, _ in charts:
        assert look(0).colour.lower() in svg
        assert look(1).colour.lower() not in svg


@pytest.mark.parametrize(
    ("ranking", "scratch"),
    [
        ([], None),
        ([{"ref": "a@1"}], {"predicted": None}),
        ([{"ref": "a@1", "zero_shot": None, "predicted": float("nan")}], None),
        (
            [{"ref": "a@1", "zero_shot": 0.0, "predicted": 0.1, "low": None, "high": 0.2}],
            {"predicted": 0.2, "low": 0.1, "high": 0.4},
        ),
        ([{"ref": f"m{i}@1", "predicted": 0.1} for i in range(50)], {"predicted": 0.1}),
    ],
)
def test_any_ranking_is_drawn(ranking: list[Ranked], scratch: Estimate | None) -> None:
    assert ids(recommendation_chart(ranking, scratch))


@pytest.mark.parametrize("w1", [{}, {"m": {}}, {"m": {"a": float("nan"), "b": 0.0}}])
def test_any_distances_are_drawn(w1: dict[str, dict[str, float]]) -> None:
    assert ids(w1_chart(w1, {}))
    assert ids(w1_chart(w1, {"a": 0.0, "c": 0.02}))


def test_observables_are_spelled_for_readers() -> None:
    assert spelled("depth_0_2_x0") == "share 0-2 X0"
    assert spelled("radius_ring_1") == "share 0.5-1 R_M"
    assert spelled("hit_log_mean") == "hit log mean"


def test_long_labels_keep_both_ends() -> None:
    assert plain("par04-" + "x" * 100 + "@champion").startswith("par04-")
    assert plain("par04-" + "x" * 100 + "@champion").endswith("@champion")
    assert len(plain("x" * 1000)) <= 46


def test_a_plot_is_a_picture_too_where_asked(sets: dict[str, Observables]) -> None:
    plot = plots.radial_profile(Scene(sets, pictures=True))
    assert plot.png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", plot.png[16:24])
    assert width == 1000 and 500 < height < 1500
    assert plots.radial_profile(Scene(sets)) == plot._replace(png=b"")


def test_the_floor_is_drawn_and_named_where_there_is_one(sets: dict[str, Observables]) -> None:
    with_floor = plots.radial_profile(Scene(sets, floor=sets["full simulation"])).svg
    without = plots.radial_profile(Scene(sets)).svg
    assert "#9ecae9" in with_floor
    assert "#9ecae9" not in without


def test_correlations_are_one_on_the_diagonal_and_those_of_numpy(reference: Observables) -> None:
    found = correlations(reference)
    np.testing.assert_allclose(found, np.corrcoef(reference.longitudinal.T), atol=1e-9)


def test_a_slice_that_never_changes_has_no_correlation(reference: Observables) -> None:
    still = reference.longitudinal.copy()
    still[:, 7] = 0.25
    found = correlations(replace(reference, longitudinal=still))
    assert np.isnan(found[7]).all()
    assert np.isfinite(np.delete(np.delete(found, 7, 0), 7, 1)).all()
