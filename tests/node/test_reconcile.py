"""Guards `httpmon reconcile`: every difference is seen, repaired to what the log says, and nothing else is
touched."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cli.app import app
from engine.client import Engine
from engine.errors import NotFound, NotProvisioned
from provisioning.settings import Settings
from reading.gather import read_installation
from reading.status_output import status_text
from scheduler.transforms.service import TransformService
from tests.node.summaries import (
    QuickClock,
    define,
    install_summaries,
    log_line,
    send_lines,
    settle,
    settle_tiers,
    summaries,
)

pytestmark = pytest.mark.node

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def summarised(engine: Engine, settings: Settings) -> Settings:
    install_summaries(engine, settings)
    lines = [log_line(START + timedelta(seconds=30 * at), f"/{at % 3}", size=at) for at in range(300)]
    send_lines(engine, settings, lines)
    service = TransformService(engine, settings.names, monotonic=QuickClock())
    settle_tiers(engine, settings, service)
    return settings


def command(settings: Settings, *more: str, start: datetime = START, end: datetime | None = None) -> Result:
    """What the command prints, and with which exit code, in an installation of these settings."""
    given = ["--url", settings.engine.url, "--namespace", settings.namespace, "reconcile"]
    given += ["--from", start.isoformat(), "--to", (end or START + timedelta(hours=3)).isoformat()]
    kept = {"HTTPMON_RETENTION_RAW": settings.retention.raw}
    return CliRunner(env=kept).invoke(app, [*given, *more], catch_exceptions=False)


def reconcile(
    settings: Settings,
    *more: str,
    start: datetime = START,
    end: datetime | None = None,
    exit_code: int = 0,
) -> dict[str, Any]:
    done = command(settings, "--format", "json", *more, start=start, end=end)
    assert done.exit_code == exit_code, done.output
    answer: dict[str, Any] = json.loads(done.output)
    return answer


def of_transforms(audit: dict[str, Any], settings: Settings, key: str) -> dict[str, Any]:
    """One value of each transform, by its short name."""
    prefix = f"{settings.names.prefix}-"
    return {
        one["transform"].removeprefix(prefix).removesuffix("-000001"): one[key] for one in audit["transforms"]
    }


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
        ("2026-03-01T12:00:30.000Z /1", "document", "1 hit", None),
        ("2026-03-01T12:01:00.000Z /never", "document", None, "1 hit"),
    }
    assert reconcile(summarised, "--repair")["repaired"]
    assert without_stamps(everything(engine, summarised))[0] == before[0]
    assert without_stamps(everything(engine, summarised))[1] == before[1]


def test_what_a_running_transform_is_about_to_count_is_no_difference(
    engine: Engine, summarised: Settings
) -> None:
    send_lines(engine, summarised, [log_line(START, "/0")], first=1000)

    audit = reconcile(summarised)

    assert audit["differences"] == []
    unseen = of_transforms(audit, summarised, "unseen")
    assert (unseen["sections"], unseen["traffic"]) == (1, 1)
    told = command(summarised).output
    assert told == "610 summaries compared, none differs; 2 more are about to be written anew\n"


def test_what_never_ran_lacks_everything_and_repair_writes_it(engine: Engine, settings: Settings) -> None:
    install_summaries(engine, settings)
    send_lines(engine, settings, [log_line(START + timedelta(seconds=at), f"/{at % 3}") for at in range(60)])

    audit = reconcile(settings, exit_code=6)

    assert (audit["groups"], audit["differing"]) == (18 + 6, 18 + 6)
    # What is made of summaries lacks nothing as long as these are not there.
    assert of_transforms(audit, settings, "groups") == {
        "sections": 18,
        "sections-hourly": 0,
        "sections-late": 0,
        "traffic": 6,
        "traffic-hourly": 0,
        "traffic-late": 0,
    }
    assert {one["field"] for one in audit["differences"]} == {"document"}
    first = audit["differences"][0]
    assert (first["group"], first["source"], first["summary"]) == (
        "2026-03-01T12:00:00.000Z /0",
        "4 hits",
        None,
    )
    sections = f"{settings.names.sections}-000001"
    told = command(settings).output.splitlines()
    assert f"{sections} never ran (is its executor running?): what it has not counted differs" in told
    assert told[-1] == "24 summaries compared, 24 differ, not repaired; 6 transforms not up to date"

    repaired = reconcile(settings, "--repair")

    # The hours, too, which are made of what was just written.
    assert repaired["differing"] == 18 + 6 + 3 + 1
    assert reconcile(settings)["differences"] == []
    written = without_stamps(everything(engine, settings))
    service = TransformService(engine, settings.names, monotonic=QuickClock())
    settle_tiers(engine, settings, service)
    again = without_stamps(everything(engine, settings))
    for tier, before in zip(again, written, strict=True):
        assert sorted(tier, key=json.dumps) == sorted(before, key=json.dumps)
    assert sum(one["httpmon"]["hits"] for one in summaries(engine, settings.names.sections)) == 60


def test_what_a_stopped_transform_has_not_seen_differs(engine: Engine, summarised: Settings) -> None:
    sections = f"{summarised.names.sections}-000001"
    engine.request(
        "POST",
        f"/{summarised.names.transform_store}/_update/{sections}",
        body={"doc": {"enabled": False}},
        params={"refresh": "true"},
    )
    send_lines(engine, summarised, [log_line(START, "/0"), log_line(START, "/new")], first=1000)

    audit = reconcile(summarised, exit_code=6)

    told = [
        (one["transform"], one["group"], one["field"], one["source"], one["summary"])
        for one in audit["differences"]
        if one["field"] in ("document", "httpmon.hits")
    ]
    assert told == [
        (sections, "2026-03-01T12:00:00.000Z /0", "httpmon.hits", 2, 1),
        (sections, "2026-03-01T12:00:00.000Z /new", "document", "1 hit", None),
    ]
    assert of_transforms(audit, summarised, "unseen") == {
        "sections": 0,
        "sections-hourly": 0,
        "sections-late": 0,
        "traffic": 1,
        "traffic-hourly": 0,
        "traffic-late": 0,
    }
    standing = of_transforms(audit, summarised, "standing")
    assert standing["sections"].startswith("is stopped, and saw what came before ")
    assert {text for name, text in standing.items() if name != "sections"} == {""}
    reconcile(summarised, "--repair")
    assert reconcile(summarised)["differences"] == []


# What is laid over the state of a transform, and what is told of it.
NOT_UP_TO_DATE: list[tuple[dict[str, Any], str]] = [
    ({"upper": 1_700_000_000_000}, r"is [\d,]+ s behind \(is its executor running\?\)"),
    ({"status": "failed"}, "failed, and saw what came before 20"),
    ({"upper": None, "running": {"total": 10, "done": 3}}, "reads what there is, 30 % done"),
]


def test_what_a_transform_that_is_not_up_to_date_has_not_counted_differs(
    engine: Engine, summarised: Settings
) -> None:
    names = summarised.names
    path = f"/{names.transform_store}/_doc/{names.traffic}-000001:state"
    stored = engine.request("GET", path)["_source"]
    begun = {"lower": None, "upper": stored["upper"], "slices": [], "version": 1, "position": None}
    send_lines(engine, summarised, [log_line(START, "/0")], first=1000)
    for laid_over, told in NOT_UP_TO_DATE:
        state = {**stored, **laid_over}
        if state["running"] is not None:
            state["running"] = begun | state["running"]
        engine.request("PUT", path, body=state, params={"refresh": "true"})

        audit = reconcile(summarised, exit_code=6)

        assert re.match(told, of_transforms(audit, summarised, "standing")["traffic"])
        assert audit["differing"] == 1
        assert {one["transform"] for one in audit["differences"]} == {f"{names.traffic}-000001"}
    told = "1 differs, not repaired; 1 more is about to be written anew; 1 transform not up to date\n"
    assert command(summarised).output.endswith(told)


def test_what_cannot_be_compared_is_told_by_name(engine: Engine, summarised: Settings) -> None:
    by_section = {
        "source": {"index": summarised.names.raw},
        "dest": {"index": summarised.names.of("mine")},
        "sync": {"time": {"field": "event.ingested"}},
        "pivot": {
            "group_by": {"httpmon.section": {"terms": {"field": "httpmon.section"}}},
            "aggregations": {"n": {"value_count": {"field": "@timestamp"}}},
        },
    }
    define(engine, summarised, summarised.names.of("mine"), by_section)

    assert "1 transform not compared" in command(summarised).output
    assert of_transforms(reconcile(summarised), summarised, "obstacle")["mine"].startswith("it runs once, or")

    broken = {**by_section, "pivot": {"group_by": {}, "aggregations": {}}}
    define(engine, summarised, summarised.names.of("mine"), broken)

    done = command(summarised)

    assert done.exit_code == 6
    assert f"{summarised.names.of('mine')} is not compared: pivot.group_by" in done.output
    assert "612 summaries compared, none differs" in done.output


def test_looking_makes_no_destination(engine: Engine, summarised: Settings) -> None:
    destination = summarised.names.of("mine")
    body = {
        "source": {"index": summarised.names.raw},
        "dest": {"index": destination},
        "sync": {"time": {"field": "event.ingested"}},
        "pivot": {
            "group_by": {"@timestamp": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1h"}}},
            "aggregations": {"n": {"value_count": {"field": "@timestamp"}}},
        },
    }
    define(engine, summarised, destination, body)

    assert of_transforms(reconcile(summarised, exit_code=6), summarised, "differing")["mine"] == 3
    with pytest.raises(NotFound):
        engine.request("GET", f"/{destination}")

    reconcile(summarised, "--repair")
    assert of_transforms(reconcile(summarised), summarised, "groups")["mine"] == 3


def test_hours_without_anything_are_passed_over(engine: Engine, summarised: Settings) -> None:
    """A log of years is compared in the time that its hours take, not those of the years."""
    old = datetime(1998, 5, 1, tzinfo=UTC)
    lost = f"/{summarised.names.sections}-000001/_doc/lost"
    summary = {"@timestamp": old.isoformat(), "httpmon": {"section": "/lost", "hits": 3}}
    engine.request("PUT", lost, body=summary, params={"refresh": "true"})

    audit = reconcile(summarised, start=datetime(1990, 1, 1, tzinfo=UTC), exit_code=6)

    assert audit["groups"] == 612 + 1
    assert [(one["source"], one["summary"]) for one in audit["differences"]] == [(None, "3 hits")]


def test_status_shows_the_last_audit(engine: Engine, provisioned: Settings) -> None:
    assert read_installation(engine, provisioned).audited_at is None
    send_lines(engine, provisioned, [log_line(START, "/a")])
    settle(engine, TransformService(engine, provisioned.names, monotonic=QuickClock()))

    reconcile(provisioned)

    installation = read_installation(engine, provisioned)
    assert installation.audited_at is not None
    # The hours are made of what was written a moment ago.
    assert installation.audit == "2 summaries compared, none differs; 2 more are about to be written anew"
    told = status_text(installation, [], UTC)
    assert re.search(r"last audit +\S.* ago: 2 summaries compared, none differs; 2 more are about", told), (
        told
    )


def test_status_tells_how_many_summaries_differed(engine: Engine, provisioned: Settings) -> None:
    send_lines(engine, provisioned, [log_line(START, f"/{at}") for at in range(3)])

    reconcile(provisioned, exit_code=6)
    audit = read_installation(engine, provisioned).audit
    assert audit == "4 summaries compared, 4 differ, not repaired; 6 transforms not up to date"

    reconcile(provisioned, "--repair")
    audit = read_installation(engine, provisioned).audit
    assert audit == "8 summaries compared, 8 differ, repaired; 6 transforms not up to date"
