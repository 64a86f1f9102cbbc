"""Guards the live screen in a real terminal, driven by keys as a person would (tmux)."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from engine.client import Engine
from provisioning.settings import Settings
from tests.node.counting_proxy import CountingProxy
from tests.node.tail_indices import Hit, alert_operations, make_indices, send, summarise
from tests.node.terminal import Terminal

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]


@pytest.fixture
def traffic(engine: Engine, settings: Settings) -> datetime:
    """Ten minutes of traffic up to a bucket end, which is returned, and an alert that is open."""
    make_indices(engine, settings.names)
    end = datetime.fromtimestamp(datetime.now(UTC).timestamp() // 10 * 10, UTC)
    hits = [
        Hit(end - timedelta(seconds=second), f"/s{(second + index) % 12}", 404 if index == 1 else 200)
        for second in range(1, 600)
        for index in range(1 + second % 20)
    ]
    summarise(engine, settings.names, hits)
    since = end - timedelta(seconds=300)
    send(engine, alert_operations(settings.names, 1, "triggered", since, since, "too much"))
    return end


@pytest.fixture(params=[(80, 24), (200, 50)], ids=["80x24", "200x50"])
def terminal(
    request: pytest.FixtureRequest, engine_url: str, settings: Settings, traffic: datetime
) -> Iterator[Terminal]:
    opened = Terminal(
        *request.param,
        f"{sys.executable} -m httpmon --url {engine_url} --namespace {settings.namespace} tail --utc",
    )
    yield opened
    opened.close()


def test_a_session_at_the_keyboard(terminal: Terminal, traffic: datetime) -> None:
    # What is waited for may be drawn in several pieces, so each wait names all that it needs.
    first = terminal.wait(
        lambda text: all(part in text for part in ("following", "OPEN for", "too much", "q quit"))
    )
    assert max(len(line) for line in first) <= (200 if len(first) > 40 else 80)

    # Back into the traffic that was made: the numbers of a known bucket.
    terminal.press("Up")
    terminal.wait(
        lambda text: "PAST" in text and "\n/s" in text and "█" in text and " 0.00 hits/s now" not in text
    )

    terminal.press("/")
    terminal.press("s11", "Enter")
    terminal.wait(lambda text: "section [s11]" in text and text.count("\n/s") == 1)

    terminal.press("s")
    terminal.wait(lambda text: "*avg" in text)
    terminal.press("a")
    terminal.wait(lambda text: "acknowledged by" in text)
    terminal.press("?")
    terminal.wait(lambda text: "acknowledge the open alerts" in text)
    terminal.press("?")
    terminal.press("f")
    terminal.wait(lambda text: "following" in text)
    terminal.resize(100, 30)
    terminal.wait(lambda text: "total" in text and text.count("\n") >= 29)
    terminal.press("q")
    # The screen from before is back.
    terminal.wait(lambda text: "ended with 0" in text and "q quit" not in text)


def test_ctrl_c_ends_it_with_130(terminal: Terminal) -> None:
    terminal.wait(lambda text: "following" in text)
    terminal.press("C-c")
    terminal.wait(lambda text: "ended with 130" in text)


def test_an_outage_keeps_the_screen_and_says_so(
    engine_url: str, settings: Settings, traffic: datetime
) -> None:
    with CountingProxy(engine_url) as proxy:
        terminal = Terminal(
            80, 24, f"{sys.executable} -m httpmon --url {proxy.url} --namespace {settings.namespace} tail"
        )
        try:
            terminal.wait(lambda text: "following" in text and "total" in text)
            proxy.stop()
            terminal.wait(lambda text: "cannot reach the engine" in text and "total" in text)
            proxy.start()
            terminal.wait(lambda text: "cannot reach" not in text and "total" in text)
            terminal.press("q")
            terminal.wait(lambda text: "ended with 0" in text)
        finally:
            terminal.close()
