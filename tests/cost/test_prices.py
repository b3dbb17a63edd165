"""Prices: every shipped row has date and source; wrong rows are named by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.cost.prices import (
    COLUMNS,
    all_prices,
    parse_prices,
    read_prices,
    refresh,
    shipped_prices,
)
from catalog.cost.sky import FOLDER, sky_prices
from catalog.errors import BadFile

HEAD = ",".join(COLUMNS) + "\n"
GOOD = "node,cern,CHE,box,V100,8,1.5,,2026-11,our accounting\n"


def test_every_shipped_price_is_positive_dated_and_sourced() -> None:
    rows = shipped_prices()
    assert {row.where for row in rows} == {"gcp", "oci", "aws", "azure"}
    assert all(row.usd > 0 and row.date and row.source for row in rows)
    assert all(row.spot_usd is None or 0 < row.spot_usd <= row.usd for row in rows)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("node,gcp,x,v3-8,TPU-v3,8,700.0,2.4,2026,me", "700 stands for no price"),
        ("node,gcp,x,v3-8,TPU-v3,8,8.0,700,2026,me", "700 stands for no price"),
        ("node,gcp,x,a,V100,8,-1,,2026,me", "price -1"),
        ("node,gcp,x,a,V100,8,nan,,2026,me", "price nan"),
        ("node,gcp,x,a,V100,8,1e400,,2026,me", "price 1e400"),
        ("node,gcp,x,a,V100,8,free,,2026,me", "'free' is no number"),
        ("node,gcp,x,a,V100,8,1,2,2026,me", "spot price 2 is above"),
        ("node,gcp,x,a,V100,0,1,,2026,me", "count"),
        ("node,gcp,,a,V100,1,1,,2026,me", "region is empty"),
        ("node,gcp,x,a,V1000,1,1,,2026,me", "did you mean V100"),
        ("node,gcp,x,a,V100,1,1,,yesterday,me", "date 'yesterday'"),
        ("gift,gcp,x,a,V100,1,1,,2026,me", "kind 'gift'"),
        ("node,gcp,x,a,V100", "5 cells under 10 columns"),
        (GOOD.strip(), "a second price of box"),
    ],
)
def test_a_wrong_row_is_named_by_file_and_line(row: str, says: str) -> None:
    with pytest.raises(BadFile, match=f"mine.csv: line 4: .*{says}"):
        parse_prices(f"# mine\n{HEAD}{GOOD}{row}\n", "mine.csv")


def test_a_refresh_with_a_wrong_row_keeps_nothing(tmp_path: Path) -> None:
    new = tmp_path / "new.csv"
    new.write_text(f"{HEAD}{GOOD}{GOOD}")
    with pytest.raises(BadFile, match="line 3"):
        refresh(tmp_path / "home", str(new))
    assert not (tmp_path / "home").exists()


def test_a_refreshed_row_counts_and_the_newest_of_each_wins(tmp_path: Path) -> None:
    new = tmp_path / "new.csv"
    new.write_text(f"{HEAD}{GOOD}node,gcp,europe-west4,v3-8,TPU-v3,8,7.7,,2026-12,me\n")
    place, count = refresh(tmp_path / "home", str(new))
    assert (place.name, count) == ("new.csv", 2)
    price = {row.key: row for row in all_prices(tmp_path / "home")}
    assert price["node", "gcp", "europe-west4", "v3-8", "TPU-v3", 8].usd == 7.7
    assert price["node", "cern", "CHE", "box", "V100", 8].usd == 1.5
    before = {row.key: row for row in all_prices(tmp_path / "home", as_of="2022")}
    assert before["node", "gcp", "europe-west4", "v3-8", "TPU-v3", 8].usd == 8.8
    assert all(row.date.startswith("2022") for row in before.values())


def test_the_users_own_rate_counts_before_a_newer_one(tmp_path: Path) -> None:
    own = tmp_path / "rates.csv"
    own.write_text(f"{HEAD}node,gcp,europe-west4,v3-8,TPU-v3,8,1.0,,2020,a contract\n")
    price = {row.key: row for row in all_prices(tmp_path, read_prices(own))}
    assert price["node", "gcp", "europe-west4", "v3-8", "TPU-v3", 8].usd == 1.0


def test_a_skypilot_catalog_is_read_and_its_sentinels_are_told(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER / "gcp"
    folder.mkdir(parents=True)
    (folder / "vms.csv").write_text(
        "InstanceType,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GPUInfo,Region,"
        "AvailabilityZone,Price,SpotPrice,Arch\n"
        ",,,V100,4,,us-central1,a,9.92,2.96,\n"
        ",,,V100,4,,us-central1,b,9.96,2.96,\n"
        "a2,12,85,A100,1,,us-central1,a,3.5,,\n"
        ",,,V100,2,,us-east1,a,700.0,,\n"
        ",,,H100,-1,,us-east1,a,5.0,,\n"
        "n1-standard-8,8,30,,,,us-central1,a,0.38,0.08,\n"
    )
    told: list[str] = []
    rows = sky_prices(tmp_path, told.append)
    assert [(r.kind, r.device, r.count, r.usd, r.spot_usd) for r in rows] == [
        ("accelerator", "V100", 1, 2.48, 0.74), ("node", "A100", 1, 3.5, None),
    ]  # fmt: skip
    assert any("line 5: 700 stands for no price" in line for line in told)
    assert any("line 6" in line for line in told)
