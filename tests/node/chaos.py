"""Two schedulers under a seeded schedule of kills, pauses and engine outages, and what must come of it.

The rule makes up for what it missed, so its past is made before the schedulers begin: log lines of an hour,
whose events a plain count knows, and a rule that has not run since. Lines of the minutes to come are there
too; so what the schedulers do in time is known beforehand as well.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from engine.client import Engine
from engine.errors import EngineError
from provisioning.installation import provision
from provisioning.settings import Settings, duration_seconds
from scheduler.leadership import read_lease
from scheduler.watches.instants import millisecond_text, parse_instant
from tests.e2e.processes import Httpmon, await_that
from tests.node.receivers import Receiver
from tests.node.summaries import send_lines
from tests.node.test_high_traffic import BUCKET, Event, events, expected_events, line

THRESHOLD, RECOVERY, WINDOW = 1.0, 0.8, 60
# The rule looks at a bucket so long after its end.
EVALUATION_DELAY = 7

Process = subprocess.Popen[bytes]


def swinging_times(seed: int, start: int, seconds: int) -> list[int]:
    """The times of hits whose rate swings around the threshold."""
    dice = random.Random(seed)
    times: list[int] = []
    rate = 0.5
    for second in range(seconds):
        if second % 40 == 0:
            rate = dice.choice((0.0, 0.2, 0.9, 1.1, 3.0))
        times += [start + second] * (int(rate) + (dice.random() < rate % 1))
    return times


@dataclass(slots=True)
class Result:
    """What came of it, beside what should have.

    Attributes:
        events, expected: the alert documents, and what a plain count says.
        deliveries: of each event (by its number), how often its webhook arrived.
        unknown: numbers of events whose webhook was claimed by a scheduler that did not tell what came of it.
        runs, expected_runs: scheduled times in the history, and those there should be.
        hits, lines: the sum of the summaries, and the lines sent.
        terms: how often the lease was taken.
        disturbances: how often each was done.
    """

    events: list[Event]
    expected: list[Event]
    deliveries: Counter[int]
    unknown: int
    runs: list[datetime]
    expected_runs: list[datetime]
    hits: int
    lines: int
    terms: int
    disturbances: Counter[str] = field(default_factory=Counter)

    def faults(self) -> list[str]:
        """What is not as a single undisturbed scheduler would have left it; nothing if all is well."""
        found = []
        if self.events != self.expected:
            found.append(f"events {self.events} instead of {self.expected}")
        if self.hits != self.lines:
            found.append(f"{self.hits} hits summarised of {self.lines} lines")
        twice = {number: count for number, count in self.deliveries.items() if count > 1}
        if twice:
            found.append(f"webhooks that came more than once: {twice}")
        missing = set(range(1, len(self.expected) + 1)) - self.deliveries.keys()
        if len(missing) > self.unknown:
            found.append(f"webhooks {sorted(missing)} never came, only {self.unknown} are told of as unknown")
        if self.runs != self.expected_runs:
            found.append(
                f"not run for {sorted(set(self.expected_runs) - set(self.runs))}, "
                f"more than once or besides for {sorted(Counter(self.runs) - Counter(self.expected_runs))}"
            )
        return found


class Chaos:
    """One trial.

    Args:
        engine: a way to the engine that no outage cuts.
        settings: the installation; its rule is told here.
        httpmon: starts schedulers, with the way to the engine that outages cut.
        receiver: of the rule's webhook.
        outage: cuts the schedulers off from the engine for about so many seconds.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        httpmon: Httpmon,
        receiver: Receiver,
        outage: Callable[[float], None],
    ) -> None:
        rule = {
            "threshold": THRESHOLD,
            "recovery_threshold": RECOVERY,
            "window": f"{WINDOW}s",
            "webhook": f"http://127.0.0.1:{receiver.port}/",
        }
        self._engine = engine
        self._settings = settings.model_copy(update={"parameters": {"high_traffic": rule}})
        self._httpmon = httpmon
        self._receiver = receiver
        # So that there is time to be disturbed while a webhook is on its way.
        receiver.answer_seconds = 0.4
        self._outage = outage
        self._rule = settings.names.of("high_traffic")
        self._schedulers: list[Process] = []
        self._done: Counter[str] = Counter()

    def run(self, *, seed: int, seconds: int, past_seconds: int) -> Result:
        """Disturb two schedulers for so long, let them come to rest, and look what they left."""
        now = int(self._engine.now().timestamp())
        start = now - now % BUCKET - past_seconds
        times = swinging_times(seed, start, past_seconds + seconds + 600)
        provision(self._engine, self._settings)
        lines = [line(moment) for moment in times]
        for first in range(0, len(lines), 2000):
            send_lines(self._engine, self._settings, lines[first : first + 2000], first=first)
        # Lines that a checkpoint ends among would come late to a rule that has decided by a part of them.
        sent, delay = self._engine.now(), duration_seconds(self._settings.summaries.delay)
        await_that(lambda: (self._engine.now() - sent).total_seconds() > delay, "all lines can be summarised")
        self._let_the_rule_have_run_at(start + EVALUATION_DELAY)
        self._schedulers = [self._httpmon.start("scheduler") for _ in range(2)]
        self._disturb(random.Random(seed), time.monotonic() + seconds)
        end = self._settle()
        for process in self._schedulers:
            process.terminate()
            process.wait(60)
        return self._result(times, start, end)

    def _let_the_rule_have_run_at(self, epoch: int) -> None:
        document = {
            "type": "status",
            "id": self._rule,
            "status": None,
            "last_scheduled_time": millisecond_text(datetime.fromtimestamp(epoch, UTC)),
            "skipped": 0,
        }
        path = f"/{self._settings.names.watch_store}/_doc/{self._rule}:status"
        self._engine.request("PUT", path, body=document, params={"refresh": True})

    # -- disturbing --------------------------------------------------------------------------------------

    def _disturb(self, dice: random.Random, until: float) -> None:
        kinds = {
            "kill": self._kill, "stop": self._stop, "pause": self._pause, "outage": self._cut,
        }  # fmt: skip
        while time.monotonic() < until:
            # The waits are the schedule, not a way to await something.
            time.sleep(dice.uniform(0.2, 4.0))
            kind = dice.choices(list(kinds), weights=[4, 4, 4, 2])[0]
            victim = dice.randrange(2)
            kinds[kind](victim, dice)
            self._done[kind] += 1

    def _kill(self, victim: int, _: random.Random) -> None:
        self._httpmon.kill(self._schedulers[victim])
        self._schedulers[victim] = self._httpmon.start("scheduler")

    def _stop(self, victim: int, _: random.Random) -> None:
        process = self._schedulers[victim]
        process.terminate()
        self._schedulers[victim] = self._httpmon.start("scheduler")
        process.wait(60)

    def _pause(self, victim: int, dice: random.Random) -> None:
        process = self._schedulers[victim]
        process.send_signal(signal.SIGSTOP)
        # Some longer than the lease holds.
        time.sleep(dice.choice((0.1, 1.0, 4.0, 10.0)))
        process.send_signal(signal.SIGCONT)

    def _cut(self, _: int, dice: random.Random) -> None:
        self._outage(dice.uniform(0.1, 3.0))

    # -- afterwards --------------------------------------------------------------------------------------

    def _settle(self) -> int:
        """Wait until the rule has run up to now; the last bucket end that it looked at."""
        now = int(self._engine.now().timestamp())
        last = now - now % BUCKET
        await_that(
            lambda: self._last_run() >= last + EVALUATION_DELAY, "all runs are made up for", seconds=240
        )
        return last

    def _last_run(self) -> float:
        path = f"/{self._settings.names.watch_store}/_doc/{self._rule}:status"
        try:
            source = self._engine.request("GET", path)["_source"]
        except EngineError:
            return 0.0
        return parse_instant(source["last_scheduled_time"]).timestamp()

    def _result(self, times: list[int], start: int, end: int) -> Result:
        names = self._settings.names
        said = [event for event in events(self._engine, self._settings) if event.at <= end]
        expected = expected_events(
            times, start=start + BUCKET, end=end, threshold=THRESHOLD, recovery=RECOVERY, window=WINDOW
        )
        self._engine.request("POST", f"/{names.traffic},{names.watch_history}/_refresh")
        sum_of_hits = {"hits": {"sum": {"field": "httpmon.hits"}}}
        answer = self._engine.request(
            "POST", f"/{names.traffic}/_search", body={"size": 0, "aggs": sum_of_hits}
        )
        records = self._records()
        lease = read_lease(self._engine, names.watch_store)
        numbers = Counter(int(json.loads(body)["httpmon"]["alert"]["seq"]) for body in self._receiver.bodies)
        return Result(
            events=said,
            expected=expected,
            deliveries=Counter({number: count for number, count in numbers.items() if number <= len(said)}),
            unknown=sum("outcome_unknown" in json.dumps(record["result"]) for record in records),
            runs=sorted(moment for moment in map(_scheduled, records) if moment.timestamp() <= end + BUCKET),
            expected_runs=[
                datetime.fromtimestamp(bucket_end + EVALUATION_DELAY, UTC)
                for bucket_end in range(start + BUCKET, end + 1, BUCKET)
            ],
            hits=int(answer["aggregations"]["hits"]["value"]),
            lines=len(times),
            terms=0 if lease is None else lease.term,
            disturbances=self._done,
        )

    def _records(self) -> list[dict[str, Any]]:
        """The records of all runs of the rule but those that were repeated."""
        query = {
            "bool": {
                "filter": [{"term": {"watch_id": self._rule}}],
                "must_not": [{"term": {"state": "failed"}}],
            }
        }
        body = {"size": 10_000, "query": query}
        path = f"/{self._settings.names.watch_history}/_search"
        hits = self._engine.request("POST", path, body=body)["hits"]["hits"]
        return [hit["_source"] for hit in hits]


def _scheduled(record: dict[str, Any]) -> datetime:
    return parse_instant(record["trigger_event"]["schedule"]["scheduled_time"])
