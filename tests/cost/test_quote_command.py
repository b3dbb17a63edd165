"""`catalog quote`, and the price of a recommendation, as a script sees them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from catalog.cli.app import build_app
from catalog.cost.prices import COLUMNS
from catalog.errors import BadFile, UsageError

ROOT = Path(__file__).parents[2] / "sample_models"
PARENT, DATA = f"{ROOT}/versions/vae-pbwo4/", f"{ROOT}/data/par04-siw-electron.h5"
KEYS = {
    "where", "device", "count", "spot", "seconds", "seconds_low", "seconds_high", "usd", "usd_low",
    "usd_high", "co2_kg", "price_date", "price_source",
}  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, folder in (("HOME", "user"), ("CATALOG_HOME", "home"), ("CATALOG_CACHE", "cache")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def run(*words: str) -> Result:
    return CliRunner().invoke(build_app(words[0]), list(words))


def test_the_json_has_the_keys_that_tools_rely_on() -> None:
    done = run("quote", "--job", "3dgan-gke", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["job"]["name"] == "3dgan-gke"
    assert all(set(offer) >= KEYS for offer in told["offers"])
    assert all(o["price_date"] and o["price_source"] for o in told["offers"])
    assert len(told["calibrated_on"]) == 3


def test_the_table_shows_what_is_not_beaten_and_what_it_rests_on() -> None:
    done = run("quote", "--job", "3dgan-gke", "--as-of", "2022", "--where", "gcp:europe-west4")
    assert "8 x TPU-v3 spot" in done.stdout
    assert "rests on 14 published runs of 3dgan-gke on V100" in done.stdout
    assert "accelerators only" in done.stdout
    every = run("quote", "--job", "3dgan-gke", "--as-of", "2022", "--all")
    assert every.stdout.count("\n") > done.stdout.count("\n")


def test_recorded_runs_price_an_adaptation_without_training(home: Path) -> None:
    shutil.copy(ROOT / "evidence.jsonl", home / "adaptations.jsonl")
    words = ["quote", PARENT, "--data", DATA, "--showers", "100", "--json"]
    done = run(*words)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    here = next(o for o in told["offers"] if o["where"] == "here")
    assert (here["usd"], here["co2_kg"]) == (None, None)
    assert here["seconds_low"] < here["seconds"] < here["seconds_high"]
    assert told["job"]["command"][:2] == ["catalog", "adapt"]
    assert {o["where"].partition(":")[0] for o in told["offers"]} == {"here", "gcp", "aws", "azure"}
    cloud = json.loads(run(*words, "--where", "gcp:europe-west6").stdout)["offers"]
    assert all(o["usd"] > 0 and o["co2_kg"] > 0 for o in cloud)


def test_a_rate_of_its_own_prices_this_machine(home: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "evidence.jsonl", home / "adaptations.jsonl")
    rates = tmp_path / "rates.csv"
    rates.write_text(",".join(COLUMNS) + "\ncore,here,CHE,desk,CPU,1,0.01,,2026-11,electricity\n")
    words = ["--showers", "100", "--rates", str(rates), "--where", "here", "--json"]
    done = run("quote", PARENT, "--data", DATA, *words)
    (offer,) = json.loads(done.stdout)["offers"]
    assert offer["where"] == "here:CHE"
    assert offer["usd"] > 0
    assert offer["co2_kg"] > 0


@pytest.mark.parametrize(
    ("words", "error", "says"),
    [
        ([], UsageError, "nothing to quote"),
        ([PARENT, "--data", DATA, "--showers", "0"], UsageError, "0 showers are too few"),
        ([PARENT, "--data", DATA, "--showers", "-3"], UsageError, "-3 showers are too few"),
        ([PARENT, "--data", DATA, "--showers", "99999"], UsageError, "asked for 99999 showers of"),
        ([PARENT, "--data", DATA, "--where", "moon"], UsageError, "no price is known at 'moon'"),
        (["--job", "3dgan-gke", "--max-usd", "nan"], UsageError, "--max-usd nan"),
        (["--job", "3dgan-gke", "--as-of", "then"], BadFile, "'then' is no date"),
        (["--job", "3dgan-gke", "--plot", "x.gif"], UsageError, "not a picture"),
        (["--job", "3dgan-gke", "--deadline", "0"], UsageError, "is no duration"),
    ],
)
def test_what_makes_no_sense_is_answered_with_a_sentence(
    words: list[str], error: type[Exception], says: str
) -> None:
    done = run("quote", *words)
    assert isinstance(done.exception, error), done.output
    assert says in str(done.exception)
    assert done.stdout == ""


def test_a_kept_table_counts_in_the_next_quote(tmp_path: Path) -> None:
    table = tmp_path / "ours.csv"
    table.write_text(",".join(COLUMNS) + "\nnode,cern,CHE,node,V100,8,4.0,,2026-11,accounting\n")
    assert run("quote", "--refresh", str(table)).exit_code == 0
    told = json.loads(run("quote", "--job", "3dgan-gke", "--where", "cern", "--json").stdout)
    assert {offer["where"] for offer in told["offers"]} == {"cern:CHE"}


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_plot_is_written_and_is_the_same_every_time(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("a", "b"):
        done = run("quote", "--job", "3dgan-gke", "--plot", str(tmp_path / f"{name}.{kind}"))
        assert done.exit_code == 0, done.output
    first, second = ((tmp_path / f"{name}.{kind}").read_bytes() for name in ("a", "b"))
    assert first == second
    assert first.startswith(b"\x89PNG" if kind == "png" else b"<?xml")
