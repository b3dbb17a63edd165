"""The command line as a user meets it: output, exit codes, words, start-up."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import catalog
from catalog.cli.verbs import VERBS
from catalog.index import Row, open_index
from tests.toys import generator_folder, shower_file

HEAVY = ("mlflow", "ads", "oci", "torch", "onnxruntime", "sklearn", "onnx", "numpy", "pydantic")


def run(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "CATALOG_HOME": str(home / "home"),
        "CATALOG_CACHE": str(home / "cache"),
        "COLUMNS": "100",
        **more,
    }
    command = [sys.executable, "-c", "from catalog.cli import main; main()", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An embedded catalog with two toy generators and a file of toy showers."""
    pytest.importorskip("mlflow")
    place = tmp_path_factory.mktemp("filled")
    for name, depth in (("near", 6.2), ("far", 3.0)):
        folder = generator_folder(place / name, name=name, depth=depth)
        done = run(place, "publish", str(folder))
        assert done.returncode == 0, done.stderr
    shower_file(place / "showers.h5", n=200)
    return place


@pytest.mark.parametrize("words", [["--help"], ["search", "--help"], ["search"], ["show", "x"]])
def test_starting_imports_nothing_heavy(tmp_path: Path, words: list[str]) -> None:
    code = (
        "import sys, atexit\n"
        f"atexit.register(lambda: print('HEAVY', [m for m in {HEAVY!r} if m in sys.modules]))\n"
        f"sys.argv = ['catalog', *{words!r}]\n"
        "from catalog.cli import main\nmain()\n"
    )
    if words[0] == "show":  # show may read cards, but never a vendor's library
        code = code.replace(repr(HEAVY), repr(HEAVY[:6]))
    environment = {**os.environ, "CATALOG_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert "HEAVY []" in done.stdout


def test_help_lists_every_verb_with_a_sentence(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")
    assert done.returncode == 0
    for name, verb in VERBS.items():
        assert name in done.stdout
        assert verb.help in done.stdout


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_explains_itself_and_every_argument(tmp_path: Path, name: str) -> None:
    done = run(tmp_path, name, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage: " in done.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["search"], 3),
        (["search", "--detector", "ecal", "--json"], 3),
        (["show", "nothing"], 3),
        (["pull", "nothing"], 3),
        (["runs"], 3),
        (["show", "../etc"], 2),
        (["search", "--particle", "tachyon"], 2),
        (["search", "--energy", "-3"], 2),
        (["search", "--limit", "x"], 2),
        (["frobnicate"], 2),
        (["publish", "/nonexistent"], 1),
        (["recommend", "--data", "/nonexistent.h5"], 1),
        (["validate", "x"], 2),
        (["detectors", "nowhere"], 3),
        (["bench", "nothing"], 3),
    ],
)
def test_exit_codes_on_an_empty_catalog(tmp_path: Path, words: list[str], code: int) -> None:
    done = run(tmp_path, *words)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr


def test_json_of_an_empty_search_is_a_value_not_a_silence(tmp_path: Path) -> None:
    done = run(tmp_path, "search", "--detector", "ecal", "--json")
    assert json.loads(done.stdout) == {"total": 0, "total_is_exact": True, "models": []}


def test_recommend_on_an_empty_catalog_says_that_nothing_fits(tmp_path: Path) -> None:
    shower_file(tmp_path / "f.h5", n=60)
    done = run(tmp_path, "recommend", "--data", str(tmp_path / "f.h5"), "--json")
    value = json.loads(done.stdout)
    assert done.returncode == 3
    assert (value["verdict"], value["ranking"]) == ("nothing-fits", [])


def test_search_json_has_the_promised_keys(filled: Path) -> None:
    value = json.loads(run(filled, "search", "--detector", "ecal", "--json").stdout)
    assert value["total"] == 2
    promised = {
        "ref", "name", "version", "store", "digest", "task", "family", "detector",
        "detector_type", "particles", "energy_gev", "licence", "validated",
    }  # fmt: skip
    for model in value["models"]:
        assert promised <= set(model)
        assert model["energy_gev"] == [1.0, 100.0]


def test_recommend_json_has_the_promised_keys_and_ranks_the_nearer_model_first(
    filled: Path,
) -> None:
    done = run(filled, "recommend", "--data", str(filled / "showers.h5"), "--json")
    value = json.loads(done.stdout)
    assert done.returncode == 0
    assert {"target", "verdict", "metric", "showers", "ranking", "scratch"} <= set(value)
    assert [model["ref"] for model in value["ranking"]] == ["near@1", "far@1"]
    for model in value["ranking"]:
        assert {"ref", "predicted", "low", "high", "zero_shot", "saved_showers", "quote"} <= set(
            model
        )
        assert {"seconds", "usd", "co2_kg", "where"} <= set(model["quote"])
    assert {"predicted", "low", "high"} <= set(value["scratch"])
    assert value["ranking"][0]["zero_shot"] < value["ranking"][1]["zero_shot"]


def test_validate_json_has_the_promised_keys_and_fails_on_a_toy(filled: Path) -> None:
    done = run(filled, "validate", "far", "--data", str(filled / "showers.h5"), "--json")
    value = json.loads(done.stdout)
    assert done.returncode == 1
    keys = {"w1_geomean", "separation_mean", "fpd", "kpd", "auc"}
    assert set(value["metrics"]) == set(value["floor"]) == keys
    assert value["passed"] is False
    assert all({"name", "passed", "value", "limit"} <= set(gate) for gate in value["gates"])
    assert value["floor"]["w1_geomean"] < value["metrics"]["w1_geomean"]


def test_pull_prints_only_the_folder(filled: Path) -> None:
    done = run(filled, "pull", "near", "--out", str(filled / "out"))
    assert done.stdout.strip() == str(filled / "out")
    assert (filled / "out" / "model.onnx").is_file()


def test_show_tells_name_digest_and_domain(filled: Path) -> None:
    value = json.loads(run(filled, "show", "near", "--json").stdout)
    assert value["ref"] == "near@1"
    assert value["card"]["domain"]["detector"]["name"] == "clic-siw"
    text = run(filled, "show", "near@1").stdout
    assert value["digest"] in text
    assert "1..100 GeV" in text


def test_publishing_twice_says_so(filled: Path) -> None:
    done = run(filled, "publish", str(filled / "near"), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["new"] is False


def test_a_lost_index_comes_back_from_the_store(filled: Path) -> None:
    (filled / "home" / "index.db").unlink()
    assert run(filled, "search").returncode == 3
    assert run(filled, "sync").returncode == 0
    assert run(filled, "search").returncode == 0


def test_an_unwritable_home_is_explained(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("in the way")
    done = run(tmp_path, "search")
    assert done.returncode == 1
    assert str(tmp_path / "home") in done.stderr


def test_a_traceback_is_there_for_those_who_ask(tmp_path: Path) -> None:
    assert "Traceback" in run(tmp_path, "show", "nothing", CATALOG_DEBUG="1").stderr


def test_two_searches_at_once_on_a_new_home_both_work(tmp_path: Path) -> None:
    environment = {**os.environ, "CATALOG_HOME": str(tmp_path / "new")}
    command = [sys.executable, "-c", "from catalog.cli import main; main()", "search", "--json"]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        for _ in range(6)
    ]
    outputs = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [3] * 6, outputs
    with open_index(tmp_path / "new") as index:
        assert index.names() == []


def test_a_model_named_like_an_option_is_shown_by_the_reference_that_search_prints(
    tmp_path: Path,
) -> None:
    with open_index(tmp_path / "home") as index:
        index.put(Row("mlflow", "--help", 1, "", told='{"framework": "pytorch"}'))
    (found,) = json.loads(run(tmp_path, "search", "--json").stdout)["models"]
    done = run(tmp_path, "show", found["ref"], "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ref"] == found["ref"] == "mlflow:--help@1"
    done = run(tmp_path, "show", "--", "--help")
    assert done.returncode == 2
    assert "mlflow:--help" in done.stderr


def test_imports_point_one_way() -> None:
    """sample_models -> catalog <- adapters, registry_server -> catalog; never back."""
    root = Path(catalog.__file__).parent
    foreign = {"catalog_mlflow", "registry_server", "sample_models", "benchmarks", "tests"}
    vendors = {"mlflow", "ads", "oci", "torch", "sklearn", "fastapi", "uvicorn", "tritonclient"}
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                assert name.partition(".")[0] not in foreign | vendors, f"{path}: {name}"
