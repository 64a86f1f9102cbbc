"""Loading a watch's input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.client import Engine
from engine.errors import EngineUnreachable, SchedulerError
from scheduler.watches.definition import (
    ChainInput,
    HttpInput,
    Input,
    NoneInput,
    SearchInput,
    SearchRequest,
    SimpleInput,
    Transform,
    TransformInput,
)
from scheduler.watches.paths import extracted
from scheduler.watches.run import Run
from scheduler.watches.searches import SearchFailed, request_reads_payload, run_searches
from scheduler.watches.timetable import catch_up_of

Result = dict[str, Any]
# Answers an http input: (input, ctx) -> the record's entry; raises SchedulerError.
LoadHttp = Callable[[HttpInput, dict[str, Any]], Result]
# Applies the transform of an input to a payload: (transform, run, payload) -> the record's entry.
ApplyTransform = Callable[[Transform, Run, dict[str, Any]], Result]


class Inputs:
    """Loads inputs; searches of one chain go in one request where none reads what another loads."""

    def __init__(self, engine: Engine, load_http: LoadHttp, transform: ApplyTransform) -> None:
        self._engine = engine
        self._load_http = load_http
        self._transform = transform

    def load(self, run: Run) -> Result:
        """Load the run's input: the record's ``input`` with ``status`` and ``payload``.

        An input that fails within a chain leaves ``{}`` and those behind it still run; a transform that
        fails there fails the chain. Raises EngineUnreachable.
        """
        if run.alternatives.input is not None:
            return loaded("simple", run.alternatives.input)
        if isinstance(run.watch.input, ChainInput):
            return self._chain(run.watch.input, run)
        return self._one(run.watch.input, run, {}, {})

    def _one(self, one: Input, run: Run, payload: dict[str, Any], found: dict[int, Any]) -> Result:
        match one:
            case SimpleInput():
                return loaded("simple", one.payload)
            case NoneInput():
                return loaded("none", {})
            case ChainInput():
                return self._chain(one, run)
            case HttpInput():
                return self._http(one, run, payload)
            case TransformInput():
                return self._transform(one.transform, run, payload) | {"type": "transform"}
            case _:
                return self._search(one, run, payload, found)

    def _chain(self, chain: ChainInput, run: Run) -> Result:
        payload: dict[str, Any] = {}
        results: dict[str, Result] = {}
        found: dict[int, Any] = {}
        for position, (name, one) in enumerate(chain.inputs):
            if isinstance(one, SearchInput) and id(one.request) not in found:
                self._search_ahead(one, chain.inputs[position + 1 :], run, payload, found)
            results[name] = self._one(one, run, payload, found)
            if isinstance(one, TransformInput) and results[name]["status"] == "failure":
                return failed("chain", SchedulerError(results[name]["reason"])) | {"chain": results}
            payload[name] = results[name].get("payload", {})
        return {"type": "chain", "status": "success", "payload": payload, "chain": results}

    def _search_ahead(
        self,
        first: SearchInput,
        behind: tuple[tuple[str, Input], ...],
        run: Run,
        payload: dict[str, Any],
        found: dict[int, Any],
    ) -> None:
        """Ask with a search also those behind it that need nothing of it, and keep the answers."""
        together: list[SearchRequest] = [first.request]
        for _, one in behind:
            if (
                isinstance(one, SearchInput)
                and one.timeout_seconds == first.timeout_seconds
                and one.request.total_hits_as_int == first.request.total_hits_as_int
                and not request_reads_payload(one.request)
            ):
                together.append(one.request)
        # A rule that makes up for missed runs decides for good: it must not decide by half an answer.
        whole = bool(catch_up_of(run.watch))
        answers = run_searches(
            self._engine, together, run.context(payload), first.timeout_seconds, whole=whole
        )
        found.update({id(request): answer for request, answer in zip(together, answers, strict=True)})

    def _search(self, one: SearchInput, run: Run, payload: dict[str, Any], found: dict[int, Any]) -> Result:
        answer = found.get(id(one.request))
        if answer is None:
            (answer,) = run_searches(self._engine, [one.request], run.context(payload), one.timeout_seconds)
        asked = {"search": {"request": request_record(one.request)}}
        if isinstance(answer, SearchFailed):
            return failed("search", answer) | asked
        return loaded("search", extracted(answer, one.extract) if one.extract else answer) | asked

    def _http(self, one: HttpInput, run: Run, payload: dict[str, Any]) -> Result:
        try:
            return self._load_http(one, run.context(payload))
        except EngineUnreachable:
            raise
        except SchedulerError as error:
            asked = {key: one.request[key] for key in ("scheme", "host", "port") if key in one.request}
            return failed("http", error) | {"http": {"request": asked}}


def request_record(request: SearchRequest) -> dict[str, Any]:
    """A search as a watch record shows it; its templates as they stand in the watch."""
    record: dict[str, Any] = {
        "search_type": request.search_type,
        "indices": list(request.indices),
        **({"indices_options": request.indices_options} if request.indices_options else {}),
        "rest_total_hits_as_int": request.total_hits_as_int,
    }
    if request.body is not None:
        record["body"] = request.body
    if request.template_source is not None:
        record["template"] = {"source": request.template_source, "params": request.template_params}
    if request.template_id is not None:
        record["template"] = {"id": request.template_id, "params": request.template_params}
    return record


def loaded(kind: str, payload: dict[str, Any]) -> Result:
    """The record's entry of an input that loaded a payload."""
    return {"type": kind, "status": "success", "payload": payload}


def failed(kind: str, error: Exception) -> Result:
    """The record's entry of an input or transform that failed."""
    told = error.error if isinstance(error, SearchFailed) else None
    return {
        "type": kind,
        "status": "failure",
        "reason": str(error),
        "error": told or {"type": type(error).__name__, "reason": str(error)},
    }
