"""Guards that `httpmon ship` reports itself to `httpmon status`, without ever being in its own way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app
from engine.client import Engine
from engine.errors import NotFound
from provisioning.settings import Settings
from reading.shippers import shape_shippers, shippers_search
from shipping.delivery import Counts
from shipping.reports import Reporter, this_shipper
from shipping.shipper import Progress
from tests.node.counting_proxy import CountingProxy
from tests.node.summaries import log_line

pytestmark = pytest.mark.node


def await_that(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_a_shipper_that_ended_says_so_and_what_it_did(
    engine: Engine, provisioned: Settings, tmp_path: Path
) -> None:
    log, registry = tmp_path / "access.log", tmp_path / "registry.json"
    log.write_text("".join(f"{log_line(datetime.now(UTC))}\n" for _ in range(5)))
    where = ["--url", provisioned.engine.url, "--namespace", provisioned.namespace]
    arguments = [*where, "ship", "--once", "--registry", str(registry), str(log)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    engine.request("POST", f"/{provisioned.names.operations}/_refresh")
    shown = json.loads(CliRunner().invoke(app, [*where, "status", "--format", "json"]).stdout)
    (shipper,) = shown["shippers"]
    assert (shipper["state"], shipper["read"], shipper["sent"], shipper["dead"]) == ("stopped", 5, 5, 0)
    assert (shipper["files"], shipper["registry"]) == ([str(log)], str(registry))
    table = CliRunner().invoke(app, [*where, "status"]).stdout
    assert any(line.split()[1:2] == ["stopped"] for line in table.splitlines())


def test_nothing_is_made_where_nothing_is_installed(engine: Engine, settings: Settings) -> None:
    reporter = Reporter(engine, settings.names.operations, this_shipper(Path("r"), ["f"]))
    reporter.report(Progress(Counts(), 0, 0.0, 0))
    reporter.close(Progress(Counts(), 0, 0.0, 0))
    with pytest.raises(NotFound):
        engine.request("GET", f"/{settings.names.operations}")


def test_an_account_that_may_not_report_is_asked_no_more(
    engine_url: str, engine: Engine, provisioned: Settings
) -> None:
    with (
        CountingProxy(engine_url, lambda path: (403, False) if "/_doc/" in path else None) as proxy,
        Engine(provisioned.engine.model_copy(update={"url": proxy.url}).connection()) as other,
    ):
        reporter = Reporter(other, provisioned.names.operations, this_shipper(Path("r"), ["f"]))
        reporter.report(Progress(Counts(), 0, 0.0, 0))
        await_that(lambda: any("/_doc/" in one for one in proxy.requests), "it is written")
        reporter.close(Progress(Counts(), 0, 0.0, 0))
        reports = [one for one in proxy.requests if "/_doc/" in one]
    assert len(reports) == 1
    engine.request("POST", f"/{provisioned.names.operations}/_refresh")
    search = engine.request("POST", f"/{provisioned.names.operations}/_search", body=shippers_search())
    assert shape_shippers(search) == ()
