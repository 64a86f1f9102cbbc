"""Guards what `httpmon status` calls wrong, how bad that is, and the exit code that monitoring reads."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reading.installation import (
    Installation,
    KibanaState,
    Schedulers,
    SchedulerState,
    Tier,
    TransformState,
    WatchState,
    exit_code,
    findings,
    verdict,
)
from reading.shippers import ShipperState, shape_shippers
from reading.status_output import status_object, status_text
from shipping.delivery import Counts
from shipping.reports import Reporting, report_document
from shipping.shipper import Progress

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SHIPPER = ShipperState(
    identifier="shipper:1",
    host="web1",
    pid=7,
    state="running",
    reported_at=NOW - timedelta(seconds=4),
    registry="/var/lib/httpmon/ship.json",
    files=("/var/log/access.log",),
    read=1200,
    sent=1100,
    duplicates=99,
    dead=1,
)
WELL = Installation(
    read_at=NOW,
    engine="opensearch 3.8.0",
    licence=None,
    health="green",
    transforms_by="scheduler",
    watches_by="scheduler",
    objects=21,
    transforms=(
        TransformState("httpmon-sections-000001", "started", 4.2),
        TransformState("httpmon-sections-hourly-000001", "started", 200.0),
    ),
    watches=(WatchState("httpmon-high-traffic", True, NOW - timedelta(seconds=8), "execution_not_needed"),),
    shippers=(SHIPPER,),
    tiers=(Tier("raw", 1000, 500_000), Tier("sections", 100, 9_000)),
    newest_summary=NOW - timedelta(seconds=10),
    newest_hit=NOW - timedelta(seconds=3),
)

TEXT = """
status          OK
engine          opensearch 3.8.0, indices green
executors       transforms by httpmon scheduler, watches by httpmon scheduler
objects         21, all as rendered
newest summary  2026-03-01 11:59:50 UTC, 0 s ago
newest hit      2026-03-01 11:59:57 UTC, 3 s ago
unparsed lines  0
open alerts     none

transform                       state        lag
------------------------------  -------  -------
httpmon-sections-000001         started    4.2 s
httpmon-sections-hourly-000001  started  200.0 s

watch                 last run                 when    left out
--------------------  --------------------  -------  ----------
httpmon-high-traffic  execution_not_needed  8 s ago           -

shipper    state      reported    lines    again    dead    behind
---------  -------  ----------  -------  -------  ------  --------
web1       running     4 s ago    1,200       99       1         -

data        documents     bytes
--------  -----------  --------  --
raw             1,000  500.0 kB
sections          100    9.0 kB
""".strip()


def test_all_is_well() -> None:
    assert findings(WELL) == []
    assert exit_code(verdict([])) == 0
    shown = status_text(WELL, [], UTC)
    assert [line.rstrip() for line in shown.splitlines()] == TEXT.splitlines()


def test_header_lines_are_shown_where_there_are_any() -> None:
    shown = status_text(replace(WELL, headers=4), [], UTC).splitlines()
    assert [line.split() for line in shown if "lines" in line][:2] == [
        ["unparsed", "lines", "0"],
        ["header", "lines", "4"],
    ]


@pytest.mark.parametrize(
    ("change", "level", "what"),
    [
        ({"missing": tuple("abc"), "objects": 3}, "broken", "nothing is installed"),
        ({"missing": ("a", "b", "c", "d", "e")}, "broken", "missing: a, b, c and 2 more"),
        ({"changed": ("a",)}, "degraded", "not as rendered: a"),
        ({"health": "red"}, "broken", "an index has lost a shard (red)"),
        ({"health": "yellow"}, "ok", ""),
        ({"tiers": (Tier("raw", 1, 1, read_only=True),)}, "broken", "writing is blocked: raw"),
        (
            {"transforms": (TransformState("t", "failed", None, "transform t: no such field"),)},
            "broken",
            "transform t failed: no such field",
        ),
        ({"transforms": (TransformState("t", "stopped", None),)}, "degraded", "transform t is stopped"),
        ({"transforms": (TransformState("t", "started", None),)}, "degraded", "never ran: t"),
        ({"transforms": (TransformState("t", "started", 61.0),)}, "degraded", "up to 61 s behind: t"),
        (
            {"transforms": (TransformState("t", "started", None, progress=26.6),)},
            "degraded",
            "transform t reads what there is, 27 % done",
        ),
        (
            {"transforms": (TransformState("t", "started", None, "transform t: no index a yet"),)},
            "degraded",
            "transform t tries again: no index a yet",
        ),
        ({"transforms": (TransformState("t-hourly-1", "started", 599.0),)}, "ok", ""),
        ({"watches": (WatchState("w", False, None, ""),)}, "degraded", "watch w is not active"),
        ({"watches": (WatchState("w", True, None, ""),)}, "degraded", "watch w never ran"),
        (
            {"watches": (WatchState("w", True, NOW - timedelta(seconds=61), "executed"),)},
            "degraded",
            "watch w ran last 61 s ago",
        ),
        (
            {"watches": (WatchState("w", True, NOW, "executed", next_run=NOW + timedelta(days=1)),)},
            "ok",
            "",
        ),
        ({"watches": (WatchState("w", True, NOW, "failed"),)}, "broken", "watch w fails"),
        ({"kibana": KibanaState("http://k", objects=3)}, "ok", ""),
        ({"kibana": KibanaState("http://k", "refused")}, "degraded", "Kibana cannot be asked: refused"),
        (
            {"kibana": KibanaState("http://k", "refused"), "watches_by": "kibana"},
            "broken",
            "Kibana cannot be asked: refused",
        ),
        ({"kibana": KibanaState("http://k", "", 3, ("a",))}, "degraded", "missing in Kibana: a"),
        ({"kibana": KibanaState("http://k", "", 3, (), ("a",))}, "degraded", "not as rendered in Kibana: a"),
        (
            {"watches": (WatchState("w", True, NOW, "failed", "no field [x]"),)},
            "broken",
            "watch w fails: no field [x]",
        ),
        (
            {"watches": (WatchState("w", True, NOW, "executed", "action tell failed: no answer"),)},
            "degraded",
            "watch w: action tell failed: no answer",
        ),
        (
            {"watches": (WatchState("w", True, None, "", "it does not run: trigger: is missing"),)},
            "broken",
            "watch w: it does not run: trigger: is missing",
        ),
        ({"schedulers": Schedulers(SchedulerState("a", 7, 20.0), 3, NOW)}, "ok", ""),
        ({"schedulers": Schedulers(term=3)}, "degraded", "no scheduler executes"),
        (
            {"schedulers": Schedulers(SchedulerState("a", 7, 21.0), 3, NOW)},
            "degraded",
            "no scheduler executes; process 7 on a was heard of 21 s ago",
        ),
        (
            {"shippers": (replace(SHIPPER, reported_at=NOW - timedelta(seconds=61)),)},
            "degraded",
            "the shipper on web1 (process 7) was heard of 61 s ago",
        ),
        (
            {"shippers": (replace(SHIPPER, state="stopped", reported_at=NOW - timedelta(days=1)),)},
            "ok",
            "",
        ),
        (
            {"shippers": (replace(SHIPPER, behind_bytes=5_000, behind_seconds=61.0),)},
            "degraded",
            "the shipper on web1 (process 7) is 5,000 bytes and 61 s behind",
        ),
        ({"shippers": (replace(SHIPPER, behind_bytes=5_000, behind_seconds=59.0),)}, "ok", ""),
        ({"open_alerts": ("High traffic",)}, "degraded", "open alert: High traffic"),
    ],
)
def test_each_thing_that_can_be_wrong(change: dict[str, Any], level: str, what: str) -> None:
    found = findings(replace(WELL, **change))
    assert [finding.what for finding in found] == ([what] if what else [])
    assert verdict(found) == level
    assert exit_code(verdict(found)) == {"ok": 0, "degraded": 6, "broken": 7}[level]
    assert all(finding.mend for finding in found)


def test_in_a_terminal_it_is_one_screen() -> None:
    small = status_text(
        replace(WELL, kibana=KibanaState("http://k", objects=3)), [], UTC, width=80, height=24
    )
    assert len(small.splitlines()) < 24
    assert max(map(len, small.splitlines())) <= 80
    assert "http://k, objects 3, all as rendered" in small
    assert "2 started, at most 200.0 s behind" in small
    assert "httpmon status --all" in small
    assert status_text(WELL, [], UTC, width=200, height=50) == status_text(WELL, [], UTC)


def test_the_worst_comes_first() -> None:
    found = findings(replace(WELL, open_alerts=("x",), changed=("y",), health="red"))
    assert [finding.level for finding in found] == ["broken", "degraded", "degraded"]
    lines = status_text(replace(WELL, health="red"), found, UTC).splitlines()
    assert lines[0].split() == ["status", "BROKEN"]
    assert "broken: an index has lost a shard (red)" in lines


def test_who_executes_and_who_stands_by() -> None:
    standby = SchedulerState("host-b", 8, 3.0)
    schedulers = Schedulers(
        SchedulerState("host-a", 7, 1.0), 3, NOW - timedelta(hours=1), (standby, replace(standby, pid=9))
    )
    lines = status_text(replace(WELL, schedulers=schedulers), [], UTC).splitlines()
    told = {line[:16].strip(): line[16:].strip() for line in lines[:10]}
    assert told["scheduler"] == "process 7 on host-a since 2026-03-01 11:00:00 UTC, term 3"
    assert told["stand by"] == "process 8 on host-b, process 9 on host-b"
    silent = replace(schedulers, leader=SchedulerState("host-a", 7, 90.0), standbys=())
    assert "silent for 1 min 30 s" in status_text(replace(WELL, schedulers=silent), [], UTC)
    shown = json.loads(json.dumps(status_object(replace(WELL, schedulers=schedulers), [])))
    assert shown["schedulers"]["leader"] == {"host": "host-a", "pid": 7, "silent_seconds": 1.0}


def test_json_has_the_same() -> None:
    shown = json.loads(json.dumps(status_object(WELL, [])))
    assert (shown["status"], shown["exit_code"], shown["findings"]) == ("ok", 0, [])
    assert shown["read_at"] == "2026-03-01T12:00:00Z"
    assert shown["transforms"][0]["lag_seconds"] == 4.2
    assert shown["watches"][0]["last_checked"] == "2026-03-01T11:59:52Z"


def test_what_a_shipper_reports_is_what_is_read() -> None:
    files = SHIPPER.files
    who = Reporting("web1", 7, Path(SHIPPER.registry), files, NOW - timedelta(hours=1))
    progress = Progress(Counts(read=1200, sent=1100, duplicates=99, dead=1), 300, 2.25, 1)
    document = report_document(who, progress, state="running", now=NOW)
    answer = {"hits": {"hits": [{"_id": who.identifier, "_source": json.loads(json.dumps(document))}]}}
    expected = replace(
        SHIPPER, identifier=who.identifier, reported_at=NOW, behind_bytes=300, behind_seconds=2.2
    )
    assert shape_shippers(answer) == (expected,)
    assert replace(who, pid=8).identifier == who.identifier, "a restart is the same shipper"
    assert replace(who, host="web2").identifier != who.identifier
