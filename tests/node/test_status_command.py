"""Guards `httpmon status` on a real engine, from nothing installed to all well and back to trouble."""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.app import app
from engine.client import Engine
from provisioning.settings import Settings
from scheduler.leadership import this_process
from scheduler.service import Scheduler
from tests.node.full_disk import look_while_blocked
from tests.node.summaries import log_line, send_lines

pytestmark = pytest.mark.node


def status(settings: Settings) -> tuple[int, dict[str, Any]]:
    where = ["--url", settings.engine.url, "--namespace", settings.namespace]
    result = CliRunner().invoke(app, [*where, "status", "--format", "json"])
    assert result.stdout, result.exception
    return result.exit_code, json.loads(result.stdout)


def test_nothing_installed_is_broken(settings: Settings) -> None:
    code, shown = status(settings)
    assert (code, shown["status"]) == (7, "broken")
    assert shown["findings"][0]["mend"] == "httpmon provision"
    assert shown["tiers"] == []


def test_from_no_scheduler_to_all_well_to_a_changed_object(engine: Engine, provisioned: Settings) -> None:
    code, shown = status(provisioned)
    assert (code, shown["status"]) == (6, "degraded")
    mend = {"start httpmon scheduler", "is httpmon scheduler running?"}
    assert {finding["mend"] for finding in shown["findings"]} == mend

    now = datetime.now(UTC)
    lines = [log_line(now - timedelta(seconds=second)) for second in range(30)]
    send_lines(engine, provisioned, [*lines, "no access log", "#Fields: date time", "#Version: 1.0"])
    names = provisioned.names
    scheduler = Scheduler(engine, names, transforms=True, watches=True, member=this_process())
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    try:
        while True:  # the watch is due at most 10 s from now, the hourly transforms at once
            code, shown = status(provisioned)
            if shown["newest_summary"] is not None and not shown["findings"]:
                break
            assert datetime.now(UTC) - now < timedelta(seconds=90), shown["findings"]
    finally:
        scheduler.stop()
        thread.join()
    assert (code, shown["status"]) == (0, "ok")
    assert shown["schedulers"]["leader"]["pid"] == os.getpid()
    # hits + unparsed + headers = lines
    assert (shown["unparsed"], shown["headers"]) == (1, 2)
    assert {tier["name"]: tier["documents"] for tier in shown["tiers"]}["raw"] == 30 + 1 + 2

    engine.request("DELETE", f"/_scripts/{names.of('top_paths')}")
    code, shown = look_while_blocked(
        engine,
        names.raw,
        lambda: status(provisioned),
        lambda seen: "writing is blocked: raw" in str(seen[1]["findings"]),
    )
    assert code == 7
    what = [finding["what"] for finding in shown["findings"]]
    assert "writing is blocked: raw" in what
    assert f"missing: {names.of('top_paths')}" in what
