"""Running a watch over the past, at each of its times, without any effect.

Searches of many runs go in one request, and so does the condition over all of them. What a rule knows of
itself, its last alert documents, is kept in memory: those of the cluster are neither read nor written. So a
condition that depends on them is only run up to the first time it is met; behind that it sees another state.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.client import Engine
from engine.errors import UsageError
from provisioning.names import Names
from scheduler.watches.conditions import array_compare_met, compare_met
from scheduler.watches.definition import (
    ArrayCompareCondition,
    ChainInput,
    CompareCondition,
    ConstantCondition,
    Input,
    NoneInput,
    ScriptCondition,
    SearchInput,
    SearchRequest,
    SimpleInput,
    Watch,
)
from scheduler.watches.instants import for_documents
from scheduler.watches.kinds import Outside, new_executor
from scheduler.watches.mustache import one_text
from scheduler.watches.paths import extracted
from scheduler.watches.run import Alternatives, Run
from scheduler.watches.searches import SearchFailed, request_reads_payload, run_series
from scheduler.watches.series import Series
from scheduler.watches.status import new_status

# Runs in one round trip: enough that the trip does not count, not so many that a request grows large.
_BATCH = 200
# Date math that begins with the time that is now; a key of that name is none.
_NOW = re.compile(r'"now(?:[+\-/|][^"]*)?"(?!\s*:)')

_Document = dict[str, Any]


@dataclass(slots=True)
class Backtest:
    """What a watch would have done.

    Attributes:
        runs: how many times it ran.
        documents: alert documents that it would have written, in order.
        met: the times at which its condition was met.
        failed: the times at which its condition threw.
    """

    runs: int = 0
    documents: list[_Document] = field(default_factory=list)
    met: list[datetime] = field(default_factory=list)
    failed: list[datetime] = field(default_factory=list)

    @property
    def all_failed(self) -> bool:
        """Whether there were runs, and nothing is known of any."""
        return self.runs > 0 and len(self.failed) == self.runs

    def count(self, action: str) -> int:
        """How many of the alert documents are of an action: ``triggered``, ``recovered``, ..."""
        return sum(one["event"]["action"] == action for one in self.documents)


def backtest(engine: Engine, names: Names, watch: Watch, since: datetime, until: datetime) -> Backtest:
    """Run a watch for each of its scheduled times after ``since``, up to ``until``.

    Raises UsageError for a watch that cannot be asked about the past: it reads a service, or searches by the
    time that is now.
    """
    done = Backtest()
    past = _Past(engine, names, watch)
    for times in _batches(watch, since, until):
        done.runs += len(times)
        past.run(times, done)
    return done


def _batches(watch: Watch, since: datetime, until: datetime) -> Iterator[list[datetime]]:
    batch: list[datetime] = []
    for time in watch.schedule.between(since, until):
        batch.append(time)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


class _Past:
    def __init__(self, engine: Engine, names: Names, watch: Watch) -> None:
        self._engine = engine
        self._watch = watch
        self._own = {names.alerts, names.operations}
        self._alerts = names.alerts
        self._inputs = _inputs_of(watch.input)
        for _, one in self._inputs:
            self._check(one)
        self._stateful = any(self._is_own(one) for _, one in self._inputs)
        condition = watch.condition
        self._series = Series(engine, condition.script) if isinstance(condition, ScriptCondition) else None
        self._executor = new_executor(
            engine, Outside(), instance="httpmon watch backtest", clock=lambda: self._clock
        )
        self._clock = datetime.min.replace(tzinfo=UTC)

    def _check(self, one: Input) -> None:
        if not isinstance(one, SimpleInput | NoneInput | SearchInput):
            raise UsageError(f"watch {self._watch.id}: only searches can be tried over the past")
        if isinstance(one, SearchInput) and not self._is_own(one):
            text = one.request.template_source or one_text(one.request.body or {})
            if request_reads_payload(one.request):
                raise UsageError(
                    f"watch {self._watch.id}: a search that reads what another one found cannot be tried "
                    "over the past"
                )
            if _NOW.search(text):
                raise UsageError(
                    f"watch {self._watch.id}: it searches by 'now'; with "
                    "{{ctx.trigger.scheduled_time}}||-5m instead it can be tried over the past"
                )

    def _is_own(self, one: Input) -> bool:
        return isinstance(one, SearchInput) and bool(self._own.intersection(one.request.indices))

    def run(self, times: Sequence[datetime], done: Backtest) -> None:
        """Run for each time, in order."""
        runs = [self._run(time) for time in times]
        found = self._load(runs)
        position = 0
        while position < len(runs):
            for run, payload in zip(runs[position:], found[position:], strict=True):
                run.payload = self._payload(payload, done.documents)
            met, threw = self._met(runs[position:])
            done.failed += [runs[position + one].scheduled_time for one in threw]
            done.met += [runs[position + one].scheduled_time for one in met]
            if not (self._stateful and met):
                return
            position += met[0]
            done.documents += self._written(runs[position])
            position += 1

    def _run(self, time: datetime) -> Run:
        return Run(
            watch=self._watch,
            id=f"{self._watch.id}_{time.isoformat()}",
            status=new_status(self._watch, time),
            scheduled_time=time,
            triggered_time=time,
            execution_time=time,
            manual=True,
        )

    def _load(self, runs: Sequence[Run]) -> list[dict[str, Any]]:
        """What the inputs load, without the alert documents, for each run: by the input's name."""
        payloads: list[dict[str, Any]] = [{} for _ in runs]
        for name, one in self._inputs:
            if isinstance(one, SearchInput) and not self._is_own(one):
                answers = run_series(self._engine, one.request, [run.context() for run in runs])
                for payload, answer in zip(payloads, answers, strict=True):
                    if isinstance(answer, SearchFailed):
                        raise UsageError(f"watch {self._watch.id}: {answer}")
                    payload[name] = extracted(answer, one.extract) if one.extract else answer
            elif isinstance(one, SimpleInput):
                for payload in payloads:
                    payload[name] = one.payload
        return payloads

    def _payload(self, loaded: dict[str, Any], documents: Sequence[_Document]) -> dict[str, Any]:
        payload = dict(loaded)
        for name, one in self._inputs:
            if isinstance(one, SearchInput) and self._is_own(one):
                of_rule = documents if self._alerts in one.request.indices else []
                payload[name] = _alerts_answer(one.request, of_rule)
        return payload if isinstance(self._watch.input, ChainInput) else payload.get("", {})

    def _met(self, runs: Sequence[Run]) -> tuple[list[int], list[int]]:
        if self._series is not None:
            return self._series.met([run.context() for run in runs], first_only=self._stateful)
        return [position for position, run in enumerate(runs) if self._compares(run)], []

    def _compares(self, run: Run) -> bool:
        condition, context = self._watch.condition, {"ctx": run.context()}
        match condition:
            case CompareCondition():
                return compare_met(
                    condition.path, condition.operator, condition.value, context, run.execution_time
                )
            case ArrayCompareCondition():
                return array_compare_met(
                    condition.array_path,
                    condition.path,
                    condition.operator,
                    condition.quantifier,
                    condition.value,
                    context,
                    run.execution_time,
                )
            case _:
                return isinstance(condition, ConstantCondition) and condition.met

    def _written(self, run: Run) -> list[_Document]:
        """The alert documents that a run would write."""
        self._clock = run.execution_time
        run.alternatives = Alternatives(run.payload, action_modes={"_all": "force_simulate"})
        documents: list[_Document] = []
        for result in self._executor.execute(run).results:
            if result["type"] != "index" or "index" not in result:
                continue
            requests = result["index"]["request"]
            documents += [
                for_documents(request["source"])
                for request in (requests if isinstance(requests, list) else [requests])
                if request["index"] == self._alerts
            ]
        return documents


def _inputs_of(one: Input) -> tuple[tuple[str, Input], ...]:
    return one.inputs if isinstance(one, ChainInput) else (("", one),)


def _alerts_answer(request: SearchRequest, documents: Sequence[_Document]) -> dict[str, Any]:
    """What a rule's search for its own last documents finds: the newest, and the newest of each key.

    This is the search that ``watchers/_rule.json.j2`` makes; of any other only the newest documents come.
    """
    body: Mapping[str, Any] = request.body or {}
    newest = list(reversed(documents))
    answer: dict[str, Any] = {"hits": _hits(newest[: int(body.get("size", 10))], len(newest))}
    if "aggs" in body:
        by_key: dict[str, _Document] = {}
        for one in documents:
            key = one["httpmon"]["alert"].get("key")
            if key is not None:
                by_key[key] = one
        buckets = [{"key": key, "latest": {"hits": _hits([one], 1)}} for key, one in by_key.items()]
        answer["aggregations"] = {"keys": {"buckets": buckets}}
    return answer


def _hits(documents: Sequence[_Document], total: int) -> dict[str, Any]:
    return {"total": total, "max_score": None, "hits": [{"_source": one} for one in documents]}


def open_for(done: Backtest, until: datetime) -> timedelta:
    """How long alerts were open in all, those that still are at the end included."""
    opened: dict[str, datetime] = {}
    whole = timedelta()
    for one in done.documents:
        alert, at = one["httpmon"]["alert"], datetime.fromisoformat(one["@timestamp"])
        if one["event"]["action"] == "recovered":
            whole += at - opened.pop(alert.get("id", ""), at)
        else:
            opened.setdefault(alert.get("id", ""), at)
    return whole + sum((until - at for at in opened.values()), timedelta())
