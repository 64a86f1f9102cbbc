"""Running a watch's scripts in the engine."""

from __future__ import annotations

import threading
import time
from typing import Any

from engine.client import Engine
from engine.errors import NotFound, RequestRefused, SchedulerError
from scheduler.watches.definition import Script
from scheduler.watches.painless import (
    Piece,
    ScriptResult,
    Source,
    assemble,
    fits_together,
    needs_completion,
    parse_result,
    portable,
    script_parameters,
    split_functions,
)

# How long the text of a stored script is remembered: a change of it counts within this time.
_STORED_SECONDS = 10.0


class ScriptFailed(SchedulerError):
    """A script does not compile, or threw.

    Attributes:
        role: ``condition`` or ``transform``.
        error: what Watcher records: type, reason, script_stack, caused_by.
    """

    def __init__(self, role: str, error: dict[str, Any]) -> None:
        cause: Any = error
        while isinstance(cause.get("caused_by"), dict):
            cause = cause["caused_by"]
        told = cause.get("reason") or cause.get("type") or ""
        super().__init__(f"{error.get('reason', 'script error')}: {told}")
        self.role = role
        self.error = error


class Scripts:
    """Runs scripts by ``_scripts/painless/_execute``; safe to share between threads.

    It remembers which scripts need a value behind their last statement, and stored scripts for a while.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._completed: set[str] = set()
        self._sources: dict[str, Source] = {}
        self._stored: dict[str, tuple[float, str]] = {}

    def run(self, scripts: dict[str, Script], context: dict[str, Any]) -> ScriptResult:
        """Run a condition, a transform or both: ``{"condition": ..., "transform": ...}``, in that order.

        Args:
            scripts: by role.
            context: what stands below ``ctx``.

        Raises:
            ScriptFailed: a script is wrong or threw; says which.
        """
        texts = {role: self._text_of(role, script) for role, script in scripts.items()}
        params = {role: dict(script.params) for role, script in scripts.items()}
        while True:
            pieces = tuple(
                Piece(role, self._split(text), completed=f"{role} {text}" in self._completed)
                for role, text in texts.items()
            )
            assembled = assemble(pieces)
            body = {"script": {"source": assembled.text, "params": script_parameters(context, params)}}
            try:
                answer = self._engine.request("POST", "/_scripts/painless/_execute", body=body)
            except RequestRefused as refused:
                error = _script_error(refused)
                role = assembled.role_at(int((error.get("position") or {}).get("offset", 0)))
                key = f"{role} {texts[role]}"
                if needs_completion(refused) and key not in self._completed:
                    with self._lock:
                        self._completed.add(key)
                    continue
                source = next(piece.source for piece in pieces if piece.role == role)
                own = error | _place(error, assembled.text, source.body)
                raise ScriptFailed(role, _readable(own, texts[role])) from None
            return parse_result(answer["result"])

    def can_join(self, first: Script, second: Script) -> bool:
        """Whether two scripts can run in one request."""
        try:
            one, two = (self._split(self._text_of("script", script)) for script in (first, second))
        except ScriptFailed:
            return False
        return fits_together(one, two)

    def _split(self, text: str) -> Source:
        if text not in self._sources:
            with self._lock:
                self._sources[text] = split_functions(portable(text))
        return self._sources[text]

    def _text_of(self, role: str, script: Script) -> str:
        if script.source is not None:
            return script.source
        script_id = str(script.id)
        read, text = self._stored.get(script_id, (0.0, ""))
        if not text or time.monotonic() - read > _STORED_SECONDS:
            try:
                answer = self._engine.request("GET", f"/_scripts/{script_id}")
            except NotFound:
                reason = f"unable to find script [{script_id}] in cluster state"
                raise ScriptFailed(role, {"type": "resource_not_found_exception", "reason": reason}) from None
            text = str(answer["script"]["source"])
            with self._lock:
                self._stored[script_id] = (time.monotonic(), text)
        return text


def _script_error(refused: RequestRefused) -> dict[str, Any]:
    body = refused.body if isinstance(refused.body, dict) else {}
    error = body.get("error")
    return error if isinstance(error, dict) else {"type": refused.error_type, "reason": str(refused)}


def _place(error: dict[str, Any], text: str, body: str) -> dict[str, Any]:
    """The engine's ``script_stack`` without what stands around the user's script; as it is elsewhere."""
    position = error.get("position") or {}
    start = text.find(body)
    offset = int(position.get("offset", -1))
    if not start <= offset < start + len(body):
        return {}
    first = max(start, int(position.get("start", start)))
    last = min(start + len(body), int(position.get("end", start + len(body))))
    return {"script_stack": [text[first:last], f"{' ' * (offset - first)}^---- HERE"]}


def _readable(error: dict[str, Any], text: str) -> dict[str, Any]:
    """The engine's error without the script that the user's was put into."""
    kept = {key: error[key] for key in ("type", "reason", "script_stack", "caused_by") if key in error}
    if isinstance(kept.get("caused_by"), dict):
        kept["caused_by"] = {key: value for key, value in kept["caused_by"].items() if key != "stack_trace"}
    return kept | {"script": text if len(text) <= 256 else f"{text[:256]} ...", "lang": "painless"}
