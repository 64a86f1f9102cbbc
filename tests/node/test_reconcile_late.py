"""Guards `httpmon reconcile` of late lines, which are counted by their hour and the span of arrival."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.client import Engine
from provisioning.retention import retention_for
from provisioning.settings import EngineSettings, RetentionSettings, Settings
from scheduler.transforms.audit import Audit, Compared
from scheduler.transforms.control import control_of
from scheduler.transforms.reconcile import reconcile
from scheduler.transforms.service import TransformService
from tests.node.summaries import QuickClock, install_summaries, log_line, send_lines, settle_tiers, summaries

pytestmark = pytest.mark.node

STEMS = ("sections", "traffic")
VISIBLE = {"refresh": "true"}
EVERYTHING = {"query": {"match_all": {}}}


@pytest.fixture
def expiring(request: pytest.FixtureRequest, engine: Engine, engine_url: str, namespace: str) -> Settings:
    """Raw documents are kept for 4 h, so that lines are late after 3 h, and counted by the hour of arrival.

    The transforms are those of the scheduler, or with the parameter "elasticsearch" those that one is given.
    """
    settings = Settings(
        namespace=namespace,
        executor="scheduler",
        engine=EngineSettings(url=engine_url),
        retention=RetentionSettings(raw="4h", summaries="6h"),
    )
    native = getattr(request, "param", "") == "elasticsearch"
    install_summaries(engine, settings, capabilities=replace(engine.capabilities(), transforms=native))
    return settings


def run(engine: Engine, settings: Settings) -> None:
    """Until the 10 s summaries are there and the hours made of them, too."""
    service = TransformService(engine, settings.names, monotonic=QuickClock())
    settle_tiers(engine, settings, service)


def audited(engine: Engine, settings: Settings, days: int, *, repair: bool = False) -> Audit:
    """The audit of the last days."""
    control = control_of(engine, settings, native=False)
    retention = retention_for(settings.retention, engine.capabilities())
    end = engine.now()
    return reconcile(engine, control, retention, end - timedelta(days=days), end, repair=repair)


def compared(audit: Audit, settings: Settings) -> dict[str, Compared]:
    """What was compared of each transform, by its short name."""
    prefix = f"{settings.names.prefix}-"
    return {one.transform.removeprefix(prefix).removesuffix("-000001"): one for one in audit.transforms}


def late_documents(engine: Engine, settings: Settings, stem: str) -> list[dict[str, Any]]:
    """The documents of late lines, without when they were written."""
    documents = summaries(engine, settings.names.of(f"{stem}_hourly"))
    found = [{**one, "event": None} for one in documents if "arrived" in one["httpmon"]]
    return sorted(found, key=json.dumps)


def late_hits(engine: Engine, settings: Settings) -> list[dict[str, Any]]:
    """The documents of late lines of sections as the engine gives them, by hour and section."""
    path = f"/{settings.names.of('sections_hourly')}/_search"
    query: dict[str, Any] = {
        "query": {"exists": {"field": "httpmon.arrived"}},
        "sort": ["@timestamp", "httpmon.section"],
    }
    hits: list[dict[str, Any]] = engine.request("POST", path, body=query)["hits"]["hits"]
    return hits


def changed(source: Mapping[str, Any], **values: Any) -> dict[str, Any]:
    """The same summary with other values."""
    return {**source, "httpmon": {**source["httpmon"], **values}}


def test_what_agrees_agrees(engine: Engine, expiring: Settings) -> None:
    now = engine.now()
    lines = [log_line(now - timedelta(hours=5, minutes=at), f"/{at % 2}") for at in range(120)]
    send_lines(engine, expiring, [*lines, log_line(now - timedelta(minutes=5))])
    run(engine, expiring)

    audit = audited(engine, expiring, 2)

    groups = {((now - timedelta(hours=5, minutes=at)).hour, at % 2) for at in range(120)}
    sections, hours = len(groups), len({hour for hour, _ in groups})
    each = compared(audit, expiring)
    assert audit.differences == ()
    assert (each["sections-late"].groups, each["traffic-late"].groups) == (sections, hours)
    # Neither tier takes the other's documents for its own.
    assert (each["sections-hourly"].groups, each["traffic-hourly"].groups) == (1, 1)
    assert audit.groups == sections + hours + 4


@pytest.mark.parametrize("expiring", ["scheduler", "elasticsearch"], indirect=True)
def test_each_difference_is_told_and_repaired(engine: Engine, expiring: Settings) -> None:
    late = engine.now() - timedelta(days=2)
    hour = late.replace(minute=0, second=0, microsecond=0)
    send_lines(engine, expiring, [log_line(late, f"/{at % 3}", size=at) for at in range(9)])
    run(engine, expiring)
    before = [late_documents(engine, expiring, stem) for stem in STEMS]
    first, second, third = late_hits(engine, expiring)
    index = first["_index"]
    arrived = first["_source"]["httpmon"]["arrived"]
    less = changed(first["_source"], hits=1)
    never = changed(third["_source"], section="/never")
    engine.request("PUT", f"/{index}/_doc/{first['_id']}", body=less, params=VISIBLE)
    engine.request("DELETE", f"/{index}/_doc/{second['_id']}", params=VISIBLE)
    engine.request("PUT", f"/{index}/_doc/extra", body=never, params=VISIBLE)

    audit = audited(engine, expiring, 7)

    at = f"{hour:%Y-%m-%dT%H}:00:00.000Z {arrived}"
    assert [(one.group, one.field, one.source, one.summary) for one in audit.differences] == [
        (f"{at} /0", "httpmon.hits", 3, 1),
        (f"{at} /1", "document", "3 hits", None),
        (f"{at} /never", "document", None, "3 hits"),
    ]
    assert {one.transform for one in audit.differences} == {f"{expiring.names.of('sections_late')}-000001"}
    assert (audit.groups, audit.differing) == (3 + 1 + 1, 3)
    assert audited(engine, expiring, 7, repair=True).repaired
    assert [late_documents(engine, expiring, stem) for stem in STEMS] == before
    assert audited(engine, expiring, 7).differences == ()


def test_what_arrived_so_long_ago_that_its_lines_may_have_expired_stays(
    engine: Engine, expiring: Settings
) -> None:
    late = engine.now() - timedelta(days=2)
    send_lines(engine, expiring, [log_line(late)] * 3)
    script = {
        "source": "ctx._source.event.ingested = params.at",
        "params": {"at": (engine.now() - timedelta(hours=4, minutes=30)).isoformat()},
    }
    path = f"/{expiring.names.raw}/_update_by_query"
    engine.request("POST", path, body={"script": script}, params={"refresh": True, "pipeline": "_none"})
    run(engine, expiring)
    engine.request("POST", f"/{expiring.names.raw}/_delete_by_query", body=EVERYTHING, params=VISIBLE)
    send_lines(engine, expiring, [log_line(late)] * 2, first=100)
    run(engine, expiring)
    before = [late_documents(engine, expiring, stem) for stem in STEMS]

    audit = audited(engine, expiring, 7, repair=True)

    assert [sum(one["httpmon"]["hits"] for one in documents) for documents in before] == [5, 5]
    assert [late_documents(engine, expiring, stem) for stem in STEMS] == before
    assert (audit.groups, audit.differences) == (2, ())
    since = compared(audit, expiring)["sections-late"].since
    assert since is not None
    assert since.startswith("what arrived from ")


def test_lines_that_no_transform_counted_yet_are_told_and_counted(engine: Engine, expiring: Settings) -> None:
    send_lines(engine, expiring, [log_line(engine.now() - timedelta(days=40), f"/{at}") for at in range(3)])

    audit = audited(engine, expiring, 365)

    assert (audit.groups, audit.differing) == (4, 4)
    assert {(one.source, one.summary) for one in audit.differences} == {("1 hit", None), ("3 hits", None)}
    audited(engine, expiring, 365, repair=True)
    written = [late_documents(engine, expiring, stem) for stem in STEMS]
    run(engine, expiring)
    assert [late_documents(engine, expiring, stem) for stem in STEMS] == written
    assert [len(documents) for documents in written] == [3, 1]


def test_hours_and_late_lines_of_the_same_time_are_told_apart(
    engine: Engine, engine_url: str, namespace: str
) -> None:
    """A line that is late, though raw documents of its time are there still, is in no hour of the others."""
    settings = Settings(
        namespace=namespace, engine=EngineSettings(url=engine_url), retention=RetentionSettings(raw="7d")
    )
    install_summaries(engine, settings)
    late = engine.now() - timedelta(days=6, hours=12)
    send_lines(engine, settings, [log_line(late, "/a")] * 3)
    run(engine, settings)

    audit = audited(engine, settings, 20, repair=True)

    assert (audit.groups, audit.differences) == (2, ())
    documents = [one for stem in STEMS for one in late_documents(engine, settings, stem)]
    assert [one["httpmon"]["hits"] for one in documents] == [3, 3]
    each = compared(audit, settings)
    day = (datetime.now(UTC) - timedelta(days=6)).date()
    assert each["sections-late"].since in {
        f"what arrived from {day + timedelta(days=more)} 00:00:00Z on" for more in (0, 1)
    }
