"""The ``index`` and ``logging`` actions."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from typing import Any

from engine.client import Engine
from engine.errors import EngineUnreachable, RequestRefused
from scheduler.watches import fields
from scheduler.watches.actions import ActionFailed, Result, failure
from scheduler.watches.definition import Action
from scheduler.watches.instants import document_text, for_documents
from scheduler.watches.run import Run, Write
from scheduler.watches.texts import TextFailed, render_trees

_LEVELS = {
    "error": logging.ERROR, "warn": logging.WARNING, "info": logging.INFO, "debug": logging.DEBUG,
    "trace": logging.DEBUG,
}  # fmt: skip
_CONFLICT = 409
# Watcher's words, `_data` too.
_NO_DOCUMENTS = "failed to index payload data. [_data] field must either hold a Map or an List/Array of Maps"
_META = ("_index", "_type", "_id")


class IndexAction:
    """Writes payloads as documents."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(
        self, action: Action, run: Run, payloads: list[dict[str, Any]], simulate: bool
    ) -> list[Result]:
        """Index each payload, or, under ``_doc``, each document of its list."""
        results = []
        for position, payload in enumerate(payloads):
            try:
                results.append(self._index(action, run, position, payload, simulate))
            except ActionFailed as error:
                results.append(failure(error))
        return results

    def _index(
        self, action: Action, run: Run, position: int, payload: dict[str, Any], simulate: bool
    ) -> Result:
        several = "_doc" in payload
        listed = payload["_doc"] if several else [payload]
        if isinstance(listed, dict):
            several, listed = False, [listed]
        if not isinstance(listed, list):
            raise ActionFailed(_told(action, run, _NO_DOCUMENTS))
        if several and action.body.get("doc_id") is not None:
            raise ActionFailed(_told(action, run, "[doc_id] cannot be used with bulk [_doc] indexing"))
        if not listed:
            raise ActionFailed("Validation Failed: 1: no requests added;")
        documents = [_document(action, run, one) for one in listed]
        if simulate:
            requests = [_simulated(action, document) for document in documents]
            return {
                "status": "simulated",
                "index": {"request": requests if several else requests[0]},
            }
        if all(document.id and action.body.get("op_type") == "create" for document in documents):
            # Cannot happen twice, so it may be sent together with the record of the run; what the engine
            # answers is put right there if it is not this.
            run.writes += documents
            responses = [
                {"created": True, "result": "created", "id": one.id, "version": 1, "index": one.index}
                for one in documents
            ]
            return {"status": "success", "index": {"response": responses if several else responses[0]}}
        identifiers = [_made_id(action, run, position, number) for number in range(len(documents))]
        return self._send(action, documents, identifiers, several)

    def _send(self, action: Action, documents: list[Write], identifiers: list[str], several: bool) -> Result:
        operation = action.body.get("op_type") or "index"
        params: dict[str, Any] = {}
        if action.body.get("refresh"):
            params["refresh"] = action.body["refresh"]
        lines: list[str] = []
        for document, made in zip(documents, identifiers, strict=True):
            target = {"_index": document.index, "_id": document.id or made}
            lines += [
                json.dumps({operation if document.id else "create": target}),
                json.dumps(document.source),
            ]
        timeout = fields.seconds(action.body, "timeout", "")
        try:
            answer = self._engine.bulk(
                ("\n".join(lines) + "\n").encode(), params=params, timeout_seconds=timeout
            )
        except EngineUnreachable:
            raise
        except RequestRefused as error:
            return failure(error)
        responses = [
            _response(next(iter(item.values())), made=not document.id)
            for document, item in zip(documents, answer["items"], strict=True)
        ]
        failed = [one for one in responses if "error" in one]
        if not failed:
            return {"status": "success", "index": {"response": responses if several else responses[0]}}
        if not several:
            return {"status": "failure", "reason": failed[0]["error"]["reason"], "error": failed[0]["error"]}
        status = "failure" if len(failed) == len(responses) else "partial_failure"
        return {"status": status, "index": {"response": responses}}


def _document(action: Action, run: Run, one: Any) -> Write:
    if not isinstance(one, dict):
        raise ActionFailed(_told(action, run, _NO_DOCUMENTS))
    source = {key: value for key, value in one.items() if key not in _META}
    time_field = action.body.get("execution_time_field")
    if time_field:
        source[time_field] = document_text(run.execution_time)
    index = _one_place(action, run, "index", one.get("_index"), action.body.get("index"))
    if not index:
        raise ActionFailed(f"the index action [{action.id}] has no index, neither in itself nor as _index")
    return Write(
        action_id=action.id,
        index=index,
        id=_one_place(action, run, "doc_id", one.get("_id"), action.body.get("doc_id")) or "",
        source=for_documents(source),
        refresh=action.body.get("refresh"),
    )


def _told(action: Action, run: Run, why: str) -> str:
    return f"could not execute action [{action.id}] of watch [{run.watch.id}]. {why}"


def _one_place(action: Action, run: Run, what: str, in_payload: Any, in_action: Any) -> str | None:
    if in_payload is not None and in_action is not None:
        field = "_index" if what == "index" else "_id"
        why = (
            f"[ctx.payload.{field}] or [ctx.payload._doc.{field}] were set together with action [{what}] "
            "field. Only set one of them"
        )
        raise ActionFailed(_told(action, run, why))
    chosen = in_payload if in_payload is not None else in_action
    return None if chosen is None else str(chosen)


def _simulated(action: Action, document: Write) -> dict[str, Any]:
    request = {"index": document.index, "doc_id": document.id or None, "source": document.source}
    if "refresh" in action.body:
        request["refresh"] = action.body["refresh"]
    return {key: value for key, value in request.items() if value is not None}


def _made_id(action: Action, run: Run, position: int, number: int) -> str:
    """The ``_id`` of a document that has none of its own: the same when the same run is repeated."""
    when = run.id if run.manual else document_text(run.scheduled_time)
    text = json.dumps([run.watch.id, when, action.id, position, number])
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:15]).decode()


def _response(item: dict[str, Any], *, made: bool) -> dict[str, Any]:
    if "error" in item and made and item["status"] == _CONFLICT:
        # What this run wrote when it ran before.
        return {
            "created": True,
            "result": "created",
            "id": item["_id"],
            "version": 1,
            "index": item["_index"],
        }
    if "error" in item:
        return {"failed": True, "id": item.get("_id"), "index": item.get("_index"), "error": item["error"]}
    return {
        "created": item.get("result") == "created",
        "result": item.get("result"),
        "id": item.get("_id"),
        "version": item.get("_version"),
        "index": item.get("_index"),
    }


class LoggingAction:
    """Writes a text to the scheduler's log."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(
        self, action: Action, run: Run, payloads: list[dict[str, Any]], simulate: bool
    ) -> list[Result]:
        """Log the text once for each payload."""
        text = action.body["text"]
        rendered = render_trees(self._engine, text, [run.context(payload) for payload in payloads])
        results = []
        for one in rendered:
            if isinstance(one, TextFailed):
                results.append(failure(one))
                continue
            if not simulate:
                category = str(action.body.get("category") or "watch")
                level = _LEVELS[str(action.body.get("level", "info")).lower()]
                logging.getLogger(category).log(level, "%s", one)
            status = "simulated" if simulate else "success"
            results.append({"status": status, "logging": {"logged_text": one}})
        return results
