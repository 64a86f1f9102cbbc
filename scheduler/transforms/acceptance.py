"""Asks the engine whether it takes a transform, before the transform runs: what its body alone cannot tell.

That is the inside of queries, whether scripts compile, whether a field has a type that fits, whether a time
zone is known. Elasticsearch too tries a search when it is given a transform. The one here reads a part only,
so that it takes no time however much there is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from engine.client import Engine, refusal
from engine.errors import NotPermitted, RequestRefused
from scheduler.transforms.asking import asked
from scheduler.transforms.body import PIPELINES, Aggregation, Grouping, TransformBody
from scheduler.transforms.destination import require_pipeline
from scheduler.transforms.pivot import groups_search, search
from scheduler.transforms.source import Source, SourceMissing
from scheduler.transforms.sync_field import require_sync_field

Searches = Iterator[tuple[str, dict[str, Any]]]

# Which shards failed, and where in what this executor puts around a part, tells an author nothing.
_NOT_TELLING = re.compile(
    r"all shards failed: |\[\d+:\d+\] |\[composite\] failed to parse field \[sources\]: "
    r"|^\[bool\] failed to parse field \[filter\]: "
)
_LONGEST_REASON = 400
# Read of each shard: some milliseconds, and enough to meet most of what a script cannot deal with.
_DOCUMENTS = 10_000
# As many as Elasticsearch tries. What is computed of a group is computed of those on the page alone.
_GROUPS = 50


def require_accepted(engine: Engine, body: TransformBody) -> None:
    """Raise if the engine would refuse the transform, with the place in its body and the engine's reason.

    Raises:
        RequestRefused: the engine refuses it.
        UnsupportedTransform: it would take it and get it wrong, or never see a document.
        DestinationRefused: the pipeline of ``dest`` is not there.
        SourceMissing: there is no source yet, so there is nothing to ask.
    """
    require_pipeline(engine, body)
    whole = groups_search(body, size=_GROUPS)
    found = _ask(engine, body, whole)
    if isinstance(found, RequestRefused):
        raise _located(engine, body, found)
    if "aggregations" not in found:
        raise _source_missing(body)
    Source(engine, body).check_fields()
    if body.sync_field is not None:
        require_sync_field(engine, body.identifier, body.indices, body.sync_field, body.runtime_mappings)


def require_native_accepted(engine: Engine, identifier: str, content: Mapping[str, Any]) -> None:
    """The same for a transform that the engine runs itself: what it would take and never do anything with.

    Where that cannot be told, as there is no source yet or it may not be read, nothing is raised: the engine
    looks at the rest itself.
    """
    source, time = content.get("source") or {}, (content.get("sync") or {}).get("time") or {}
    indices, field = source.get("index"), time.get("field")
    if not indices or not isinstance(field, str):
        return
    names = [indices] if isinstance(indices, str) else indices
    with suppress(SourceMissing, NotPermitted):
        require_sync_field(engine, identifier, names, field, source.get("runtime_mappings"))


def _source_missing(body: TransformBody) -> SourceMissing:
    indices = ",".join(body.indices)
    return SourceMissing(f"transform {body.identifier}: source.index: there is no index {indices} yet")


def _ask(engine: Engine, body: TransformBody, request: Mapping[str, Any]) -> Any:
    """The answer to a search that stops early; or the error, if the engine refuses the search."""
    header = {
        "index": ",".join(body.indices),
        "preference": f"httpmon-{body.identifier}",
        "allow_partial_search_results": False,
        "request_cache": False,
    }
    try:
        answer = engine.msearch([(header, {**request, "terminate_after": _DOCUMENTS})])[0]
    except NotPermitted:
        raise
    except RequestRefused as error:  # one that cannot be parsed is refused before it is a search
        return error
    if "error" not in answer:
        return answer
    if answer["error"].get("type") == "index_not_found_exception":
        raise _source_missing(body)
    what = f"transform {body.identifier}: search"
    refused = refusal(what, int(answer.get("status", 500)), answer, where=engine.url)
    if isinstance(refused, NotPermitted) or not isinstance(refused, RequestRefused):
        raise refused
    return refused


def _located(engine: Engine, body: TransformBody, whole: RequestRefused) -> RequestRefused:
    """The refusal of the whole search as one of the smallest part that is refused by itself."""
    place, error = "pivot" if body.latest is None else "latest.sort", whole
    for part, request in _parts(body, elasticsearch=engine.capabilities().flavour == "elasticsearch"):
        found = _ask(engine, body, request)
        if isinstance(found, RequestRefused):
            place, error = part, found
            break
    reason = " ".join(_NOT_TELLING.sub("", error.reason or error.error_type).split())[:_LONGEST_REASON]
    return RequestRefused(
        f"transform {body.identifier}: {place}: the engine refuses it: {reason}",
        status=error.status,
        error_type=error.error_type,
        reason=error.reason,
        body=error.body,
    )


def _parts(body: TransformBody, *, elasticsearch: bool) -> Searches:
    """Places in the body, each with a search of what is there, the smaller before those that hold them."""
    everything = replace(body, query={"match_all": {}}, runtime_mappings={})
    yield "source.index", _plain(everything)
    if body.runtime_mappings:
        yield "source.runtime_mappings", _plain(replace(body, query=everything.query))
    yield "source.query", _plain(body)
    for group in body.grouping.groups:
        place = f"pivot.group_by.{group.name}" if body.latest is None else "latest.unique_key"
        alone = replace(body, grouping=Grouping((group,), (), {}))
        yield place, groups_search(alone, size=_GROUPS, compute=False)

    def of_groups(aggregations: Mapping[str, Any]) -> dict[str, Any]:
        request = asked(aggregations, elasticsearch=elasticsearch)
        return groups_search(replace(body, grouping=replace(body.grouping, request=request)), size=_GROUPS)

    yield from _of_aggregations(body.grouping.aggregations, "pivot.aggregations", of_groups)


def _of_aggregations(
    aggregations: Sequence[Aggregation], place: str, within: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> Searches:
    """Each of the aggregations, ``within`` what holds it; those that read others come after these."""
    computed = {one.name: _request(one) for one in aggregations if one.kind not in PIPELINES}
    for one in sorted(aggregations, key=lambda one: one.kind in PIPELINES):
        here = f"{place}.{one.name}"
        if one.kind in PIPELINES:
            yield here, within({**computed, one.name: _request(one)})
            continue
        if one.inner:
            # An order can name another of those inside.
            holder = {key: value for key, value in one.specification.items() if key != "order"}

            def inside(
                inner: Mapping[str, Any], one: Aggregation = one, holder: Mapping[str, Any] = holder
            ) -> dict[str, Any]:
                return within({one.name: {one.kind: holder, "aggregations": inner}})

            yield from _of_aggregations(one.inner, here, inside)
        yield here, within({one.name: computed[one.name]})


def _request(one: Aggregation) -> dict[str, Any]:
    content: dict[str, Any] = {one.kind: one.specification}
    if one.inner:
        content["aggregations"] = {inner.name: _request(inner) for inner in one.inner}
    return content


def _plain(body: TransformBody) -> dict[str, Any]:
    return search(body, [], lower=None, upper=None, aggregations={})
