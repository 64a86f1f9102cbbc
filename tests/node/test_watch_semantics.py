"""Guards that a watch means here what it means in Watcher, in the corners in which Watcher itself was probed.

Each watch is stored as provisioning stores it and executed on the real engine, which renders its Mustache,
runs its Painless and answers its searches.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.client import Engine
from provisioning.settings import Settings
from scheduler.watches.control import SchedulerControl, Trial
from scheduler.watches.instants import millisecond_text
from tests.node.summaries import install_store

Body = dict[str, Any]
Execute = Callable[..., Body]
TRIGGER = {"schedule": {"interval": "1h"}}


@pytest.fixture
def index(engine: Engine, settings: Settings) -> str:
    """An index of three documents, for searches and index actions."""
    name = settings.names.of("things")
    engine.request("PUT", f"/{name}", body={"mappings": {"properties": {"kind": {"type": "keyword"}}}})
    for number, kind in enumerate(("a", "b", "c")):
        body = {"kind": kind, "n": number}
        engine.request("PUT", f"/{name}/_doc/{number}", body=body, params={"refresh": True})
    return name


@pytest.fixture
def execute(engine: Engine, settings: Settings) -> Execute:
    """Store a watch and execute it: its record."""
    install_store(engine, settings, "watches")
    control = SchedulerControl(engine, settings.names)

    def executed(trial: Trial = Trial(), /, **parts: Any) -> Body:  # noqa: B008 - it is frozen
        body = {"trigger": TRIGGER} | parts
        document = {"type": "definition", "id": "w", "body": body, "active": True}
        path = f"/{settings.names.watch_store}/_doc/w"
        engine.request("PUT", path, body=document, params={"refresh": True})
        return control.execute("w", trial)

    return executed


def logging(text: str) -> Body:
    return {"log": {"throttle_period": "0s", "logging": {"text": text}}}


def logged(record: Body) -> str:
    (action,) = record["result"]["actions"]
    assert action["status"] == "success", action
    return str(action["logging"]["logged_text"])


def simple(**payload: Any) -> Body:
    return {"simple": payload}


@pytest.mark.parametrize(
    ("payload", "text", "expected"),
    [
        ({"n": 249821663232.0}, "{{ctx.payload.n}}", "2.49821663232E11"),
        ({"n": 12345678.0}, "{{ctx.payload.n}}", "1.2345678E7"),
        ({"n": 0.0001}, "{{ctx.payload.n}}", "1.0E-4"),
        ({"n": 2.0}, "{{ctx.payload.n}}", "2.0"),
        ({"n": 2}, "{{ctx.payload.n}}", "2"),
        # 0 is something, "" and an empty list and null are nothing.
        ({"x": 0}, "{{#ctx.payload.x}}yes{{/ctx.payload.x}}", "yes"),
        ({"x": ""}, "{{#ctx.payload.x}}yes{{/ctx.payload.x}}no", "no"),
        ({"x": []}, "{{^ctx.payload.x}}none{{/ctx.payload.x}}", "none"),
        ({"x": None}, "[{{ctx.payload.x}}|{{ctx.payload.y}}]", "[|]"),
        ({"x": ["a", "b"]}, "{{ctx.payload.x}}", "{0=a, 1=b}"),
        ({"x": {"k": "v"}}, "{{ctx.payload.x}}", "{k=v}"),
        ({"x": ["a", "b"]}, "{{ctx.payload.x.1}}", "b"),
        ({"x": [{"k": 1}, {"k": 2}]}, "{{#ctx.payload.x}}<{{k}}>{{/ctx.payload.x}}", "<1><2>"),
        # Texts are not escaped.
        ({"x": '"quoted" <b> \n&'}, "{{ctx.payload.x}}", '"quoted" <b> \n&'),
    ],
)
def test_mustache_in_texts(execute: Execute, payload: Body, text: str, expected: str) -> None:
    assert logged(execute(input=simple(**payload), actions=logging(text))) == expected


def test_what_mustache_cannot_reach(execute: Execute) -> None:
    texts = {
        "out_of_range": "{{ctx.payload.list.9}}",
        "join_over_null": "{{#join}}ctx.payload.nulls{{/join}}",
        "dotted_key": "[{{ctx.payload.values.50.0}}]",
    }
    actions = {name: {"logging": {"text": text}} for name, text in texts.items()}
    record = execute(input=simple(list=["a"], nulls=[None], values={"50.0": 1}), actions=actions)
    assert record["state"] == "executed"
    done = {one["id"]: one for one in record["result"]["actions"]}
    assert done["out_of_range"]["status"] == done["join_over_null"]["status"] == "failure"
    assert done["dotted_key"]["logging"]["logged_text"] == "[]"


def test_executing_heeds_a_throttle_period_and_begins_none(
    engine: Engine, settings: Settings, execute: Execute
) -> None:
    actions = {"log": {"throttle_period": "1h", "logging": {"text": "x"}}}
    assert [logged(execute(actions=actions)) for _ in range(2)] == ["x", "x"]
    now = {"timestamp": millisecond_text(datetime.now(UTC)), "successful": True}
    state = {
        "ack": {"timestamp": now["timestamp"], "state": "ackable"},
        "last_execution": now,
        "last_successful_execution": now,
    }
    status = {"type": "status", "id": "w", "status": {"state": {"active": True}, "actions": {"log": state}}}
    engine.request("PUT", f"/{settings.names.watch_store}/_doc/w:status", body=status)
    record = execute(actions=actions)
    assert record["state"] == record["result"]["actions"][0]["status"] == "throttled"


def test_times_print_as_java_prints_them(execute: Execute) -> None:
    at = Trial(at=datetime(2024, 1, 1, 10, 20, tzinfo=UTC))
    assert logged(execute(at, actions=logging("{{ctx.trigger.scheduled_time}}"))) == "2024-01-01T10:20Z"


def test_a_search_body_is_templated_as_one_text(execute: Execute, index: str) -> None:
    keys = ["{{#ctx.payload.first.list}}{{key}}", "{{/ctx.payload.first.list}}"]
    record = execute(
        input={
            "chain": {
                "inputs": [
                    {"first": simple(list=[{"key": "a"}, {"key": "b"}])},
                    {
                        "found": {
                            "search": {
                                "request": {"indices": [index], "body": {"query": {"terms": {"kind": keys}}}}
                            }
                        }
                    },
                ]
            }
        },
        actions=logging("{{ctx.payload.found.hits.total}}"),
    )
    assert logged(record) == "2"


@pytest.mark.parametrize(
    ("as_integer", "path"), [(True, "ctx.payload.hits.total"), (False, "ctx.payload.hits.total.value")]
)
def test_the_total_of_hits_in_both_forms(execute: Execute, index: str, as_integer: bool, path: str) -> None:
    request = {"indices": [index], "body": {"size": 0}, "rest_total_hits_as_int": as_integer}
    record = execute(
        input={"search": {"request": request}},
        condition={"compare": {path: {"eq": 3}}},
        actions=logging("met"),
    )
    assert record["state"] == "executed"
    assert record["result"]["condition"]["met"] is True


def test_a_missing_index_gives_no_hits_and_no_error(execute: Execute, settings: Settings) -> None:
    request = {"indices": [settings.names.of("nowhere")], "body": {}}
    record = execute(input={"search": {"request": request}}, actions=logging("{{ctx.payload.hits.total}}"))
    assert logged(record) == "0"


def test_what_is_extracted_of_a_search(execute: Execute, index: str) -> None:
    body = {"size": 0, "aggs": {"kinds": {"terms": {"field": "kind"}}}}
    record = execute(
        input={
            "search": {
                "request": {"indices": [index], "body": body},
                "extract": ["aggregations.kinds.buckets.key"],
            }
        },
        actions=logging("x"),
    )
    assert record["result"]["input"]["payload"] == {"aggregations": {"kinds": {"buckets": [{}, {}, {}]}}}


def test_a_failed_input_in_a_chain_leaves_nothing_and_the_others_run(execute: Execute, index: str) -> None:
    broken = {"search": {"request": {"indices": [index], "body": {"query": {"nonsense": {}}}}}}
    record = execute(
        input={"chain": {"inputs": [{"broken": broken}, {"fine": simple(x=1)}]}},
        actions=logging("{{ctx.payload.broken}} {{ctx.payload.fine.x}}"),
    )
    assert logged(record) == "{} 1"
    assert record["result"]["input"]["chain"]["broken"]["status"] == "failure"


def test_scripts_with_functions_variables_and_times(execute: Execute) -> None:
    record = execute(
        Trial(at=datetime(2025, 1, 1, 0, 0, 7, tzinfo=UTC)),
        input=simple(n=3),
        condition={
            "script": "int twice(int x) { return 2 * x; } ctx.vars.doubled = twice(ctx.payload.n); "
            "return ctx.trigger.scheduled_time.getSecond() == 7"
        },
        transform={
            "script": {"source": "return ['n': ctx.vars.doubled + params.more]", "params": {"more": 1}}
        },
        actions=logging("{{ctx.payload.n}} {{ctx.vars.doubled}}"),
    )
    assert logged(record) == "7 6"


def test_the_id_of_a_run_names_watch_and_time(execute: Execute) -> None:
    assert re.fullmatch(r"w_[-0-9a-f]{36}-\d{4}-.*Z", logged(execute(actions=logging("{{ctx.id}}"))))


def test_a_condition_that_throws_fails_the_run(execute: Execute) -> None:
    record = execute(condition={"script": "return ctx.payload.x.y"}, actions=logging("x"))
    assert record["state"] == "failed"
    assert record["result"]["actions"] == []
    assert record["exception"]["type"] == "script_exception"
    text, place = record["exception"]["script_stack"]
    assert (text, place.index("^---- HERE")) == ("return ctx.payload.x.y", text.index(".y"))


def test_a_transform_that_throws_is_executed_without_actions(execute: Execute) -> None:
    record = execute(transform={"script": "return ctx.payload.x.y"}, actions=logging("x"))
    assert record["state"] == "executed"
    assert record["result"]["condition"]["met"] is True
    assert record["result"]["transform"]["status"] == "failure"
    assert record["result"]["actions"] == []
    assert record["messages"] == ["failed to execute watch transform"]


def test_a_transform_that_returns_no_map_is_wrapped(execute: Execute) -> None:
    record = execute(transform={"script": "return 5"}, actions=logging("{{ctx.payload._value}}"))
    assert logged(record) == "5"


def test_integer_division_is_javas(execute: Execute) -> None:
    script = {"script": "return ['q': ctx.payload.n / 2]"}
    record = execute(input=simple(n=3), transform=script, actions=logging("{{ctx.payload.q}}"))
    assert logged(record) == "1"


def test_actions_run_in_order_and_their_transforms_do_not_leak(execute: Execute) -> None:
    record = execute(
        input=simple(x="whole"),
        actions={
            "second_by_name": {
                "transform": {"script": "return ['x': 'own']"},
                "logging": {"text": "{{ctx.payload.x}}"},
            },
            "first_by_name": {"logging": {"text": "{{ctx.payload.x}}"}},
        },
    )
    texts = [(one["id"], one["logging"]["logged_text"]) for one in record["result"]["actions"]]
    assert texts == [("second_by_name", "own"), ("first_by_name", "whole")]


def test_the_condition_of_an_action(execute: Execute) -> None:
    actions = {"log": {"condition": {"compare": {"ctx.payload.x": {"gt": 5}}}, "logging": {"text": "x"}}}
    (result,) = execute(input=simple(x=1), actions=actions)["result"]["actions"]
    assert (result["status"], result["reason"]) == ("condition_failed", "condition not met. skipping")
    assert logged(execute(input=simple(x=6), actions=actions)) == "x"


def test_for_each_item(execute: Execute) -> None:
    actions = {
        "log": {
            "foreach": "ctx.payload.items",
            "max_iterations": 2,
            "logging": {"text": "{{ctx.payload.n}}{{ctx.payload._value}}"},
        }
    }
    record = execute(input=simple(items=[{"n": 1}, "two", {"n": 3}]), actions=actions)
    (result,) = record["result"]["actions"]
    assert result["number_of_actions_executed"] == 2
    assert [one["logging"]["logged_text"] for one in result["foreach"]] == ["1", "two"]


def test_a_simulated_run_does_nothing(engine: Engine, execute: Execute, index: str) -> None:
    actions = {"write": {"index": {"index": index, "doc_id": "new"}}}
    record = execute(Trial(simulate=True), input=simple(x=1), actions=actions)
    (result,) = record["result"]["actions"]
    assert result["status"] == "simulated"
    assert result["index"]["request"]["source"] == {"x": 1}
    assert _count(engine, index) == 3


def test_index_actions(engine: Engine, execute: Execute, index: str) -> None:
    several = {"script": "return ['_doc': [['n': 10, '_id': 'x'], ['n': 11, '_id': 'y']]]"}
    write = {"index": index, "op_type": "create", "refresh": "true", "execution_time_field": "at"}
    record = execute(transform=several, actions={"write": {"throttle_period": "0s", "index": write}})
    assert record["result"]["actions"][0]["status"] == "success"
    assert _count(engine, index) == 5
    assert "at" in engine.request("GET", f"/{index}/_doc/x")["_source"]
    # What is created again is a conflict, and the record says so.
    again = execute(transform=several, actions={"write": {"throttle_period": "0s", "index": write}})
    assert again["state"] == "executed"
    assert again["result"]["actions"][0]["status"] == "failure"
    assert _count(engine, index) == 5


def test_an_alternative_input_and_an_ignored_condition(execute: Execute) -> None:
    trial = Trial(payload={"x": "given"}, ignore_condition=True)
    record = execute(
        trial, input=simple(x="own"), condition={"never": {}}, actions=logging("{{ctx.payload.x}}")
    )
    assert logged(record) == "given"


def _count(engine: Engine, index: str) -> int:
    engine.request("POST", f"/{index}/_refresh")
    return int(engine.request("GET", f"/{index}/_count")["count"])
