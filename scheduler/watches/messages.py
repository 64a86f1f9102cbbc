"""What the actions that tell somebody have in common: rendering for each payload, and choosing an account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from engine.client import Engine
from engine.errors import EngineUnreachable, SchedulerError
from scheduler.watches.actions import ActionFailed, Result, Send, failure
from scheduler.watches.definition import Action
from scheduler.watches.run import Run
from scheduler.watches.texts import TextFailed, render_trees

Account = TypeVar("Account")
# Prepares telling it, once: (rendered action, run, payload, simulate) -> what tells it, or, simulated, the
# record's entry.
Tell = Callable[[dict[str, Any], Run, dict[str, Any], bool], Result | Send]


class MessageAction:
    """Renders an action for each payload, all in one request, for telling each.

    Args:
        engine: renders.
        tell: prepares telling one.
    """

    def __init__(self, engine: Engine, tell: Tell) -> None:
        self._engine = engine
        self._tell = tell

    def __call__(
        self, action: Action, run: Run, payloads: list[dict[str, Any]], simulate: bool
    ) -> list[Result | Send]:
        """Prepare it once for each payload; what goes wrong with one is in its result."""
        contexts = [run.context(payload) for payload in payloads]
        results: list[Result | Send] = []
        for payload, rendered in zip(
            payloads, render_trees(self._engine, action.body, contexts), strict=True
        ):
            try:
                if isinstance(rendered, TextFailed):
                    raise rendered
                results.append(self._tell(rendered, run, payload, simulate))
            except EngineUnreachable:
                raise
            except (SchedulerError, ValueError) as error:
                results.append(failure(error))
        return results


def chosen_account(
    kind: str, accounts: Mapping[str, Account], named: str | None, default: str | None
) -> tuple[str, Account]:
    """The account that an action names, else the default, else the only one. Raises ActionFailed."""
    if not accounts:
        raise ActionFailed(f"there is no {kind} account; set one up in notify.{kind}")
    name = named or default
    if name is None:
        if len(accounts) > 1:
            raise ActionFailed(
                f"there are several {kind} accounts ({', '.join(accounts)}); name one in the action, or set "
                f"notify.{kind}_account"
            )
        name = next(iter(accounts))
    if name not in accounts:
        raise ActionFailed(f"there is no {kind} account {name!r}; there are {', '.join(accounts)}")
    return name, accounts[name]
