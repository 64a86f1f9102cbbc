"""Running the searches of a watch, as many as possible in one request.

The engine renders the templates: ``_msearch/template`` takes a whole body as one text, as Watcher does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.client import Engine, refusal
from engine.errors import RequestRefused, SchedulerError
from scheduler.watches.definition import SearchRequest
from scheduler.watches.instants import for_templates
from scheduler.watches.mustache import has_templates, one_text, reads_payload

# What Watcher searches with unless told otherwise: missing indices are no error (seen on 8.10.4).
_LENIENT = {"ignore_unavailable": True, "allow_no_indices": True, "expand_wildcards": "open"}


class SearchFailed(SchedulerError):
    """A search was refused, or some of its shards failed to answer at all.

    Attributes:
        error: what Watcher records: the engine's own error, with type and reason.
    """

    def __init__(self, refused: RequestRefused) -> None:
        super().__init__(refused.reason or str(refused))
        body = refused.body if isinstance(refused.body, dict) else {}
        error = body.get("error")
        known = {"type": refused.error_type, "reason": refused.reason or str(refused)}
        self.error: dict[str, Any] = error if isinstance(error, dict) else known


def request_reads_payload(request: SearchRequest) -> bool:
    """Whether the search depends on what was loaded before it."""
    text = request.template_source or (one_text(request.body) if request.body else "")
    return request.template_id is not None or reads_payload(text)


def run_searches(
    engine: Engine,
    requests: Sequence[SearchRequest],
    context: dict[str, Any],
    timeout_seconds: float | None = None,
    *,
    whole: bool = False,
) -> list[dict[str, Any] | SearchFailed]:
    """Run searches in one round trip; each answer, or what went wrong, in the same order.

    All must want the total of hits in the same form. With ``whole`` an answer of some shards only is none.
    Raises EngineUnreachable, also where one of them is refused for want of means.
    """
    templated = any(_is_templated(request) for request in requests)
    pairs = [(_header(request), _line(request, context, templated)) for request in requests]
    if whole:
        pairs = [(header | {"allow_partial_search_results": False}, line) for header, line in pairs]
    params = {"rest_total_hits_as_int": requests[0].total_hits_as_int}
    try:
        answers = engine.msearch(pairs, params=params, templates=templated, timeout_seconds=timeout_seconds)
    except RequestRefused as refused:
        if len(requests) == 1:
            return [SearchFailed(_why_refused(engine, requests[0], context, refused))]
        # One that cannot even be rendered may take all with it.
        return [
            result
            for request in requests
            for result in run_searches(engine, [request], context, timeout_seconds, whole=whole)
        ]
    return [_answer_or_failure(engine, answer) for answer in answers]


def run_series(
    engine: Engine, request: SearchRequest, contexts: Sequence[dict[str, Any]]
) -> list[dict[str, Any] | SearchFailed]:
    """Run one search for each context, in one round trip. Raises EngineError."""
    templated = _is_templated(request)
    header = _header(request)
    pairs = [(header, _line(request, context, templated)) for context in contexts]
    params = {"rest_total_hits_as_int": request.total_hits_as_int}
    answers = engine.msearch(pairs, params=params, templates=templated)
    return [_answer_or_failure(engine, answer) for answer in answers]


def _answer_or_failure(engine: Engine, answer: dict[str, Any]) -> dict[str, Any] | SearchFailed:
    if "error" in answer:
        error = refusal("search", int(answer.get("status", 500)), answer, where=engine.url)
        if not isinstance(error, RequestRefused):
            raise error
        return SearchFailed(error)
    answer.pop("status", None)
    return answer


def _is_templated(request: SearchRequest) -> bool:
    return (
        request.template_id is not None or request.template_source is not None or has_templates(request.body)
    )


def _header(request: SearchRequest) -> dict[str, Any]:
    header: dict[str, Any] = {"search_type": request.search_type, **_LENIENT, **request.indices_options}
    if request.indices:
        header["index"] = list(request.indices)
    return header


def _line(request: SearchRequest, context: dict[str, Any], templated: bool) -> dict[str, Any]:
    if not templated:
        return request.body or {}
    params = {"ctx": for_templates(context), **request.template_params}
    if request.template_id is not None:
        return {"id": request.template_id, "params": params}
    return {"source": request.template_source or one_text(request.body or {}), "params": params}


def _why_refused(
    engine: Engine, request: SearchRequest, context: dict[str, Any], refused: RequestRefused
) -> RequestRefused:
    """Why a search was dropped before it ran: its template's own refusal."""
    if "no requests added" in str(refused):
        try:
            engine.request("POST", "/_render/template", body=_line(request, context, True))
        except RequestRefused as cause:
            return cause
        except SchedulerError:
            pass
    return refused
