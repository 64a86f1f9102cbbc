"""Guards that of several schedulers one executes, another takes over, and nothing is done twice.

The schedulers are processes, killed, stopped and paused as an operating system does it. Their watch runs each
second, makes up for what it missed, and sends its scheduled time to a receiver that keeps what it gets.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.client import Engine
from provisioning.settings import Settings
from scheduler.leadership import read_lease, read_standbys
from scheduler.lease import Lease
from scheduler.watches.claims import Claims
from scheduler.watches.definition import parse_watch
from scheduler.watches.run import Run
from scheduler.watches.status import new_status
from tests.e2e.processes import Httpmon, await_that
from tests.node.receivers import Receiver, receiving
from tests.node.summaries import install_store

pytestmark = pytest.mark.node

Process = subprocess.Popen[bytes]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def webhook(receiver: Receiver) -> dict[str, Any]:
    return {
        "trigger": {"schedule": {"interval": "1s"}},
        "metadata": {"httpmon": {"catch_up": "1h"}},
        "throttle_period": "0s",
        "actions": {
            "tell": {
                "webhook": {
                    "method": "post",
                    "host": "127.0.0.1",
                    "port": receiver.port,
                    "path": "/",
                    "read_timeout": "60s",
                    "body": "{{ctx.trigger.scheduled_time}}",
                }
            },
            # A document without an id of its own.
            "write": {"index": {"index": "placeholder"}},
        },
    }


class Installation:
    """A watch in the stores, and schedulers for it."""

    def __init__(self, engine: Engine, settings: Settings, httpmon: Httpmon, receiver: Receiver) -> None:
        self.engine, self.names, self.httpmon = engine, settings.names, httpmon
        for stem in ("watches", "watch_history", "transforms"):
            install_store(engine, settings, stem)
        self.documents = settings.names.of("told")
        body = webhook(receiver)
        body["actions"]["write"]["index"]["index"] = self.documents
        document = {"type": "definition", "id": "w", "body": body, "active": True}
        path = f"/{self.names.watch_store}/_doc/w"
        engine.request("PUT", path, body=document, params={"refresh": True})

    def start(self) -> Process:
        return self.httpmon.start("scheduler")

    def lease(self) -> Lease | None:
        return read_lease(self.engine, self.names.watch_store)

    def standbys(self) -> list[int]:
        self.engine.request("POST", f"/{self.names.watch_store}/_refresh")
        return [
            one.member.pid for one in read_standbys(self.engine, self.names.watch_store, self.engine.now())
        ]

    def await_holder(self, process: Process) -> Lease:
        def holds() -> bool:
            lease = self.lease()
            return lease is not None and lease.holder is not None and lease.holder.pid == process.pid

        await_that(holds, f"process {process.pid} holds the lease")
        lease = self.lease()
        assert lease is not None
        return lease

    def records(self) -> list[dict[str, Any]]:
        """The records of all runs, by their scheduled times."""
        self.engine.request("POST", f"/{self.names.watch_history}/_refresh")
        hits = self.engine.request(
            "POST",
            f"/{self.names.watch_history}/_search",
            body={"size": 1000, "sort": ["trigger_event.schedule.scheduled_time"]},
        )["hits"]["hits"]
        return [hit["_source"] for hit in hits]

    def written(self) -> int:
        self.engine.request("POST", f"/{self.documents}/_refresh")
        return int(self.engine.request("GET", f"/{self.documents}/_count")["count"])


@pytest.fixture
def installation(
    engine: Engine, settings: Settings, receiver: Receiver, tmp_path: Path
) -> Iterator[Installation]:
    httpmon = Httpmon(settings.engine.url, settings.namespace, tmp_path)
    try:
        yield Installation(engine, settings, httpmon, receiver)
    finally:
        httpmon.stop_all()


def instants(bodies: list[str]) -> list[datetime]:
    return sorted(datetime.fromisoformat(body) for body in bodies)


def pause(process: Process) -> None:
    """Stop a process as a debugger does; returns once it runs no more.

    A process with many threads goes on for a while: the first that notices the signal stops the others.
    """
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)


def assert_each_second_once(bodies: list[str]) -> None:
    times = instants(bodies)
    assert [time for time, count in Counter(times).items() if count > 1] == []
    assert {after - before for before, after in pairwise(times)} == {timedelta(seconds=1)}


def test_a_clean_stop_gives_the_lease_back(installation: Installation, receiver: Receiver) -> None:
    one = installation.start()
    first = installation.await_holder(one)
    await_that(lambda: len(receiver.bodies) >= 2, "two webhooks arrive")
    one.terminate()
    assert one.wait(60) == 0
    lease = installation.lease()
    assert lease is not None
    assert lease.holder is None
    second = installation.await_holder(installation.start())
    assert second.term == first.term + 1


@pytest.mark.parametrize("end", ["killed", "paused"])
def test_another_one_takes_over_and_does_nothing_twice(
    installation: Installation, receiver: Receiver, end: str
) -> None:
    one = installation.start()
    first = installation.await_holder(one)
    await_that(lambda: len(receiver.bodies) >= 2, "two webhooks arrive")
    other = installation.start()
    await_that(lambda: installation.standbys() == [other.pid], "the other stands by")
    receiver.hold()
    known = len(receiver.bodies)
    await_that(lambda: len(receiver.bodies) > known, "another one arrives, and its sender waits")
    # In the middle of a run, whose webhook is on its way.
    if end == "killed":
        installation.httpmon.kill(one)
    else:
        pause(one)
    receiver.let_go()
    assert installation.await_holder(other).term == first.term + 1
    at = len(receiver.bodies)
    await_that(lambda: len(receiver.bodies) >= at + 8, "the other makes up for the pause")
    if end == "paused":
        one.send_signal(signal.SIGCONT)
        at = len(receiver.bodies)
        await_that(lambda: len(receiver.bodies) >= at + 3, "both live on for a while")
        one.terminate()
        assert one.wait(60) == 0
    installation.await_holder(other)
    other.terminate()
    assert other.wait(60) == 0
    assert installation.standbys() == []
    assert_each_second_once(receiver.bodies)
    # What came of that one, the other could not know; it says so.
    records = installation.records()
    unknown = [record for record in records if "may have been done" in str(record["result"])]
    assert len(unknown) == 1, [record["result"] for record in records]
    assert len({record["node"] for record in records}) == 2
    assert len(records) == len(receiver.bodies) == installation.written()


def test_once_leaves_the_work_to_a_scheduler_that_executes(installation: Installation) -> None:
    one = installation.start()
    lease = installation.await_holder(one)
    installation.httpmon.run("scheduler", "--once")
    after = installation.lease()
    assert after is not None
    assert (after.holder, after.term) == (lease.holder, lease.term)
    one.terminate()
    assert one.wait(60) == 0
    installation.httpmon.run("scheduler", "--once")
    after = installation.lease()
    assert after is not None
    assert (after.holder, after.term) == (None, lease.term + 1)


def test_a_claim_is_one_schedulers(engine: Engine, settings: Settings) -> None:
    install_store(engine, settings, "watches")
    now = datetime.now(UTC)
    body = {
        "trigger": {"schedule": {"interval": "1s"}},
        "actions": {"tell": {"webhook": {"host": "127.0.0.1", "port": 1}}},
    }
    watch = parse_watch("a watch/1", body)
    (action,) = watch.actions
    run = Run(watch, "r", new_status(watch, now), now, now, now)
    one, other = (Claims(engine, settings.names, holder=name, clock=lambda: now) for name in ("one", "other"))
    assert one.earlier(run, action) is None
    # The answer was lost, and it asks again: nothing was sent yet.
    assert one.earlier(run, action) is None
    unknown = other.earlier(run, action)
    assert unknown is not None
    assert unknown["error"]["type"] == "outcome_unknown"
    one.settle(run, action, {"status": "success"})
    assert one.earlier(run, action) == other.earlier(run, action) == {"status": "success"}
