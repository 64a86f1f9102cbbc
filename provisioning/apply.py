"""Applies a plan: sends its requests one after the other and stops at the first that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from engine.client import Engine
from engine.errors import HttpmonError, NotPermitted, RequestRefused
from engine.kibana import Kibana
from provisioning.requests import Request
from provisioning.steps import Plan, Step

# A message names so many objects that stand in the way.
_MOST_NAMED = 5


class ApplyStopped(HttpmonError):
    """A step failed; those before it are done, those after it are not. The exit code is the cause's."""

    def __init__(self, step: Step, cause: HttpmonError, done: int, left: Sequence[Step]) -> None:
        not_done = ", ".join(f"{one.kind} {one.name}" for one in left[:_MOST_NAMED])
        more = f" and {len(left) - _MOST_NAMED} more" if len(left) > _MOST_NAMED else ""
        after = f"; not begun: {not_done}{more}" if left else ""
        command = "deprovision" if all(one.action == "remove" for one in (step, *left)) else "provision"
        # What names the object by itself need not do so twice.
        reason = str(cause).removeprefix(f"{step.kind} {step.name}: ")
        super().__init__(
            f"{step.action} {step.kind} {step.name}: {reason} ({done} of the plan's steps done{after}); "
            f"once that is mended, run httpmon {command} again"
        )
        self.exit_code = cause.exit_code
        self.step = step
        self.cause = cause
        self.left = tuple(left)


class PlanRefused(HttpmonError):
    """Objects that are not ours stand where ours should be; nothing was changed."""

    def __init__(self, plan: Plan) -> None:
        named = "; ".join(f"{step.kind} {step.name} {step.why}" for step in plan.refused[:_MOST_NAMED])
        left = len(plan.refused) - _MOST_NAMED
        more = f"; and {left} more (--plan names all)" if left > 0 else ""
        super().__init__(f"nothing was changed: {named}{more}")


def apply_plan(
    engine: Engine,
    plan: Plan,
    kibana: Kibana | None = None,
    before_step: Callable[[Step], None] = lambda _: None,
) -> Iterator[Step]:
    """Take the steps that change something, yielding each one when it is done.

    ``before_step`` is told of each one before it is taken, and may raise an HttpmonError to have it left.

    Raises PlanRefused before anything is sent, or ApplyStopped.
    """
    if plan.refused:
        raise PlanRefused(plan)
    changes = plan.changes
    for done, step in enumerate(changes):
        try:
            before_step(step)
            for request in step.requests:
                _send(kibana if request.receiver == "kibana" and kibana else engine, request)
        except HttpmonError as error:
            raise ApplyStopped(step, error, done, changes[done + 1 :]) from error
        yield step


def _send(engine: Engine | Kibana, request: Request) -> None:
    try:
        answer = engine.request(
            request.method,
            request.path,
            body=request.body,
            params=request.params,
            timeout_seconds=request.timeout_seconds,
        )
    except NotPermitted:
        raise
    except RequestRefused as error:
        if error.status not in request.accept:
            raise
        return
    failures = answer.get("failures") if isinstance(answer, dict) else None
    if failures:  # _reindex answers 200 with what it could not copy
        raise HttpmonError(
            f"{request.method} {request.path}: {len(failures)} documents failed: {failures[0]}"
        )
