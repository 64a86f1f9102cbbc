"""Transforming a payload, of a watch or of one of its actions."""

from __future__ import annotations

from typing import Any

from engine.client import Engine
from scheduler.watches.definition import ChainTransform, ScriptTransform, SearchTransform, Transform
from scheduler.watches.inputs import failed, request_record
from scheduler.watches.run import Run
from scheduler.watches.scripts import ScriptFailed, Scripts
from scheduler.watches.searches import SearchFailed, run_searches

Result = dict[str, Any]


class Transforms:
    """Applies transforms."""

    def __init__(self, engine: Engine, scripts: Scripts) -> None:
        self._engine = engine
        self._scripts = scripts

    def apply(self, transform: Transform, run: Run, payload: dict[str, Any]) -> Result:
        """The record's ``transform``: ``status`` and ``payload``. Raises EngineUnreachable."""
        match transform:
            case ScriptTransform():
                try:
                    result = self._scripts.run({"transform": transform.script}, run.context(payload))
                except ScriptFailed as error:
                    return script_failed(error)
                run.variables = result.variables
                return transformed(result.transformed)
            case SearchTransform():
                (answer,) = run_searches(
                    self._engine, [transform.request], run.context(payload), transform.timeout_seconds
                )
                asked = {"search": {"request": request_record(transform.request)}}
                if isinstance(answer, SearchFailed):
                    return failed("search", answer) | asked
                return {"type": "search", "status": "success", "payload": answer} | asked
            case _:
                return self._chain(transform, run, payload)

    def _chain(self, chain: ChainTransform, run: Run, payload: dict[str, Any]) -> Result:
        results: list[Result] = []
        for one in chain.transforms:
            result = self.apply(one, run, payload)
            results.append(result)
            if result["status"] == "failure":
                why = f"failed to execute [{result['type']}] transform in a chain: {result['reason']}"
                return {"type": "chain", "status": "failure", "reason": why, "chain": {"results": results}}
            payload = result["payload"]
        return {"type": "chain", "status": "success", "payload": payload, "chain": {"results": results}}


def transformed(value: Any) -> Result:
    """The entry of a script transform; a value that is no map becomes ``{"_value": value}``."""
    payload = value if isinstance(value, dict) else {"_value": value}
    return {"type": "script", "status": "success", "payload": payload}


def script_failed(error: ScriptFailed) -> Result:
    """The entry of a script transform that failed."""
    reason = str(error.error.get("reason", error))
    return {"type": "script", "status": "failure", "reason": reason, "error": error.error}
