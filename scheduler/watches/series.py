"""One condition over many contexts in one request: which of them it is met in. Pure but for the request."""

from __future__ import annotations

import json
from typing import Any

from engine.client import Engine
from engine.errors import RequestRefused, SchedulerError
from scheduler.watches.definition import Script
from scheduler.watches.painless import needs_completion, series, split_functions


class Series:
    """Evaluates a condition's script over contexts, as many as are given at once.

    Args:
        engine: runs it.
        script: the condition, as a text.
    """

    def __init__(self, engine: Engine, script: Script) -> None:
        if script.source is None:
            raise SchedulerError("a stored script's condition cannot be tried over the past")
        self._engine = engine
        self._params = script.params
        self._source = split_functions(script.source)
        self._completed = False

    def met(self, contexts: list[dict[str, Any]], *, first_only: bool) -> tuple[list[int], list[int]]:
        """The positions of the contexts in which it is met, and of those in which it threw.

        Args:
            contexts: what stands below ``ctx`` in each.
            first_only: end with the first that is met.

        Raises:
            SchedulerError: it does not compile.
        """
        while True:
            text, params = series(self._source, self._completed, self._params, contexts, first_only)
            try:
                answer = self._engine.request(
                    "POST",
                    "/_scripts/painless/_execute",
                    body={"script": {"source": text, "params": params}},
                )
            except RequestRefused as refused:
                if needs_completion(refused) and not self._completed:
                    self._completed = True
                    continue
                raise SchedulerError(f"the condition cannot be run: {refused.reason or refused}") from None
            found = json.loads(answer["result"])
            return found["met"], found["threw"]
