"""Guards `httpmon metrics` as a process: a scrape is one request to the engine, and Ctrl-C ends it."""

from __future__ import annotations

import sys
import urllib.request

import pytest

from engine.client import Engine
from provisioning.settings import Settings
from tests.node.counting_proxy import CountingProxy
from tests.node.running import Running
from tests.node.tail_indices import make_indices

pytestmark = pytest.mark.node


def test_it_answers_through_an_outage(engine: Engine, engine_url: str, settings: Settings) -> None:
    make_indices(engine, settings.names)
    with CountingProxy(engine_url) as proxy:
        running = Running(
            sys.executable, "-m", "httpmon", "--url", proxy.url, "--namespace", settings.namespace,
            "metrics", "--listen", "127.0.0.1:0",
        )  # fmt: skip
        try:
            url = running.lines.get(timeout=60).removeprefix("metrics at ")

            def scrape() -> str:
                with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own server
                    return answer.read().decode()  # type: ignore[no-any-return]

            assert "\nhttpmon_up 1.0\n" in scrape()
            proxy.requests.clear()
            assert "\nhttpmon_hits_total 0.0\n" in scrape()
            assert proxy.requests == ["POST /_msearch"]
            proxy.stop()
            assert "\nhttpmon_up 0.0\n" in scrape()
            assert "cannot reach the engine" in running.errors.get(timeout=60)
            proxy.start()
            assert "\nhttpmon_up 1.0\n" in scrape()
            assert running.interrupt() == 130
        finally:
            running.process.kill()
            running.process.wait(30)
