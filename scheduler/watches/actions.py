"""Running the actions of a watch: throttling, condition, transform, foreach, and then the action itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.errors import EngineUnreachable, SchedulerError
from scheduler.watches.claims import Claims
from scheduler.watches.definition import Action, Condition
from scheduler.watches.paths import value_at
from scheduler.watches.run import ActionMode, Run
from scheduler.watches.status import throttle_reason
from scheduler.watches.transforms import Transforms

Result = dict[str, Any]
# Evaluates a condition on a payload into result["condition"].
Evaluate = Callable[[Condition, Run, dict[str, Any], dict[str, Any]], bool]
# What is left to do of an action when all has been prepared: sends something, which cannot be taken back.
Send = Callable[[], Result]
# Does the thing, once for each payload: (action, run, payloads, simulate) -> for each a result, or, where it
# has an effect outside that happens again if it is done again, what sends it. Only preparing may raise.
Perform = Callable[[Action, Run, list[dict[str, Any]], bool], Sequence[Result | Send]]


class ActionFailed(SchedulerError):
    """An action cannot be done as it stands."""


class Actions:
    """Runs actions by their kind.

    Args:
        kinds: what does the work for each kind of action.
        claims: keeps a scheduled run's sending from happening twice; None sends each time.
    """

    def __init__(self, kinds: Mapping[str, Perform], *, claims: Claims | None = None) -> None:
        self._kinds = kinds
        self._claims = claims

    def run(
        self, action: Action, run: Run, mode: ActionMode, *, condition: Evaluate, transforms: Transforms
    ) -> Result:
        """Run one action: the record's entry. Raises EngineUnreachable before it had any effect."""
        head: Result = {"id": action.id, "type": action.kind}
        if not mode.startswith("force_"):
            throttled = throttle_reason(run.status, action, run.watch, run.execution_time)
            if throttled is not None:
                return head | {"status": throttled[0], "reason": throttled[1]}
        if action.condition is not None:
            try:
                met = condition(action.condition, run, run.payload, head)
            except EngineUnreachable:
                raise
            except (SchedulerError, ValueError) as error:
                why = f"condition failed. skipping: {error}"
                return head | {"status": "condition_failed", "reason": why}
            if not met:
                return head | {"status": "condition_failed", "reason": "condition not met. skipping"}
        payload = run.payload
        if action.transform is not None:
            head["transform"] = transforms.apply(action.transform, run, payload)
            if head["transform"]["status"] == "failure":
                return head | {"status": "failure", "reason": "Failed to transform payload"}
            payload = head["transform"]["payload"]
        return head | self._perform(action, run, payload, simulate=mode.endswith("simulate"))

    def _perform(self, action: Action, run: Run, payload: dict[str, Any], *, simulate: bool) -> Result:
        perform = self._kinds.get(action.kind)
        try:
            if perform is None:
                raise ActionFailed(f"{action.kind} actions are not available here")
            if action.foreach is None:
                return self._sent(action, run, perform(action, run, [payload], simulate))
            items = _items(action, run)
            return self._sent(action, run, perform(action, run, items, simulate))
        except EngineUnreachable:
            raise
        except (SchedulerError, ValueError) as error:
            return failure(error)

    def _sent(self, action: Action, run: Run, prepared: Sequence[Result | Send]) -> Result:
        """Send what is to be sent, unless this run's action has sent it before; the action's result."""
        claims = self._claims if any(callable(one) for one in prepared) and not run.manual else None
        if claims is not None:
            earlier = claims.earlier(run, action)
            if earlier is not None:
                return earlier
        results = [_sent(one) if callable(one) else one for one in prepared]
        result = results[0] if action.foreach is None else _of_all(action, results)
        if claims is not None:
            claims.settle(run, action, result)
        return result


def _items(action: Action, run: Run) -> list[dict[str, Any]]:
    path = str(action.foreach)
    listed = value_at(path, {"ctx": run.context()})
    if listed is None:
        raise ActionFailed(f"specified foreach object was null: [{path}]")
    if not isinstance(listed, list):
        raise ActionFailed(f"specified foreach object was not a an array/collection: [{path}]")
    if not listed:
        raise ActionFailed(f"foreach object [{path}] was an empty list, could not run any action")
    return [item if isinstance(item, dict) else {"_value": item} for item in listed[: action.max_iterations]]


def _sent(send: Send) -> Result:
    try:
        return send()
    except Exception as error:
        return failure(error)


def _of_all(action: Action, results: list[Result]) -> Result:
    statuses = {result["status"] for result in results}
    return {
        "status": statuses.pop() if len(statuses) == 1 else "partial_failure",
        "max_iterations": action.max_iterations,
        "number_of_actions_executed": len(results),
        "foreach": results,
    }


def failure(error: Exception) -> Result:
    """The entry of an action that failed."""
    return {
        "status": "failure",
        "reason": str(error),
        "error": {"type": type(error).__name__, "reason": str(error)},
    }
