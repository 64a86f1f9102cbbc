"""Guards that a failing watch is recorded, shown and tried again as Watcher would, and stops no other one."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.client import Engine
from engine.connection import Connection
from provisioning.installation import provision
from provisioning.settings import Settings
from reading.console import read_tick
from reading.gather import read_installation
from reading.installation import Finding, findings
from reading.tick import Question
from scheduler.watches.service import WatchService
from scheduler.watches.store import WatchStore
from tests.e2e.processes import await_that
from tests.node.counting_proxy import CountingProxy
from tests.node.receivers import Receiver, receiving
from tests.node.summaries import install_store

pytestmark = pytest.mark.node

Body = dict[str, Any]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def watch(**parts: Any) -> Body:
    return {"trigger": {"schedule": {"interval": "1s"}}, "throttle_period": "0s"} | parts


def webhook(port: int, **more: Any) -> Body:
    request = {"method": "post", "host": "127.0.0.1", "port": port, "path": "/", "body": "x"}
    return {"tell": {"webhook": request | more}}


def log() -> Body:
    return {"say": {"logging": {"text": "x"}}}


def records(engine: Engine, settings: Settings, identifier: str) -> list[Body]:
    """The records of a watch's runs, oldest first."""
    history = settings.names.watch_history
    engine.request("POST", f"/{history}/_refresh")
    body = {"size": 1000, "query": {"term": {"watch_id": identifier}}, "sort": ["@timestamp"]}
    hits = engine.request("POST", f"/{history}/_search", body=body)["hits"]["hits"]
    return [hit["_source"] for hit in hits]


def run_until(service: WatchService, done: Callable[[], bool], what: str) -> None:
    def ticked() -> bool:
        service.wait(min(0.3, service.tick()))
        return done()

    await_that(ticked, what)


def test_what_fails_is_recorded_and_shown_and_the_others_go_on(
    engine: Engine, settings: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"packs": (tmp_path,)})
    place = settings.names.of("place")
    mapping = {"dynamic": False, "properties": {"n": {"type": "long"}}}
    engine.request("PUT", f"/{place}", body={"mappings": mapping})
    receiver.status = 503
    pack = {
        "fine": watch(actions=log()),
        "bad_script": watch(condition={"script": "return ctx.nothing.at.all"}, actions=log()),
        "no_such_index": watch(
            input={"search": {"request": {"indices": ["httpmon-no-such-index"], "body": {}}}}, actions=log()
        ),
        "unreachable": watch(actions=webhook(closed_port())),
        "refusing": watch(actions=webhook(receiver.port)),
        "bad_document": watch(
            input={"simple": {"n": "no number"}},
            actions={"write": {"index": {"index": place, "doc_id": "1", "op_type": "create"}}},
        ),
    }
    (tmp_path / "watchers").mkdir()
    for stem, body in pack.items():
        (tmp_path / "watchers" / f"{stem}.json.j2").write_text(json.dumps(body))
    provision(engine, settings)
    service = WatchService(engine, settings.names)
    try:
        run_until(
            service,
            lambda: all(len(records(engine, settings, settings.names.of(stem))) >= 3 for stem in pack),
            "each watch runs three times",
        )
    finally:
        service.close()

    failing = {settings.names.of(stem) for stem in ("bad_script", "unreachable", "refusing", "bad_document")}
    states = {stem: records(engine, settings, settings.names.of(stem))[-1]["state"] for stem in pack}
    # As natively: an action that fails does not make a run fail; a missing index is no fault.
    assert states == dict.fromkeys(pack, "executed") | {"bad_script": "failed"}
    # And it is tried again at the next time, not within a run.
    runs = records(engine, settings, settings.names.of("refusing"))
    assert len(receiver.bodies) == len(runs)
    assert {run["result"]["actions"][0]["status"] for run in runs} == {"failure"}

    question = Question(end=datetime(2026, 1, 1, tzinfo=UTC))
    await_that(
        lambda: set(read_tick(engine, settings.names, question).failing) == failing,
        "tail tells of the watches that fail",
        seconds=30,
    )
    told = {
        finding.what.split()[1].rstrip(":"): finding
        for finding in findings(read_installation(engine, settings))
        if finding.what.startswith("watch httpmon")
    }
    # The built-in rules are told of, too: nothing runs them here.
    assert told.keys() & {settings.names.of(stem) for stem in pack} == failing
    assert_told(told[settings.names.of("bad_script")], "broken", "fails")
    assert_told(
        told[settings.names.of("unreachable")], "degraded", "action tell failed: no answer from 127.0.0.1"
    )
    assert_told(
        told[settings.names.of("refusing")], "degraded", "action tell failed: received [503] status code"
    )
    assert_told(told[settings.names.of("bad_document")], "degraded", "action write failed")


def assert_told(finding: Finding, level: str, what: str) -> None:
    assert finding.level == level
    assert what in finding.what


def test_a_watch_that_cannot_be_read_is_shown_until_it_is_mended(engine: Engine, settings: Settings) -> None:
    for stem in ("watches", "watch_history"):
        install_store(engine, settings, stem)
    store = WatchStore(engine, settings.names)
    path = f"/{settings.names.watch_store}/_doc/w"

    def put(body: Body) -> None:
        document = {"type": "definition", "id": "w", "body": body, "active": True}
        engine.request("PUT", path, body=document, params={"refresh": True})

    put(watch(actions=log()) | {"trigger": {"schedule": {"interval": "soon"}}})
    service = WatchService(engine, settings.names)
    try:
        run_until(service, lambda: bool(store.progress("w").trouble), "the trouble is noted")
        assert "trigger.schedule.interval" in store.progress("w").trouble
        put(watch(actions=log()))
        run_until(service, lambda: not store.progress("w").trouble, "it runs, and the trouble is gone")
    finally:
        service.close()


def test_when_the_engine_lacks_the_means_a_rule_waits_and_another_watch_goes_on(
    engine_url: str, engine: Engine, settings: Settings
) -> None:
    for stem in ("watches", "watch_history"):
        install_store(engine, settings, stem)
    search = {"search": {"request": {"indices": [settings.names.watch_history], "body": {"size": 0}}}}
    rule = watch(input=search, actions=log(), metadata={"httpmon": {"catch_up": "1h"}})
    for identifier, body in (("rule", rule), ("other", watch(input=search, actions=log()))):
        document = {"type": "definition", "id": identifier, "body": body, "active": True}
        path = f"/{settings.names.watch_store}/_doc/{identifier}"
        engine.request("PUT", path, body=document, params={"refresh": True})
    busy = False

    def fault(path: str) -> tuple[int, bool] | None:
        return (429, False) if busy and "_msearch" in path else None

    def ran(identifier: str, state: str) -> list[Body]:
        return [one for one in records(engine, settings, identifier) if one["state"] == state]

    with CountingProxy(engine_url, fault) as proxy, Engine(Connection(proxy.url, max_retries=0)) as through:
        service = WatchService(through, settings.names)
        try:
            run_until(
                service,
                lambda: bool(ran("rule", "executed") and ran("other", "executed")),
                "both have run",
            )
            busy = True
            run_until(
                service,
                lambda: len(ran("other", "failed")) >= 3 and len(ran("rule", "failed")) == 1,
                "the one fails each time, the other comes again for the same time",
            )
            assert "429" in ran("other", "failed")[0]["exception"]["reason"]
            assert WatchStore(engine, settings.names).progress("rule").trouble
            busy = False
            known = len(ran("rule", "executed"))
            run_until(service, lambda: len(ran("rule", "executed")) >= known + 4, "the rule makes up for it")
        finally:
            service.close()
    times = [
        datetime.fromisoformat(one["trigger_event"]["schedule"]["scheduled_time"])
        for one in ran("rule", "executed")
    ]
    assert {after - before for before, after in pairwise(sorted(times))} == {timedelta(seconds=1)}
    assert not WatchStore(engine, settings.names).progress("rule").trouble
