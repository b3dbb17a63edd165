"""A server with the house's doors and a few models, asked for pages."""

from __future__ import annotations

import pytest
from house import House, build


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    house = build(tmp_path_factory.mktemp("house"))
    house.publish("alpha")
    house.publish("beta", detector="pbwo4-block", licence="MIT")
    house.publish("beta", detector="pbwo4-block", licence="MIT", summary="the second one")
    return house
