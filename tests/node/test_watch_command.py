"""Guards the watch commands and webhooks: a receiver gets what the engine rendered, when it should."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.app import app
from engine.client import Engine
from engine.errors import HttpmonError, NotProvisioned
from provisioning.settings import Settings
from tests.node.receivers import Receiver, receiving
from tests.node.watch_runs import Clock, leave_active, run_watches

START = 1_700_000_000


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


def webhook(receiver: Receiver, **more: Any) -> dict[str, Any]:
    return {
        "trigger": {"schedule": {"interval": "10s"}},
        "throttle_period": "0s",
        "input": {"simple": {"status": 'red "hot"', "n": 12345678.0, "list": ["a", "b"]}},
        "actions": {
            "call": {
                "webhook": {
                    "method": "POST",
                    "host": "127.0.0.1",
                    "port": receiver.port,
                    "path": "/{{ctx.watch_id}}",
                    "params": {"at": "{{ctx.trigger.scheduled_time}}"},
                    "headers": {"X-Status": "{{ctx.payload.n}}"},
                    "auth": {"basic": {"username": "me", "password": "secret"}},
                    "body": "{{ctx.payload.status}} {{#toJson}}ctx.payload.list{{/toJson}}",
                },
                **more,
            }
        },
    }


def define(engine: Engine, settings: Settings, name: str, body: dict[str, Any]) -> None:
    document = {"type": "definition", "id": name, "body": body, "active": True}
    path = f"/{settings.names.watch_store}/_doc/{name}"
    engine.request("PUT", path, body=document, params={"refresh": True})


def only(engine: Engine, settings: Settings, name: str, body: dict[str, Any]) -> None:
    """Make one watch the only one that runs."""
    leave_active(engine, settings)
    define(engine, settings, name, body)


def last_record(engine: Engine, settings: Settings) -> dict[str, Any]:
    """The record of the last run of the one watch that runs."""
    engine.request("POST", f"/{settings.names.watch_history}/_refresh")
    body = {"size": 1, "query": {"term": {"watch_id": "caller"}}, "sort": [{"@timestamp": "desc"}]}
    (hit,) = engine.request("POST", f"/{settings.names.watch_history}/_search", body=body)["hits"]["hits"]
    return dict(hit["_source"])


def httpmon(settings: Settings, *arguments: str) -> str:
    given = ["--url", settings.engine.url, "--namespace", settings.namespace, "watch", *arguments]
    done = CliRunner().invoke(app, given, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_webhook_sends_what_the_engine_renders(
    engine: Engine, provisioned: Settings, receiver: Receiver
) -> None:
    only(engine, provisioned, "caller", webhook(receiver))
    run_watches(engine, provisioned, Clock(START + 1), START + 12)
    ((method, path, headers, body),) = receiver.received
    assert (method, path) == ("POST", "/caller?at=2023-11-14T22%3A13%3A30Z")
    assert body == 'red "hot" ["a","b"]'
    assert headers["X-Status"] == "1.2345678E7"
    assert headers["Authorization"] == "Basic bWU6c2VjcmV0"
    record = last_record(engine, provisioned)
    (action,) = record["result"]["actions"]
    assert (action["status"], action["webhook"]["response"]["body"]) == ("success", "thank you")
    assert "secret" not in json.dumps(record)


def test_a_refused_webhook_is_a_failure_in_the_history(
    engine: Engine, provisioned: Settings, receiver: Receiver
) -> None:
    receiver.status = 503
    only(engine, provisioned, "caller", webhook(receiver))
    run_watches(engine, provisioned, Clock(START + 1), START + 12)
    record = last_record(engine, provisioned)
    (action,) = record["result"]["actions"]
    assert (action["status"], action["reason"]) == ("failure", "received [503] status code")
    listed = {one["identifier"]: one for one in json.loads(httpmon(provisioned, "list", "--format", "json"))}
    assert listed["caller"]["state"] == record["state"] == "executed"


def test_a_receiver_that_is_away_is_a_failure(
    engine: Engine, provisioned: Settings, receiver: Receiver
) -> None:
    body = webhook(receiver)
    body["actions"]["call"]["webhook"]["port"] = 1
    only(engine, provisioned, "caller", body)
    run_watches(engine, provisioned, Clock(START + 1), START + 12)
    (action,) = last_record(engine, provisioned)["result"]["actions"]
    assert action["status"] == "failure"
    assert action["reason"].startswith("no answer from 127.0.0.1:1: ")


def test_foreach_sends_one_for_each_item(engine: Engine, provisioned: Settings, receiver: Receiver) -> None:
    body = webhook(receiver, foreach="ctx.payload.list", max_iterations=5)
    body["actions"]["call"]["webhook"]["body"] = "{{ctx.payload._value}}"
    only(engine, provisioned, "caller", body)
    run_watches(engine, provisioned, Clock(START + 1), START + 12)
    assert [one[3] for one in receiver.received] == ["a", "b"]


def test_an_acknowledged_action_rests_until_the_condition_was_false(
    engine: Engine, provisioned: Settings, receiver: Receiver
) -> None:
    only(engine, provisioned, "caller", webhook(receiver))
    run_watches(engine, provisioned, Clock(START + 1), START + 12)
    assert httpmon(provisioned, "ack", "caller") == "caller is acknowledged\n"
    run_watches(engine, provisioned, Clock(START + 15), START + 22)
    assert len(receiver.received) == 1
    define(engine, provisioned, "caller", webhook(receiver) | {"condition": {"never": {}}})
    run_watches(engine, provisioned, Clock(START + 25), START + 32)
    define(engine, provisioned, "caller", webhook(receiver))
    run_watches(engine, provisioned, Clock(START + 35), START + 42)
    assert len(receiver.received) == 2


def test_a_watch_that_rests_does_not_run(engine: Engine, provisioned: Settings, receiver: Receiver) -> None:
    only(engine, provisioned, "caller", webhook(receiver))
    assert httpmon(provisioned, "deactivate", "caller") == "caller is deactivated\n"
    run_watches(engine, provisioned, Clock(START + 1), START + 12)
    assert receiver.received == []
    assert httpmon(provisioned, "activate", "caller") == "caller is active\n"
    run_watches(engine, provisioned, Clock(START + 15), START + 22)
    assert len(receiver.received) == 1


def test_execute_tries_a_watch_without_touching_its_status(
    engine: Engine, provisioned: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    only(engine, provisioned, "caller", webhook(receiver))
    payload = tmp_path / "payload.json"
    payload.write_text('{"status": "given", "list": []}')
    record = json.loads(httpmon(provisioned, "execute", "caller", "--simulate", "--input", str(payload)))
    (action,) = record["result"]["actions"]
    assert (action["status"], action["webhook"]["request"]["body"]) == ("simulated", "given []")
    assert receiver.received == []
    record = json.loads(httpmon(provisioned, "execute", "caller", "--at", "2026-03-01T12:00:00"))
    assert record["trigger_event"]["manual"]["schedule"]["scheduled_time"] == "2026-03-01T12:00:00.000Z"
    assert len(receiver.received) == 1
    listed = {one["identifier"]: one for one in json.loads(httpmon(provisioned, "list", "--format", "json"))}
    assert listed["caller"]["last"] is None


def test_the_built_in_rule_can_be_tried(provisioned: Settings) -> None:
    simulated = ("execute", "high_traffic", "--simulate", "--ignore-condition")
    record = json.loads(httpmon(provisioned, *simulated))
    assert record["result"]["input"]["payload"]["traffic"]["aggregations"]["hits"]["value"] == 0
    plain = json.loads(httpmon(provisioned, "execute", "high_traffic"))
    assert plain["state"] == "execution_not_needed"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"trigger": {"schedule": {"interval": "10x"}}}', "trigger.schedule.interval: '10x' is no interval"),
        ('{"trigger": {}}', 'trigger: has one field, "schedule"'),
        (
            '{"trigger": {"schedule": {"interval": "1m"}},\n "actions": {"a": {"webhok": {}}}}',
            "actions.a.webhok",
        ),
        ('{\n"trigger": ,}', "is not JSON: Expecting value: line 2 column 12"),
    ],
)
def test_validate_names_the_place(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "my.json"
    file.write_text(text)
    with pytest.raises(HttpmonError) as caught:
        CliRunner().invoke(app, ["watch", "validate", str(file)], catch_exceptions=False)
    assert message in str(caught.value)


def refused(settings: Settings, *arguments: str) -> Any:
    """What a command ends with where it does not succeed."""
    given = ["--url", settings.engine.url, "--namespace", settings.namespace, *arguments]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 1
    return done


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("watch list", "no watch {prefix}-* is installed: run httpmon provision"),
        ("watch list --format json", "no watch {prefix}-* is installed: run httpmon provision"),
        ("transform list", "no transform {prefix}-* is installed: run httpmon provision"),
        (
            "query run client-trail --param client=192.0.2.1",
            "{url} has no {raw}: run httpmon provision to make it",
        ),
    ],
)
def test_where_nothing_is_installed_it_is_told(settings: Settings, arguments: str, told: str) -> None:
    names = settings.names
    done = refused(settings, *arguments.split())
    assert isinstance(done.exception, NotProvisioned)
    assert str(done.exception) == told.format(prefix=names.prefix, url=settings.engine.url, raw=names.raw)
    assert done.stdout == ""


def test_a_backtest_in_which_every_run_failed_is_none(settings: Settings) -> None:
    span = ("--from", "2026-03-01T00:00:00", "--to", "2026-03-01T00:01:00")
    done = refused(settings, "watch", "backtest", "high_traffic", *span)
    assert done.stdout == (
        "6 runs, and the condition failed in each: is there data of that time? "
        "httpmon watch execute NAME --simulate --at 2026-03-01T00:00:07 shows why it fails\n"
    )
    printed = refused(settings, "watch", "backtest", "high_traffic", *span, "--format", "json").stdout
    answer = json.loads(printed)
    assert (answer["runs"], answer["failed"]) == (6, 6)
