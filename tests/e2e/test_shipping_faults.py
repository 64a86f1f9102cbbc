"""Guards that the engine holds exactly the lines, once each, through all that can happen on their way."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.client import Engine
from engine.connection import Connection
from localnode.node import LocalNode
from provisioning.installation import provision
from provisioning.settings import EngineSettings, Settings
from tests.e2e.shipped import Shipping
from tests.e2e.shipping_faults import FaultyProxy, Trial

pytestmark = pytest.mark.e2e


def test_every_line_is_there_once(tmp_path: Path) -> None:
    node = LocalNode(tmp_path / "node", port=29460)
    try:
        url = node.start()
        settings = Settings(namespace="faults", engine=EngineSettings(url=url))
        with Engine(Connection(url)) as engine, FaultyProxy(url, seed=3, chance=0.5) as proxy:
            provision(engine, settings)
            shipping = Shipping(engine, settings, proxy.url, tmp_path)
            outcome = Trial(shipping, node, proxy).run(
                lines=12_000,
                seed=3,
                lines_a_second=4000,
                always=("kill shipper", "rename", "kill node", "copytruncate", "outage", "kill shipper"),
            )
    finally:
        node.stop()
    assert (outcome.missing, outcome.doubled, outcome.foreign, outcome.exit_code) == ([], [], [], 0)
    assert outcome.events["kill shipper"] >= 2
    assert outcome.events["kill node"] >= 1
    assert sum(outcome.faults.values()) > 0
