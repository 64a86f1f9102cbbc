"""Guards `httpmon report` on a real engine and, where one is installed, in a real browser."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.app import app
from engine.client import Engine
from provisioning.settings import Settings
from tests.node.counting_proxy import CountingProxy
from tests.node.running import Running
from tests.node.tail_indices import Hit, alert_operations, make_indices, send, summarise

pytestmark = pytest.mark.node

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture
def traffic(engine: Engine, settings: Settings) -> list[Hit]:
    """Two hours of hits up to now, an alert, and hours of yesterday of which only the hourly tier is left."""
    names = settings.names
    make_indices(engine, names)
    end = datetime.fromtimestamp(datetime.now(UTC).timestamp() // 10 * 10, UTC)
    hits = [
        Hit(end - timedelta(seconds=second), f"/s{second % 14}<b>", 500 if second % 50 == 0 else 200)
        for second in range(1, 7200, 3)
    ]
    summarise(engine, names, hits)
    since = end - timedelta(seconds=1000)
    yesterday = (end - timedelta(days=1)).replace(minute=0, second=0)
    operations: list[dict[str, Any]] = [
        *alert_operations(names, 1, "triggered", since, since, "<i>too much</i>"),
        {"index": {"_index": f"{names.of('traffic_hourly')}-000001"}},
        {"@timestamp": yesterday.isoformat(), "httpmon": {"hits": 1000, "bytes": 5, "peak": 77}},
        {"index": {"_index": f"{names.of('sections_hourly')}-000001"}},
        {"@timestamp": yesterday.isoformat(), "httpmon": {"section": "/old", "hits": 1000, "bytes": 5}},
    ]
    send(engine, operations)
    return hits


def shown_by(page: str) -> dict[str, Any]:
    match = re.search(r'<script id="report" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert match is not None
    return json.loads(match[1])  # type: ignore[no-any-return]


def report(settings: Settings, path: Path, *options: str) -> str:
    result = CliRunner().invoke(
        app,
        [
            "--url",
            settings.engine.url,
            "--namespace",
            settings.namespace,
            "report",
            "-o",
            str(path),
            *options,
        ],
    )
    assert result.exit_code == 0, result.output
    return path.read_text(encoding="utf-8")


def test_the_numbers_are_those_of_the_summaries(
    settings: Settings, traffic: list[Hit], tmp_path: Path
) -> None:
    shown = shown_by(report(settings, tmp_path / "r.html", "--from", "3h", "--to", "0s", "--top", "3"))
    curve = shown["figures"]["sections"]["data"]
    assert [one["name"] for one in curve][-1] == "(others)"
    assert sum(sum(one["y"]) for one in curve) == len(traffic)
    assert dict(map(tuple, shown["tiles"]))["hits"] == f"{len(traffic):,}"
    assert shown["tables"]["alerts"]["rows"][0][4] == "<i>too much</i>"
    assert len(shown["figures"]["traffic"]["layout"]["shapes"]) == 2


def test_older_numbers_come_from_the_hours(settings: Settings, traffic: list[Hit], tmp_path: Path) -> None:
    shown = shown_by(report(settings, tmp_path / "r.html", "--from", "30d"))
    assert ["/old", "1,000"] in [row[:2] for row in shown["tables"]["sections"]["rows"]]
    assert dict(map(tuple, shown["tiles"]))["busiest 10 s"] == "7.7/s"


def test_it_is_one_request(engine_url: str, settings: Settings, traffic: list[Hit], tmp_path: Path) -> None:
    from engine.connection import Connection
    from reading.console import read_report
    from reading.report import report_question

    with CountingProxy(engine_url) as proxy, Engine(Connection(proxy.url)) as engine:
        now = datetime.now(UTC)
        question = report_question(now - timedelta(hours=1), now)
        read_report(engine, settings.names, question)
        proxy.requests.clear()
        read_report(engine, settings.names, question)
        assert proxy.requests == ["POST /_msearch"]


def test_the_live_page_gets_new_values_and_tells_of_an_outage(
    engine: Engine, engine_url: str, settings: Settings, traffic: list[Hit]
) -> None:
    with CountingProxy(engine_url) as proxy:
        running = Running(
            sys.executable, "-m", "httpmon", "--url", proxy.url, "--namespace", settings.namespace,
            "report", "--serve", "--listen", "127.0.0.1:0",
        )  # fmt: skip
        try:
            url = running.lines.get(timeout=60).removeprefix("report at ")
            with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own server
                assert b"setInterval" in answer.read()
            with urllib.request.urlopen(f"{url}data", timeout=60) as answer:  # noqa: S310
                assert json.loads(answer.read())["tables"]["alerts"]["rows"]
            proxy.stop()
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"{url}data", timeout=60)  # noqa: S310
            assert refused.value.code == 503
            assert b"cannot reach the engine" in refused.value.read()
            assert running.interrupt() == 130
        finally:
            running.process.kill()
            running.process.wait(30)


@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_browser_draws_it(settings: Settings, traffic: list[Hit], tmp_path: Path, theme: str) -> None:
    path = tmp_path / "r.html"
    report(settings, path, "--from", "3h", "--to", "0s")
    options = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if theme == "dark" else []
    done = subprocess.run(
        [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000",
         f"--user-data-dir={tmp_path / 'browser'}", *options, "--dump-dom", path.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    dom = done.stdout[: done.stdout.index('<script id="report"')]
    assert dom.count('class="main-svg"') >= 8, "each picture has its layers"
    assert "threshold 10" in dom
    assert "&lt;i&gt;too much&lt;/i&gt;" in dom, "text of the log is text"
    assert "<i>too" not in dom
    assert "2,400" in html.unescape(dom)
    assert "data-drawn" in done.stdout, "the script came to its end"
