"""Guards the built-in rules beside high traffic: over made-up traffic each says what a plain count says.

The summaries are written as the transforms write them (other tests guard those); then a scheduler runs every
rule for each of its scheduled times. The rules in plain Python look at nothing but the traffic.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from cli.app import app
from engine.client import Engine
from engine.errors import UsageError
from provisioning.installation import provision
from provisioning.settings import EngineSettings, Settings
from scheduler.watches.backtest import backtest
from scheduler.watches.backtest_report import watch_to_try
from scheduler.watches.definition import parse_watch
from tests.conftest import remove_namespace
from tests.node.watch_runs import Clock, leave_active, run_watches

BUCKET, DELAY, HOUR = 10, 7, 3600
START, SECONDS = 1_700_000_000, 700
END = START + SECONDS
WINDOW = 60
# Small numbers, so that little traffic does.
PARAMETERS: dict[str, dict[str, Any]] = {
    "error_rate": {"window": "1m", "threshold": 0.2, "recovery_threshold": 0.1, "minimum_hits": 60},
    "section_errors": {"window": "1m", "threshold": 0.25, "minimum_hits": 30, "renotify": "2m"},
    "traffic_drop": {"window": "1m", "threshold": 0.5, "recovery_threshold": 0.3, "minimum_hits": 200},
    "client_flood": {"window": "1m", "threshold": 0.5, "minimum_hits": 100},
    "no_data": {"after": "1m"},
    "unparsed_lines": {"window": "1m", "threshold": 5, "recovery_threshold": 1},
}


class Traffic(NamedTuple):
    """Made-up traffic, by bucket (epoch seconds)."""

    hits: dict[int, dict[str, int]]  # of each section
    errors: dict[int, dict[str, int]]
    clients: dict[int, dict[str, int]]
    unparsed: list[int]  # epoch seconds, never at a bucket's beginning

    def all_hits(self, buckets: range) -> int:
        return sum(sum(self.hits.get(bucket, {}).values()) for bucket in buckets)


class Looked(NamedTuple):
    """What a rule sees of one thing at one time."""

    value: float
    hits: int
    breached: bool
    recovered: bool
    evaluable: bool = True
    silent: bool = False


Event = tuple[int, str, str, int, float]  # bucket end, key, action, hits, value


def made_up(seed: int) -> Traffic:
    dice = random.Random(seed)
    traffic = Traffic({}, {}, {}, [])
    for hour_before in (True, False):
        load, bad, flood = 20, 0.0, False
        for bucket in range(START, END, BUCKET):
            if (bucket - START) % 60 == 0:
                load = dice.choice((3, 15, 30))
                bad = dice.choice((0.0, 0.05, 0.3, 0.6))
                flood = dice.random() < 0.4
            if not hour_before and 300 <= bucket - START < 400:
                continue  # nothing at all
            moment = bucket - HOUR if hour_before else bucket
            hits = {section: dice.randint(0, load * 2) for section in ("/api", "/pages", "/static")}
            traffic.hits[moment] = {section: count for section, count in hits.items() if count}
            traffic.errors[moment] = {
                section: sum(dice.random() < (bad if section != "/static" else 0.02) for _ in range(count))
                for section, count in traffic.hits[moment].items()
            }
            total = sum(hits.values())
            first = int(total * (0.8 if flood else 0.3))
            traffic.clients[moment] = {"192.0.2.1": first, "2001:db8::7": (total - first) // 2}
            if not hour_before and dice.random() < 0.4:
                moments = [bucket + dice.randint(1, 9) for _ in range(dice.randint(0, 4))]
                traffic.unparsed.extend(moments)
    return traffic


TRAFFIC = made_up(seed=5)


# -- the rules in plain Python -----------------------------------------------------------------------------


def window_of(end: int) -> range:
    return range(end - WINDOW, end, BUCKET)


def error_rate(end: int) -> dict[str, Looked]:
    hits = TRAFFIC.all_hits(window_of(end))
    errors = sum(sum(TRAFFIC.errors.get(bucket, {}).values()) for bucket in window_of(end))
    share = errors / hits if hits else 0.0
    return {"": Looked(share, hits, hits >= 60 and share > 0.2, share <= 0.1)}


def section_errors(end: int) -> dict[str, Looked]:
    looked = {}
    for section in ("/api", "/pages", "/static"):
        hits = sum(TRAFFIC.hits.get(bucket, {}).get(section, 0) for bucket in window_of(end))
        errors = sum(TRAFFIC.errors.get(bucket, {}).get(section, 0) for bucket in window_of(end))
        share = errors / hits if hits else 0.0
        looked[section] = Looked(share, hits, hits >= 30 and share > 0.25, share <= 0.25)
    return looked


def traffic_drop(end: int) -> dict[str, Looked]:
    hits, before = TRAFFIC.all_hits(window_of(end)), TRAFFIC.all_hits(window_of(end - HOUR))
    gone = 1 - hits / before if before > hits else 0.0
    return {"": Looked(gone, hits, gone > 0.5, gone <= 0.3, evaluable=hits >= 200 or before >= 200)}


def client_flood(end: int) -> dict[str, Looked]:
    total = TRAFFIC.all_hits(window_of(end))
    looked = {}
    for client in ("192.0.2.1", "2001:db8::7"):
        hits = sum(TRAFFIC.clients.get(bucket, {}).get(client, 0) for bucket in window_of(end))
        share = hits / total if total else 0.0
        # An alert that is over tells of a client that is gone: nothing.
        looked[client] = (
            Looked(share, hits, hits >= 100, False) if share > 0.5 else Looked(0.0, 0, False, True)
        )
    return looked


def no_data(end: int) -> dict[str, Looked]:
    newest = max((bucket for bucket in TRAFFIC.hits if bucket < end and TRAFFIC.hits[bucket]), default=None)
    if newest is None:
        return {}
    return {"": Looked(0.0, 0, False, True, silent=newest + BUCKET + 60 <= end)}


def unparsed_lines(end: int) -> dict[str, Looked]:
    lines = sum(end - WINDOW < moment <= end for moment in TRAFFIC.unparsed)
    return {"": Looked(float(lines), 0, lines > 5, lines <= 1)}


RULES = {
    "error_rate": (error_rate, 0),
    "section_errors": (section_errors, 120),
    "traffic_drop": (traffic_drop, 0),
    "client_flood": (client_flood, 0),
    "no_data": (no_data, 0),
    "unparsed_lines": (unparsed_lines, 0),
}


def expected_events(rule: str) -> list[Event]:
    """The state machine of all rules, for each thing that one looks at."""
    look, renotify = RULES[rule]
    state: dict[str, tuple[str, int]] = {}
    said: list[Event] = []
    for end in range(START, END + 1 - DELAY, BUCKET):
        for key, one in sorted(look(end).items()):
            last, at = state.get(key, ("recovered", 0))
            action = ""
            if one.silent:
                action = "" if last == "no_data" else "no_data"
            elif one.evaluable and last in ("triggered", "renotified"):
                if one.recovered:
                    action = "recovered"
                elif renotify and end - at >= renotify:
                    action = "renotified"
            elif one.evaluable and one.breached:
                action = "triggered"
            elif one.evaluable and last == "no_data":
                action = "recovered"
            if action:
                state[key] = (action, end)
                said.append((end, key, action, one.hits, round(one.value, 9)))
    return said


# -- what the watches say ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ran(engine: Engine, engine_url: str) -> Iterator[Settings]:
    """An installation with the traffic summarised, in which each rule ran for each of its times."""
    settings = Settings(
        namespace=f"t{uuid.uuid4().hex[:10]}", engine=EngineSettings(url=engine_url), parameters=PARAMETERS
    )
    provision(engine, settings)
    write(engine, settings)
    leave_active(engine, settings, *RULES)
    run_watches(engine, settings, Clock(START + 1), END)
    yield settings
    remove_namespace(engine, settings.namespace)


def write(engine: Engine, settings: Settings) -> None:
    """Write the summaries as the transforms do, and unparsed lines as the pipeline does."""
    lines: list[str] = []

    def add(index: str, source: Mapping[str, Any], operation: str = "index") -> None:
        lines.extend([json.dumps({operation: {"_index": index}}), json.dumps(source)])

    for bucket, sections in TRAFFIC.hits.items():
        for section, hits in sections.items():
            counts = {
                "section": section,
                "hits": hits,
                "status": {
                    "2xx": hits - TRAFFIC.errors[bucket][section],
                    "5xx": TRAFFIC.errors[bucket][section],
                },
            }
            add(settings.names.sections, {"@timestamp": time_of(bucket), "httpmon": counts})
        if sections:
            counts = {
                "hits": sum(sections.values()),
                "status": {"5xx": sum(TRAFFIC.errors[bucket].values())},
                "top": {"clients": TRAFFIC.clients[bucket]},
            }
            add(settings.names.traffic, {"@timestamp": time_of(bucket), "httpmon": counts})
    for moment in TRAFFIC.unparsed:
        add(
            settings.names.raw, {"@timestamp": time_of(moment), "event": {"kind": "pipeline_error"}}, "create"
        )
    answer = engine.bulk(("\n".join(lines) + "\n").encode(), params={"refresh": True, "pipeline": "_none"})
    assert not answer["errors"], answer


def time_of(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).isoformat()


def documents(engine: Engine, settings: Settings, rule: str) -> list[dict[str, Any]]:
    body = {
        "size": 1000,
        "query": {"term": {"rule.id": rule.replace("_", "-")}},
        "sort": ["httpmon.alert.seq"],
    }
    hits = engine.request("POST", f"/{settings.names.alerts}/_search", body=body)["hits"]["hits"]
    return [hit["_source"] | {"_id": hit["_id"]} for hit in hits]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_says_what_a_plain_count_says(engine: Engine, ran: Settings, rule: str) -> None:
    found = documents(engine, ran, rule)
    expected = expected_events(rule)
    assert len(expected) >= 2, "the traffic does not try this rule"
    assert [
        (
            int(datetime.fromisoformat(one["@timestamp"]).timestamp()),
            one["httpmon"]["alert"].get("key", ""),
            one["event"]["action"],
            one["httpmon"]["alert"]["hits"],
            round(one["httpmon"]["alert"]["value"], 9),
        )
        for one in found
    ] == expected
    assert [one["httpmon"]["alert"]["seq"] for one in found] == list(range(1, len(found) + 1))


def test_what_an_alert_is_about_stands_in_its_own_field(engine: Engine, ran: Settings) -> None:
    sections = documents(engine, ran, "section_errors")
    assert {one["httpmon"]["section"] for one in sections} == {
        one["httpmon"]["alert"]["key"] for one in sections
    }
    assert len({one["httpmon"]["section"] for one in sections}) == 2
    clients = documents(engine, ran, "client_flood")
    assert {one["source"]["address"] for one in clients} == {"192.0.2.1"}


def test_each_alert_keeps_its_id_from_begin_to_end(engine: Engine, ran: Settings) -> None:
    opened: dict[str, str] = {}
    for one in documents(engine, ran, "section_errors"):
        alert = one["httpmon"]["alert"]
        if one["event"]["action"] == "triggered":
            assert alert["id"] == one["_id"]
            opened[alert["key"]] = alert["id"]
        assert alert["id"] == opened[alert["key"]]
        assert (alert["ended_at"] is not None) == (one["event"]["action"] == "recovered")


def test_a_message_says_what_happened(engine: Engine, ran: Settings) -> None:
    for rule, words in {
        "error_rate": "hits in 60 s are 5xx, threshold 20.0 %, at 20",
        "section_errors": "Section errors in /",
        "traffic_drop": "less than 60 min before, threshold 50.0 %, at 20",
        "client_flood": "Client flood by 192.0.2.1: ",
        "no_data": "No hits for 60 s, at 20",
        "unparsed_lines": "lines in 60 s are in no known format, threshold 5, at 20",
    }.items():
        assert words in documents(engine, ran, rule)[0]["message"]


def test_running_again_says_nothing_twice(engine: Engine, ran: Settings) -> None:
    before = {rule: documents(engine, ran, rule) for rule in RULES}
    statuses = {"query": {"term": {"type": "status"}}}
    store = ran.names.watch_store
    engine.request("POST", f"/{store}/_refresh")
    engine.request("POST", f"/{store}/_delete_by_query", body=statuses, params={"refresh": True})
    run_watches(engine, ran, Clock(END - 205), END)
    assert {rule: documents(engine, ran, rule) for rule in RULES} == before


@pytest.mark.parametrize("rule", RULES)
def test_a_backtest_finds_what_the_scheduler_said(engine: Engine, ran: Settings, rule: str) -> None:
    written = documents(engine, ran, rule)
    watch = watch_to_try(engine, ran, rule, rule)
    done = backtest(engine, ran.names, watch, moment(START + 1), moment(END))
    assert done.runs == SECONDS // BUCKET
    assert done.failed == []
    assert [comparable(one) for one in done.documents] == [comparable(one) for one in written]
    # Nothing was written.
    engine.request("POST", f"/{ran.names.alerts}/_refresh")
    assert documents(engine, ran, rule) == written


def test_a_backtest_prints_events_and_what_they_come_to(ran: Settings, tmp_path: Path) -> None:
    file = tmp_path / "httpmon.toml"
    values = "\n".join(f"{key} = {json.dumps(value)}" for key, value in PARAMETERS["error_rate"].items())
    file.write_text(f"[parameters.error_rate]\n{values}\n")
    arguments = ["--config", str(file), "--url", ran.engine.url, "--namespace", ran.namespace]
    arguments += ["watch", "backtest", "error_rate"]
    arguments += [
        "--from",
        f"{moment(START + 1):%Y-%m-%dT%H:%M:%S}",
        "--to",
        f"{moment(END):%Y-%m-%dT%H:%M:%S}",
    ]
    said = CliRunner().invoke(app, arguments, catch_exceptions=False).stdout
    assert "triggered   Error rate: " in said
    assert said.splitlines()[-1].startswith("70 runs: condition met ")
    never = CliRunner().invoke(app, [*arguments, "--set", "threshold=1", "--format", "json"])
    assert json.loads(never.stdout)["triggered"] == 0
    wrong = CliRunner().invoke(app, [*arguments, "--set", "treshold=1"])
    assert "treshold" in str(wrong.exception)


def test_a_watch_that_searches_by_now_is_refused(engine: Engine, ran: Settings) -> None:
    recent = {"query": {"range": {"@timestamp": {"gte": "now-5m"}}}}
    body = {
        "trigger": {"schedule": {"interval": "10s"}},
        "input": {"search": {"request": {"indices": ["x"], "body": recent}}},
    }
    with pytest.raises(UsageError, match="searches by 'now'"):
        backtest(engine, ran.names, parse_watch("w", body), moment(START), moment(END))


@pytest.mark.parametrize(
    "condition",
    [{"compare": {"ctx.payload.hits.total": {"gt": 0}}}, {"script": "ctx.payload.hits.total > 0"}],
    ids=["compare", "script"],
)
def test_a_watch_without_state_tells_when_it_was_met(
    engine: Engine, ran: Settings, condition: dict[str, Any]
) -> None:
    scheduled = "{{ctx.trigger.scheduled_time}}"
    query = {"range": {"@timestamp": {"gt": f"{scheduled}||-10s", "lte": scheduled}}}
    body = {
        "trigger": {"schedule": {"interval": "10s"}},
        "input": {"search": {"request": {"indices": [ran.names.traffic], "body": {"query": query}}}},
        "condition": condition,
    }
    done = backtest(engine, ran.names, parse_watch("w", body), moment(START - 1), moment(END - 1))
    expected = [bucket for bucket in range(START, END, BUCKET) if TRAFFIC.hits.get(bucket)]
    assert [int(one.timestamp()) for one in done.met] == expected


def moment(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def comparable(document: dict[str, Any]) -> dict[str, Any]:
    """A document without what depends on when it was written, its times as instants."""
    alert = {
        key: datetime.fromisoformat(value) if key.endswith("_at") and value else value
        for key, value in document["httpmon"]["alert"].items()
    }
    return {
        "alert": alert,
        "action": document["event"]["action"],
        "at": datetime.fromisoformat(document["@timestamp"]),
        "message": document["message"],
    }
