"""The searches that a transform needs: which groups changed, and whole groups again. Pure.

Documents are counted up to a checkpoint's upper bound of the sync field, always: what is newer belongs to the
next one. Groups are paged by ``composite``, so that memory holds one page, whatever the number of groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scheduler.transforms.body import GroupSource, TransformBody

Key = Mapping[str, Any]
# The name of the one aggregation in each search of ours.
GROUPS = "groups"
# The aggregation of when a group changed last; no body has one of this name: a dot cannot be at its end.
CHANGED = "changed."


def ordered_sources(body: TransformBody) -> list[GroupSource]:
    """Dates first, then numbers, then terms: so a page holds neighbours in time.

    Elasticsearch orders them so too, and thereby the rows of a preview; of one kind it has fields first, then
    runtime fields, then scripts, and these by the place that Java's HashMap gives their names. The keys of
    ``latest`` stay as they are listed.
    """
    grouping = body.grouping
    if not grouping.aggregations:
        return list(grouping.groups)
    rank = {"date_histogram": 0, "histogram": 1, "terms": 2}

    def place(group: GroupSource) -> tuple[int, int, int]:
        made = 2 if group.field is None else 1 if group.field in body.runtime_mappings else 0
        return rank[group.kind], made, _hash_place(group.name)

    return sorted(grouping.groups, key=place)


def _hash_place(name: str) -> int:
    code = 0
    units = name.encode("utf-16-be")
    for high, low in zip(units[::2], units[1::2], strict=True):
        code = (31 * code + 256 * high + low) & 0xFFFFFFFF
    return (code ^ (code >> 16)) & 15


def groups_search(
    body: TransformBody,
    *,
    size: int,
    lower: int | None = None,
    upper: int | None = None,
    after: Key | None = None,
    only: Sequence[Key] | None = None,
    compute: bool = True,
    within: Sequence[Mapping[str, Any]] = (),
    tell_changed: bool = False,
) -> dict[str, Any]:
    """The body of a search for one page of groups.

    Args:
        body: the transform.
        size: groups on a page.
        lower: the bound of the sync field from which documents are read, in epoch milliseconds.
        upper: the bound below which they are.
        after: the ``after_key`` of the page before; or the date alone from which to begin.
        only: keys of groups outside of which nothing needs to be read; what the search finds besides them is
            incomplete (see ``groups_filter``).
        compute: whether to compute the aggregations, or only to name the groups.
        within: further filters on the documents.
        tell_changed: whether to compute the greatest sync field of each group besides.
    """
    sources = ordered_sources(body)
    composite: dict[str, Any] = {
        "size": size,
        "sources": [{group.name: {group.kind: dict(group.specification)}} for group in sources],
    }
    if after is not None and len(after) == len(sources):
        composite["after"] = dict(after)
    aggregation: dict[str, Any] = {"composite": composite}
    if compute:
        aggregation["aggregations"] = dict(body.grouping.request)
        if tell_changed:
            aggregation["aggregations"][CHANGED] = {"max": {"field": body.sync_field}}
    filters = [*within, *(groups_filter(sources, only) if only is not None else [])]
    if only is None and after is not None:
        filters += _at_or_after(sources[0], after)
    return search(body, filters, lower=lower, upper=upper, aggregations={GROUPS: aggregation})


def search(
    body: TransformBody,
    filters: Iterable[Mapping[str, Any]],
    *,
    lower: int | None,
    upper: int | None,
    aggregations: Mapping[str, Any],
) -> dict[str, Any]:
    """A search of the transform's source between bounds of the sync field, for aggregations alone."""
    request: dict[str, Any] = {
        "size": 0,
        "track_total_hits": False,
        "query": {"bool": {"filter": [body.query, *sync_range(body, lower, upper), *filters]}},
        "aggregations": dict(aggregations),
    }
    if body.runtime_mappings:
        request["runtime_mappings"] = dict(body.runtime_mappings)
    return request


def sync_range(body: TransformBody, lower: int | None, upper: int | None) -> list[dict[str, Any]]:
    """The filter of documents whose sync field is in ``[lower, upper)``; nothing without bounds."""
    if body.sync_field is None or (lower is None and upper is None):
        return []
    bounds: dict[str, Any] = {"format": "epoch_millis"}
    if lower is not None:
        bounds["gte"] = lower
    if upper is not None:
        bounds["lt"] = upper
    return [{"range": {body.sync_field: bounds}}]


def _at_or_after(leading: GroupSource, after: Key) -> list[dict[str, Any]]:
    """Skip, by the index, documents whose groups earlier pages had: else each page reads all of them.

    A bucket starts at its key, so that no document of the key's bucket or of a later one is before it.
    """
    start = after.get(leading.name)
    if leading.kind != "date_histogram" or leading.field is None or not isinstance(start, int):
        return []
    return [{"range": {leading.field: {"gte": start, "format": "epoch_millis"}}}]


def groups_filter(sources: Sequence[GroupSource], keys: Sequence[Key]) -> list[dict[str, Any]]:
    """Filters that let every document of the groups ``keys`` through, and few others.

    They are made source by source, so documents of further groups pass too: of neighbouring buckets, of other
    combinations, of a field with several values. Such groups are not complete: the caller keeps only
    ``keys``.
    """
    filters = []
    for source in sources:
        values = {key[source.name] for key in keys}
        if source.field is None:
            continue  # a script's value cannot be searched for
        alternatives = _alternatives(source, {value for value in values if value is not None})
        if None in values:
            alternatives.append({"bool": {"must_not": {"exists": {"field": source.field}}}})
        filters.append(alternatives[0] if len(alternatives) == 1 else {"bool": {"should": alternatives}})
    return filters


def _alternatives(source: GroupSource, values: set[Any]) -> list[dict[str, Any]]:
    if not values:
        return []
    field = source.field
    if source.kind == "terms":
        return [{"terms": {field: sorted(values)}}]
    width = source.longest_milliseconds or source.specification["interval"]
    date = {"format": "epoch_millis"} if source.kind == "date_histogram" else {}
    # A floating-point bucket may begin a trifle before its key: what is read besides is left out later.
    margin = 0 if date else width / 1000
    return [
        {"range": {field: {"gte": start - margin, "lt": end + margin, **date}}}
        for start, end in _spans(values, width)
    ]


# A filter of more clauses is slower than one that reads some documents too many.
_MOST_SPANS = 64


def _spans(starts: Iterable[float], width: float) -> list[tuple[float, float]]:
    """Join buckets that touch into few spans that cover all of them."""
    spans: list[list[float]] = []
    for start in sorted(starts):
        if spans and start <= spans[-1][1]:
            spans[-1][1] = start + width
        else:
            spans.append([start, start + width])
    if len(spans) > _MOST_SPANS:
        # Keep the widest gaps, close the others.
        gaps = sorted(range(1, len(spans)), key=lambda at: spans[at][0] - spans[at - 1][1], reverse=True)
        joined = []
        begin = 0
        for cut in [*sorted(gaps[: _MOST_SPANS - 1]), len(spans)]:
            joined.append([spans[begin][0], spans[cut - 1][1]])
            begin = cut
        spans = joined
    return [(start, end) for start, end in spans]


def frozen(key: Key) -> tuple[tuple[str, Any], ...]:
    """A group's key as something that can be in a set."""
    return tuple(sorted(key.items()))
