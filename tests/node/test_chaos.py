"""Guards that two schedulers leave what one undisturbed leaves, whatever happens to them and to the engine.

Half a minute of it; ``bench/chaos.py`` does the same for longer, and kills a node instead of cutting the way
to it.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from engine.client import Engine
from provisioning.settings import Settings
from tests.e2e.processes import Httpmon
from tests.node.chaos import Chaos
from tests.node.counting_proxy import CountingProxy
from tests.node.receivers import receiving

pytestmark = pytest.mark.node


def test_events_and_webhooks_under_kills_pauses_and_outages(
    engine: Engine, engine_url: str, settings: Settings, tmp_path: Path
) -> None:
    with receiving() as receiver, CountingProxy(engine_url) as proxy:
        httpmon = Httpmon(proxy.url, settings.namespace, tmp_path)

        def outage(seconds: float) -> None:
            proxy.stop()
            time.sleep(seconds)
            proxy.start()

        try:
            result = Chaos(engine, settings, httpmon, receiver, outage).run(
                seed=1, seconds=35, past_seconds=3000
            )
        finally:
            httpmon.stop_all()
    assert result.faults() == []
    assert len(result.expected) >= 8
    assert result.terms >= 2
