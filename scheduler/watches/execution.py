"""Executing a watch: input, condition, transform, actions, record. The order and the states are Watcher's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.client import Engine
from engine.errors import EngineUnreachable, SchedulerError
from scheduler.watches import conditions
from scheduler.watches.actions import Actions
from scheduler.watches.definition import (
    ArrayCompareCondition,
    CompareCondition,
    Condition,
    ConstantCondition,
    ScriptCondition,
    ScriptTransform,
)
from scheduler.watches.history import run_record
from scheduler.watches.inputs import Inputs, LoadHttp
from scheduler.watches.instants import for_documents
from scheduler.watches.run import Run, Write
from scheduler.watches.scripts import ScriptFailed, Scripts
from scheduler.watches.status import Status, after_run
from scheduler.watches.transforms import Transforms, script_failed, transformed

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to.

    Attributes:
        record: the history document.
        status: the watch's status after the run, from the status before it.
        met: the condition; None where the run failed before it.
        results: the record's entry of each action.
        writes: documents that are still to be created, together with the record.
    """

    record: dict[str, Any]
    status: Status
    met: bool | None
    results: tuple[Result, ...]
    writes: tuple[Write, ...]


class WatchExecutor:
    """Executes watches on one engine; safe to share between threads.

    Args:
        engine: where searches, scripts, templates and index actions run.
        actions: makes the executor of actions from the engine and what they need of it.
        load_http: answers http inputs.
        clock: the time, for durations.
        instance: the name of this scheduler, for the record.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        actions: Actions,
        load_http: LoadHttp,
        clock: Callable[[], datetime],
        instance: str,
    ) -> None:
        self._scripts = Scripts(engine)
        self._transforms = Transforms(engine, self._scripts)
        self._inputs = Inputs(engine, load_http, self._transforms.apply)
        self._actions = actions
        self._clock = clock
        self._instance = instance

    def execute(self, run: Run) -> Outcome:
        """Run a watch; what goes wrong in it is in the record.

        Raises EngineUnreachable: the run has come to nothing and can be repeated.
        """
        result: dict[str, Any] = {}
        messages: list[str] = []
        exception: dict[str, Any] | None = None
        met: bool | None = None
        results: list[Result] = []
        try:
            result["input"] = self._inputs.load(run)
            if result["input"]["status"] == "failure":
                messages.append("failed to execute watch input")
            else:
                run.payload = result["input"]["payload"]
                met = self._condition_and_transform(run, result)
                if (result.get("transform") or {}).get("status") == "failure":
                    messages.append("failed to execute watch transform")
                elif met:
                    self._run_actions(run, results)
        except EngineUnreachable:
            raise
        except ScriptFailed as error:
            exception = error.error
        except (SchedulerError, ValueError) as error:
            exception = {"type": type(error).__name__, "reason": str(error)}
        return self._outcome(run, result, met, results, messages, exception)

    def failed(self, run: Run, error: Exception) -> Outcome:
        """What a run came to that could not be executed."""
        exception = {"type": type(error).__name__, "reason": str(error)}
        return self._outcome(run, {}, None, [], [], exception)

    def _outcome(
        self,
        run: Run,
        result: dict[str, Any],
        met: bool | None,
        results: list[Result],
        messages: list[str],
        exception: dict[str, Any] | None,
    ) -> Outcome:
        state = _state(met, results) if exception is None else "failed"
        result["actions"] = results
        status = after_run(run.status, met, results, state, run.execution_time)
        record = run_record(
            run,
            state=state,
            status=status,
            result=result,
            messages=messages,
            exception=exception,
            duration=self._clock() - run.execution_time,
            instance=self._instance,
        )
        return Outcome(for_documents(record), status, met, tuple(results), tuple(run.writes))

    def _condition_and_transform(self, run: Run, result: dict[str, Any]) -> bool:
        """Fill in ``condition`` and ``transform``; both in one request where both are scripts."""
        watch = run.watch
        condition: Condition = (
            ConstantCondition(True) if run.alternatives.ignore_condition else watch.condition
        )
        wants_transform = watch.transform is not None and bool(watch.actions)
        if (
            wants_transform
            and isinstance(condition, ScriptCondition)
            and isinstance(watch.transform, ScriptTransform)
            and self._scripts.can_join(condition.script, watch.transform.script)
        ):
            return self._scripted_condition_and_transform(run, condition, watch.transform, result)
        met = self._condition(condition, run, run.payload, result)
        if met and wants_transform and watch.transform is not None:
            result["transform"] = self._transforms.apply(watch.transform, run, run.payload)
            if result["transform"]["status"] == "success":
                run.payload = result["transform"]["payload"]
        return met

    def _scripted_condition_and_transform(
        self, run: Run, condition: ScriptCondition, transform: ScriptTransform, result: dict[str, Any]
    ) -> bool:
        both = {"condition": condition.script, "transform": transform.script}
        try:
            ran = self._scripts.run(both, run.context())
        except ScriptFailed as error:
            if error.role == "condition":
                raise
            # A transform that threw was run, so the condition is met; one that does not compile was not.
            compiled = error.error.get("reason") != "compile error"
            if not compiled and not self._condition(condition, run, run.payload, result):
                return False
            result["condition"] = {"type": "script", "status": "success", "met": True}
            result["transform"] = script_failed(error)
            return True
        run.variables = ran.variables
        if ran.payload is not None:
            run.payload = ran.payload
        result["condition"] = {"type": "script", "status": "success", "met": bool(ran.met)}
        if ran.transform_ran:
            result["transform"] = transformed(ran.transformed)
            run.payload = result["transform"]["payload"]
        return bool(ran.met)

    def _condition(
        self, condition: Condition, run: Run, payload: dict[str, Any], result: dict[str, Any]
    ) -> bool:
        """Evaluate a condition into ``result["condition"]``. Raises what makes the run fail."""
        context = {"ctx": run.context(payload)}
        now = run.execution_time
        entry: dict[str, Any] = {"status": "success"}
        match condition:
            case ConstantCondition():
                met = condition.met
                entry["type"] = "always" if met else "never"
            case CompareCondition():
                met = conditions.compare_met(
                    condition.path, condition.operator, condition.value, context, now
                )
                resolved = conditions.resolved_values(condition.path, condition.value, context, now)
                entry |= {"type": "compare", "compare": {"resolved_values": resolved}}
            case ArrayCompareCondition():
                met = conditions.array_compare_met(
                    condition.array_path,
                    condition.path,
                    condition.operator,
                    condition.quantifier,
                    condition.value,
                    context,
                    now,
                )
                resolved = conditions.resolved_values(condition.array_path, condition.value, context, now)
                entry |= {"type": "array_compare", "array_compare": {"resolved_values": resolved}}
            case _:
                ran = self._scripts.run({"condition": condition.script}, run.context(payload))
                run.variables = ran.variables
                if ran.payload is not None and payload is run.payload:
                    run.payload = ran.payload
                met = bool(ran.met)
                entry["type"] = "script"
        result["condition"] = entry | {"met": met}
        return met

    def _run_actions(self, run: Run, results: list[Result]) -> None:
        for action in run.watch.actions:
            mode = run.alternatives.mode(action.id)
            if mode == "skip":
                results.append({"id": action.id, "type": action.kind, "status": "skipped"})
                continue
            results.append(
                self._actions.run(action, run, mode, condition=self._condition, transforms=self._transforms)
            )


def _state(met: bool | None, results: list[Result]) -> str:
    """The run's state; an action that failed does not show in it."""
    if met is None:
        return "failed"
    if not met:
        return "execution_not_needed"
    statuses = {result["status"] for result in results}
    for state in ("acknowledged", "throttled"):
        if state in statuses:
            return state
    return "executed"
