"""kill -9 of a server, the database or the store under load: nothing acknowledged is lost."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from kill_loop import crowded, killed, left, victims

from tests.postgres_server import ABSENT, programs

KILLS = int(os.environ.get("CATALOG_KILLS", "8"))  # 100 in the long form
LOG = os.environ.get("CATALOG_KILLS_LOG", os.devnull)  # a line of JSON for each


@pytest.mark.slow
@pytest.mark.skipif(not programs(), reason=ABSENT)
def test_any_one_may_be_killed_at_any_moment(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("psycopg")
    choose = random.Random(KILLS)
    with Path(LOG).open("a", encoding="utf-8") as log, crowded(tmp_path) as (house, crowd):
        for victim in victims(KILLS, choose):
            row = killed(house, crowd, victim, choose)
            log.write(json.dumps(row | {"published": len(crowd.published)}) + "\n")
            log.flush()
            assert row["lost"] == 0, row
        crowd.leave()
        end = left(house, crowd)
        log.write(json.dumps(end) + "\n")
    assert (end["torn"], end["lost"], end["undone"], end["wrong"]) == (0, 0, [], [])
    assert "Traceback" not in house.logs()
