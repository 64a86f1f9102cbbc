"""Guards that what is wrong in a watch is said with its place, before it runs."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from engine.capabilities import assumed_capabilities
from provisioning.rendering import render_all
from provisioning.settings import Settings
from scheduler.watches.definition import (
    ArrayCompareCondition,
    ChainInput,
    CompareCondition,
    ScriptCondition,
    parse_watch,
)
from scheduler.watches.fields import WatchInvalid

WATCH: dict[str, Any] = {
    "trigger": {"schedule": {"interval": "10s"}},
    "input": {
        "search": {
            "request": {"indices": ["logs"], "body": {"query": {"match_all": {}}}},
            "extract": ["hits.total"],
        }
    },
    "condition": {"compare": {"ctx.payload.hits.total": {"gt": 5}}},
    "transform": {"script": {"source": "return ctx.payload"}},
    "actions": {"log": {"throttle_period": "10m", "logging": {"text": "{{ctx.payload.hits.total}}"}}},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    body = copy.deepcopy(WATCH)
    place: Any = body
    *way, last = path.split(".")
    for key in way:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return body


def action(**kind: Any) -> dict[str, Any]:
    return changed("actions", {"a": kind})


def test_of_several_the_last_counts_as_in_watcher() -> None:
    body = changed("condition", {"compare": {"ctx.a": {"gt": 1}, "ctx.b": {"lt": 2}}})
    body["actions"] = {"a": {"logging": {"text": "x"}, "index": {"index": "i"}}}
    watch = parse_watch("w", body)
    assert watch.condition == CompareCondition("ctx.b", "lt", 2)
    assert watch.actions[0].kind == "index"


def test_former_names_are_understood() -> None:
    quantified = {"ctx.payload.l": {"path": "n", "gte": {"value": 1, "quantifier": "ALL"}}}
    watch = parse_watch("w", changed("condition", {"array_compare": quantified}))
    assert isinstance(watch.condition, ArrayCompareCondition)
    assert watch.condition.quantifier == "all"
    watch = parse_watch("w", changed("condition", {"script": {"stored": "mine"}}))
    assert isinstance(watch.condition, ScriptCondition)
    assert watch.condition.script.id == "mine"


def test_a_watch_is_read_with_its_defaults() -> None:
    watch = parse_watch("w", WATCH)
    assert watch.throttle_seconds == 5.0
    (action,) = watch.actions
    assert (action.id, action.kind, action.throttle_seconds, action.max_iterations) == (
        "log",
        "logging",
        600.0,
        100,
    )
    bare = parse_watch("w", {"trigger": WATCH["trigger"]})
    assert bare.actions == ()
    assert bare.condition.met is True  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("body", "path", "problem"),
    [
        (changed("trigger", ...), "trigger", "is missing"),
        (changed("conditions", {}), "conditions", "is unknown here; did you mean condition?"),
        (changed("input", {"serch": {}}), "input.serch", "is no input; did you mean search?"),
        (
            changed("input.search.request.indexes", []),
            "input.search.request.indexes",
            "did you mean indices?",
        ),
        (
            changed("condition", {"compare": {"ctx.x": {"above": 5}}}),
            "condition.compare.ctx.x.above",
            "is no operator",
        ),
        (
            changed("condition", {"script": {"lang": "python", "source": "1"}}),
            "condition.script.lang",
            "can only be painless",
        ),
        (changed("condition", {"script": {}}), "condition.script", 'has either "source" or "id"'),
        (changed("condition", {"script": {"file": "x"}}), "condition.script.file", 'name its "id"'),
        (
            changed("input.search.request.search_type", "count"),
            "input.search.request.search_type",
            "'count' is none of query_then_fetch",
        ),
        (
            changed("input.search.request.indices_options", {"ignore_unavailabel": True}),
            "input.search.request.indices_options.ignore_unavailabel",
            "did you mean ignore_unavailable?",
        ),
        (changed("actions", {"my log": {"logging": {"text": "x"}}}), "actions.my log", "has white space"),
        ({"found": True, "_id": "w", "watch": WATCH}, "watch", "give only what is below it"),
        (changed("transform", {"chain": {}}), "transform.chain", "is no list"),
        (changed("actions.log.logging.text", ...), "actions.log.logging.text", "is missing"),
        (
            changed("actions.log.throttle_period", "soon"),
            "actions.log.throttle_period",
            "'soon' is no duration",
        ),
        (changed("actions.log", {"loging": {"text": "x"}}), "actions.log.loging", "did you mean logging?"),
        (changed("metadata", []), "metadata", ""),
        (action(jira={"fields": {}}), "actions.a.jira", "call Jira's issue API with a webhook"),
        (action(email={"subject": "x"}), "actions.a.email.to", "is missing"),
        (action(email={"to": "x", "priority": "urgent"}), "actions.a.email.priority", "is none of lowest"),
        (action(email={"to": "x", "body": {"htm": ""}}), "actions.a.email.body.htm", "did you mean html?"),
        (
            action(email={"to": "x", "attachments": {"a.pdf": {"reporting": {"url": "http://k"}}}}),
            "actions.a.email.attachments.a.pdf.reporting",
            "Kibana's reports cannot be attached",
        ),
        (
            action(email={"to": "x", "attachments": {"a": {"http": {"request": {"host": "h"}}}}}),
            "actions.a.email.attachments.a.http.request.port",
            "is missing",
        ),
        (action(slack={"message": {"txt": ""}}), "actions.a.slack.message.txt", "did you mean text?"),
        (action(slack={}), "actions.a.slack.message", "is no object"),
        (action(pagerduty={}), "actions.a.pagerduty.description", "is missing"),
        (
            action(pagerduty={"description": "x", "event_type": "close"}),
            "actions.a.pagerduty.event_type",
            "is none of trigger",
        ),
        (
            action(pagerduty={"description": "x", "contexts": [{"type": "link"}]}),
            "actions.a.pagerduty.contexts[0].href",
            "is missing",
        ),
        (action(notify={"body": "x"}), "actions.a.notify", 'needs "account" or "urls"'),
        (action(notify={"urls": "phone", "body": "x"}), "actions.a.notify.urls[0]", "is no URL of Apprise"),
        (action(logging={"text": {"src": "x"}}), "actions.a.logging.text.src", "is unknown here"),
        (
            action(webhook={"host": "h", "port": 80, "body": {"id": "x", "lang": "groovy"}}),
            "actions.a.webhook.body.lang",
            "can only be mustache",
        ),
        (action(webhook={"url": "ftp://h"}), "actions.a.webhook.url", "is no http or https URL"),
        (action(index={"index": 5}), "actions.a.index.index", "is no text"),
        (changed("input", {"http": {"request": {"path": "/"}}}), "input.http.request.host", "is missing"),
        (
            changed("input", {"http": {"request": {"url": "http://h"}, "response_content_type": "xml"}}),
            "input.http.response_content_type",
            "is json, yaml or text",
        ),
        (
            changed("input", {"chain": {"inputs": [{"a": {"transform": {"skript": "x"}}}]}}),
            "input.chain.inputs[0].a.transform.skript",
            "did you mean script?",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(body: dict[str, Any], path: str, problem: str) -> None:
    if path == "metadata":
        assert parse_watch("w", body).metadata == {}
        return
    with pytest.raises(WatchInvalid) as caught:
        parse_watch("w", body)
    assert caught.value.path == path
    assert problem in caught.value.problem


def test_the_built_in_watches_can_be_read() -> None:
    rendered = render_all(Settings(), assumed_capabilities("opensearch"))
    watches = [parse_watch(one.name, one.body) for one in rendered if one.kind == "watch"]
    assert [watch.id for watch in watches] == [
        "httpmon-client-flood",
        "httpmon-error-rate",
        "httpmon-high-traffic",
        "httpmon-no-data",
        "httpmon-section-errors",
        "httpmon-traffic-drop",
        "httpmon-unparsed-lines",
    ]
    for watch in watches:
        assert isinstance(watch.input, ChainInput)
        assert isinstance(watch.condition, ScriptCondition)
        assert watch.throttle_seconds == 0.0
        assert watch.metadata["httpmon"]["catch_up"] == "1h"
