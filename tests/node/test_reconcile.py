"""Guards `httpmon reconcile`: every difference is seen, repaired to what the log says, and nothing else is
touched."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.app import app
from engine.client import Engine
from engine.errors import NotProvisioned
from provisioning.settings import Settings
from reading.gather import read_installation
from reading.status_output import status_text
from scheduler.transforms.service import TransformService
from tests.node.summaries import QuickClock, install_summaries, log_line, send_lines, settle, summaries

pytestmark = pytest.mark.node

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def summarised(engine: Engine, settings: Settings) -> Settings:
    install_summaries(engine, settings)
    lines = [log_line(START + timedelta(seconds=30 * at), f"/{at % 3}", size=at) for at in range(300)]
    send_lines(engine, settings, lines)
    service = TransformService(engine, settings.names, monotonic=QuickClock())
    settle(engine, service)
    engine.request("POST", f"/{settings.names.prefix}-*/_refresh")
    settle(engine, service)
    return settings


def reconcile(settings: Settings, *more: str, start: datetime = START, exit_code: int = 0) -> dict[str, Any]:
    given = ["--url", settings.engine.url, "--namespace", settings.namespace, "reconcile"]
    given += ["--from", start.isoformat(), "--to", (START + timedelta(hours=3)).isoformat()]
    done = CliRunner().invoke(app, [*given, "--format", "json", *more], catch_exceptions=False)
    assert done.exit_code == exit_code, done.output
    answer: dict[str, Any] = json.loads(done.output)
    return answer


def everything(engine: Engine, settings: Settings) -> list[Any]:
    return [summaries(engine, settings.names.of(stem)) for stem in ("sections", "traffic", "sections_hourly")]


def without_stamps(documents: list[Any]) -> list[Any]:
    return [[{**one, "event": None} for one in tier] for tier in documents]


def test_where_nothing_is_installed_nothing_is_said_to_agree(settings: Settings) -> None:
    given = ["--url", settings.engine.url, "--namespace", settings.namespace]
    done = CliRunner().invoke(app, [*given, "reconcile", "--from", "2h"])
    assert isinstance(done.exception, NotProvisioned)
    assert (done.output, done.exception.exit_code) == ("", 1)


def test_what_agrees_agrees(engine: Engine, summarised: Settings) -> None:
    audit = reconcile(summarised)

    assert audit["groups"] == 300 + 300 + 3 * 3 + 3
    assert audit["differences"] == []


def test_each_difference_is_told_and_repaired(engine: Engine, summarised: Settings) -> None:
    before = without_stamps(everything(engine, summarised))
    sections = summarised.names.sections
    hit = engine.request("POST", f"/{sections}/_search", body={"size": 3, "sort": [{"@timestamp": "asc"}]})
    first, second, third = hit["hits"]["hits"]
    index = first["_index"]
    less = json.loads(json.dumps(first["_source"]))
    less["httpmon"]["hits"] = 0
    less["httpmon"]["status"]["2xx"] = 0
    extra = json.loads(json.dumps(third["_source"]))
    extra["httpmon"]["section"] = "/never"
    engine.request("PUT", f"/{index}/_doc/{first['_id']}", body=less, params={"refresh": "true"})
    engine.request("DELETE", f"/{index}/_doc/{second['_id']}", params={"refresh": "true"})
    engine.request("PUT", f"/{index}/_doc/extra", body=extra, params={"refresh": "true"})

    audit = reconcile(summarised, exit_code=6)

    told = {
        (one["group"], one["field"], one["source"], one["summary"])
        for one in audit["differences"]
        if one["transform"] == index
    }
    assert told == {
        ("2026-03-01T12:00:00.000Z /0", "httpmon.hits", 1, 0),
        ("2026-03-01T12:00:00.000Z /0", "httpmon.status.2xx", 1, 0),
        ("2026-03-01T12:00:30.000Z /1", "document", "there", None),
        ("2026-03-01T12:01:00.000Z /never", "document", None, "there"),
    }
    assert reconcile(summarised, "--repair")["repaired"]
    assert without_stamps(everything(engine, summarised))[0] == before[0]
    assert without_stamps(everything(engine, summarised))[1] == before[1]


def test_what_is_newer_than_the_last_checkpoint_is_no_difference(
    engine: Engine, summarised: Settings
) -> None:
    send_lines(engine, summarised, [log_line(START, "/0")], first=1000)

    assert reconcile(summarised)["differences"] == []


def test_status_shows_the_last_audit(engine: Engine, provisioned: Settings) -> None:
    assert read_installation(engine, provisioned).audited_at is None
    send_lines(engine, provisioned, [log_line(START, "/a")])
    settle(engine, TransformService(engine, provisioned.names, monotonic=QuickClock()))

    reconcile(provisioned)

    installation = read_installation(engine, provisioned)
    assert installation.audited_at is not None
    assert installation.audit.endswith("summaries compared, none differs")
    told = status_text(installation, [], UTC)
    assert re.search(r"last audit +\S.* ago: \d+ summaries compared, none differs\n", told), told
