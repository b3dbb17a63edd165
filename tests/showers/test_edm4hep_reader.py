"""EDM4hep through uproot: files that uproot itself writes, with podio's names of branches."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catalog.domain import load_detector
from catalog.errors import BadFile, MissingExtra
from catalog.showers.edm4hep import podio_name
from catalog.showers.reader import iterate_showers, read_showers

CLIC = load_detector("clic-siw")  # dd4hep: ECalBarrel
pytest.importorskip("uproot")


def flat(collection: str, member: str) -> str:
    return f"{collection}.{member}"


def nested(collection: str, member: str) -> str:
    """As podio 0.16 and later write them, seen through uproot."""
    return f"{collection}/{collection}.{member}"


def split(collection: str, member: str) -> str:
    """Members of members in branches of their own, without the collection's name."""
    head, _, tail = member.partition(".")
    return f"{collection}/{head}/{head}.{tail}" if tail else f"{collection}/{member}"


def simulated(
    path: Path,
    collections: tuple[str, ...] = ("ECalBarrelCollection",),
    named: Any = flat,
    others: tuple[str, ...] = (),
) -> Path:
    """Toy hits behind a barrel face at 1500 mm, particles along +y from the origin.

    `others` are collections with an energy and a position that are not simulated hits.
    """
    import awkward as ak
    import uproot

    rng = np.random.default_rng(0)
    n = 30
    counts = rng.integers(50, 90, n)
    layer = rng.gamma(4, 2.5, counts.sum()).clip(0, 39).astype(int)
    layer[:40] = np.arange(40)
    first_active = 1.9 + 0.15 + 0.1 + 0.25
    depth = 1500 + first_active + layer * CLIC.depth_mm / 40
    energy = np.repeat(rng.uniform(10, 90, n), counts)
    parts: dict[str, Any] = {}
    for name in collections + others:
        parts[named(name, "energy")] = 0.027 * energy / np.repeat(counts, counts)
        parts[named(name, "position.x")] = rng.normal(0, 8, len(layer))
        parts[named(name, "position.y")] = depth
        parts[named(name, "position.z")] = rng.normal(0, 8, len(layer))
        extra = "type" if name in others else "contributions_begin"
        parts[named(name, extra)] = np.arange(len(layer))
        parts[f"_{name}_contributions/_{name}_contributions.index"] = np.arange(len(layer))
        parts[named(f"{name}Contributions", "energy")] = np.ones(len(layer))
        parts[named(f"{name}Contributions", "stepPosition.x")] = np.ones(len(layer))
    content = {k: ak.unflatten(np.asarray(v, np.float32), counts) for k, v in parts.items()}
    ends = np.concatenate([[0], np.cumsum(counts)[:-1]])
    ones = np.ones(n, int)
    primary = {"PDG": 22 * ones, "generatorStatus": ones, "mass": 0.0 * ones}
    primary |= {f"vertex.{axis}": 0.0 * ones for axis in "xyz"}
    primary |= {"momentum.x": 0.0 * ones, "momentum.y": energy[ends], "momentum.z": 0.0 * ones}
    content |= {named("MCParticles", k): ak.unflatten(v, ones) for k, v in primary.items()}
    with uproot.recreate(path) as file:
        tree = file.mktree("events", {k: v.type.content for k, v in content.items()})
        tree.extend(content)
    return path


def test_hits_are_placed_along_the_particle(tmp_path: Path) -> None:
    showers = read_showers(simulated(tmp_path / "f.root"), detector=CLIC)
    assert showers.pdg == 22
    assert len(showers) == 30
    ratio = showers.energies.sum(1) / showers.incident_gev
    np.testing.assert_allclose(ratio, 0.027, rtol=0.05)  # a few hits lie beside the window
    assert showers.mesh.shape is not None
    cells = showers.energies.reshape(30, *showers.mesh.shape)
    layers = np.average(np.arange(40), weights=cells.sum((0, 2, 3)))
    assert 8 < layers < 11
    middle = showers.mesh.shape[1] // 2
    assert np.average(np.arange(2 * middle + 1), weights=cells.sum((0, 1, 2))) == pytest.approx(
        middle, abs=0.3
    )


@pytest.mark.parametrize("named", [nested, split])
def test_members_are_found_however_deep_they_are_nested(tmp_path: Path, named: Any) -> None:
    wanted = read_showers(simulated(tmp_path / "flat.root"), detector=CLIC)
    found = read_showers(simulated(tmp_path / "f.root", named=named), detector=CLIC)
    np.testing.assert_array_equal(found.energies, wanted.energies)
    np.testing.assert_array_equal(found.incident_gev, wanted.incident_gev)


def test_clusters_and_digitised_hits_are_not_taken_for_simulated_ones(tmp_path: Path) -> None:
    others = ("ECalBarrelClusters", "ECalBarrelDigis")
    path = simulated(tmp_path / "f.root", named=nested, others=others)
    assert len(read_showers(path, detector=CLIC)) == 30


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("MCParticles.momentum.x", "MCParticles.momentum.x"),
        ("MCParticles/MCParticles.momentum.x", "MCParticles.momentum.x"),
        ("MCParticles/MCParticles.momentum/MCParticles.momentum.x", "MCParticles.momentum.x"),
        ("MCParticles/momentum/momentum.x", "MCParticles.momentum.x"),
        ("MCParticles/PDG", "MCParticles.PDG"),
        ("_Hits_contributions/_Hits_contributions.index", "_Hits_contributions.index"),
        ("Hits", "Hits"),
    ],
)
def test_a_branch_is_named_for_its_collection_and_member(path: str, name: str) -> None:
    assert podio_name(path) == name


def test_chunks_of_events_are_the_same_showers(tmp_path: Path) -> None:
    path = simulated(tmp_path / "f.root")
    whole = read_showers(path, detector=CLIC)
    parts = [part.energies for part in iterate_showers(path, detector=CLIC, chunk=7)]
    np.testing.assert_array_equal(np.concatenate(parts), whole.energies)


def test_of_two_collections_the_detectors_is_read(tmp_path: Path) -> None:
    path = simulated(tmp_path / "f.root", ("ECalBarrelCollection", "HCalBarrelCollection"))
    assert len(read_showers(path, detector=CLIC)) == 30
    nameless = CLIC.model_copy(update={"dd4hep": None})
    with pytest.raises(BadFile, match="ECalBarrelCollection, HCalBarrelCollection"):
        read_showers(path, detector=nameless)


def test_a_root_file_needs_a_detector_and_the_right_tree(tmp_path: Path) -> None:
    import uproot

    with pytest.raises(BadFile, match="not the detector's stack") as caught:
        read_showers(simulated(tmp_path / "f.root"))
    assert "--detector" in caught.value.hint
    with uproot.recreate(tmp_path / "g.root") as file:
        file["jets"] = {"pt": np.ones(3)}
    with pytest.raises(BadFile, match="no tree 'events'"):
        read_showers(tmp_path / "g.root", detector=CLIC)
    with uproot.recreate(tmp_path / "h.root") as file:
        file.mktree("events", {"pt": np.float64}).extend({"pt": np.ones(3)})
    with pytest.raises(BadFile, match="no SimCalorimeterHit collection"):
        read_showers(tmp_path / "h.root", detector=CLIC)


@pytest.mark.parametrize("keep", [4, 100, 2000, -3000])
def test_a_cut_root_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = simulated(tmp_path / "f.root")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadFile, match="cannot be read|no tree"):
        read_showers(path, detector=CLIC)


def test_without_uproot_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = simulated(tmp_path / "f.root")
    monkeypatch.setitem(sys.modules, "uproot", None)
    with pytest.raises(MissingExtra) as caught:
        read_showers(path, detector=CLIC)
    assert "hep-model-catalog[root]" in caught.value.hint
