"""The wheel holds what a user needs, and nothing that could hurt another package."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--wheel",
        "--outdir",
        str(out),
        str(ROOT),
    ]
    subprocess.run(build, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def test_top_level_names_are_ours_alone(wheel: Path) -> None:
    """A top-level `adapters` would overwrite AdapterHub's package."""
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert {name for name in tops if not name.endswith(".dist-info")} == {
        "catalog", "catalog_htcondor", "catalog_mlflow", "catalog_oci", "catalog_slurm",
        "registry_server", "sample_models",
    }  # fmt: skip


def test_every_data_file_of_the_tree_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "catalog", "sample_models", "registry_server"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert set(listed) <= packed


def test_the_wheel_works_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import catalog, catalog_mlflow, registry_server, sample_models\n"
        "from importlib.metadata import entry_points\n"
        "groups = ['stores', 'readers', 'families', 'commands']\n"
        "for g in groups:\n"
        "    for e in entry_points(group=f'catalog.{g}'):\n"
        "        e.load()\n"
        "from catalog.domain import load_detector\n"
        "assert load_detector('clic-siw').x0_mm\n"
        "print(catalog.__file__)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) in done.stdout


def test_static_checkers_resolve_every_package(wheel: Path, tmp_path: Path) -> None:
    """In an editable checkout and from the wheel alike."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    (tmp_path / "use.py").write_text(
        "import catalog.pull, catalog_mlflow, registry_server.background, sample_models\n"
        "catalog_mlflow.open_store(3)\n"
    )
    for extra in ({}, {"MYPYPATH": str(tmp_path / "site")}):
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "use.py"],
            cwd=tmp_path, env={**os.environ, **extra}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        ours = [line for line in done.stdout.splitlines() if line.startswith("use.py")]
        assert len(ours) == 1, done.stdout
        assert 'expected "str"' in ours[0]


def test_extras_name_only_what_is_used() -> None:
    """No extra for something that does not exist yet, and never two ONNX Runtimes at once."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert "onnxruntime-gpu" not in str({k: v for k, v in extras.items() if k != "gpu"})
    assert not any(need.startswith("onnxruntime") for need in project["dependencies"])
