"""Asks the engine for the groups of a transform's source, and how many documents came when."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Any, NamedTuple

from engine.client import Engine, raise_for_error
from engine.errors import SchedulerError
from scheduler.transforms.body import GroupSource, TransformBody, UnsupportedTransform, offset_milliseconds
from scheduler.transforms.checkpoint import Slice
from scheduler.transforms.deduction import named_fields, source_fields
from scheduler.transforms.pivot import CHANGED, GROUPS, Key, groups_search, ordered_sources, search

# Groups a page where the body says nothing. Fewer round trips than Elasticsearch's 500; with five
# aggregations a group still far below the 65,535 buckets that a search may make.
DEFAULT_PAGE_SIZE = 1000
_SMALLEST_PAGE_SIZE = 10
# What the engine says when a page has too many buckets or takes too much memory: try a smaller one.
_TOO_LARGE = ("too_many_buckets_exception", "circuit_breaking_exception")
_COUNTS = "counts"
_FIRST_WINDOW_BUCKETS = 16
# The last millisecond that a date of nanoseconds can be in.
_NANOSECONDS_END = (2**63 - 1) // 1_000_000
_WINDOWS_AHEAD = 2
# Groups a window at most, whatever the page size: so searching, converting and writing overlap.
_WINDOW_GROUPS = 1500


class SourceMissing(SchedulerError):
    """The source does not exist (yet)."""


class Page(NamedTuple):
    """One page of groups, and the key to go on after; None after the last page."""

    buckets: list[dict[str, Any]]
    following: Key | None


class Extent(NamedTuple):
    """How many documents there are, and the first and last of the dates by which they are grouped."""

    total: int
    first: int | None
    last: int | None


class Source:
    """The source of one transform; remembers how large a page may be."""

    def __init__(self, engine: Engine, body: TransformBody) -> None:
        self._engine = engine
        self._body = body
        self._page_size = body.settings.page_size or DEFAULT_PAGE_SIZE
        self._extents: dict[tuple[int | None, int | None], Extent] = {}

    def types(self) -> dict[str, str]:
        """The type of each field of the source that the transform names; of an alias, that of its target."""
        return self._types_of(source_fields(self._body.grouping))

    def check_fields(self) -> None:
        """Raise UnsupportedTransform for a field that the engine gets wrong.

        OpenSearch (3.8) takes the name of the index for the value of a ``constant_keyword``.
        """
        if self._engine.capabilities().flavour != "opensearch":
            return
        for field, kind in self._types_of(named_fields(self._body.grouping)).items():
            if kind == "constant_keyword":
                reason = f"OpenSearch cannot group or compute the constant_keyword {field}"
                raise UnsupportedTransform(
                    f"transform {self._body.identifier}: pivot: {reason}: leave it out"
                )

    def _types_of(self, names: set[str]) -> dict[str, str]:
        if not names:
            return {}
        answer = field_capabilities(self._engine, self._body.indices, names, self._body.runtime_mappings)
        return {name: next(iter(kinds)) for name, kinds in answer["fields"].items()}

    def count(self, slices: Sequence[tuple[int, int]]) -> list[Slice]:
        """How many documents have their sync field in each of ``slices``, which follow one another."""
        if not slices:
            return []
        ranges = [{"key": str(at), "from": lower, "to": upper} for at, (lower, upper) in enumerate(slices)]
        aggregation = {
            "date_range": {
                "field": self._body.sync_field,
                "format": "epoch_millis",
                "keyed": True,
                "ranges": ranges,
            }
        }
        request = search(
            self._body, [], lower=slices[0][0], upper=slices[-1][1], aggregations={_COUNTS: aggregation}
        )
        buckets = self._search(request)["aggregations"][_COUNTS]["buckets"]
        return [Slice(*bounds, buckets[str(at)]["doc_count"]) for at, bounds in enumerate(slices)]

    def extent(self, upper: int | None, *, lower: int | None = None) -> Extent:
        """How many documents have a sync field in the bounds, and their dates; the last answer is kept."""
        if (lower, upper) not in self._extents:
            self._extents = {(lower, upper): self._ask_extent(upper, lower)}
        return self._extents[lower, upper]

    def _ask_extent(self, upper: int | None, lower: int | None) -> Extent:
        leading = self._leading()
        request = search(self._body, [], lower=lower, upper=upper, aggregations={})
        asked = [request | {"track_total_hits": True}]
        if leading is not None and leading.field is not None:
            asked += [_outermost(request, leading.field, order) for order in ("asc", "desc")]
        counted, *ends = self._ask(asked)
        total = int(self._answered(counted)["hits"]["total"]["value"])
        if leading is None or total == 0:
            return Extent(total, None, None)
        if any("error" in end for end in ends):
            # A date of before 1970 is refused where another index has dates with nanoseconds.
            return Extent(total, *self._least_and_greatest(request, leading))
        try:
            first, last = (_dates(end["hits"]["hits"]) for end in ends)
        except ValueError:  # a field of numbers, which takes another format than dates do
            return Extent(total, *self._least_and_greatest(request, leading))
        return Extent(total, min(first, default=None), max(last, default=None))

    def _least_and_greatest(self, request: Mapping[str, Any], leading: GroupSource) -> list[int | None]:
        names = ("min", "max")
        dates = {name: {name: {"field": leading.field}} for name in names}
        found = self._search({**request, "aggregations": dates})["aggregations"]
        values = [found[name]["value"] for name in names]
        return [None if value is None else int(value) for value in values]

    def first_date(self, field: str, within: Sequence[Mapping[str, Any]]) -> int | None:
        """The first date ``field`` of the documents that the filters ``within`` let through."""
        request = search(self._body, within, lower=None, upper=None, aggregations={})
        answer = self._answered(self._ask([_outermost(request, field, "asc")])[0])
        return min(_dates(answer["hits"]["hits"]), default=None)

    def _leading(self) -> GroupSource | None:
        """The date by which the groups are ordered, if buckets of it can be told from its values."""
        leading = ordered_sources(self._body)[0]
        told = leading.kind == "date_histogram" and leading.field is not None and not leading.missing_bucket
        even = "fixed_interval" in leading.specification and "time_zone" not in leading.specification
        return leading if told and even and self._body.latest is None else None

    def all_pages(self, upper: int | None, position: Key | None, threads: Executor) -> Iterator[Page]:
        """Every page of groups after ``position``; reads each document about once.

        The next pages are searched by ``threads`` while what is given is dealt with.
        """
        leading = self._leading()
        extent = self.extent(upper) if leading is not None else None
        if leading is None or extent is None or extent.first is None or extent.last is None:
            return self._pages_after(upper, position, threads)
        return self._windows(leading, extent.first, extent.last, upper, position, None, threads)

    def changed_pages(
        self, lower: int, upper: int | None, position: Key | None, threads: Executor
    ) -> Iterator[Page] | None:
        """Pages of all groups with a sync field in the bounds; None if it takes less to name them first.

        Reads each document between the first and the last date of these groups once, and leaves the groups
        out that have not changed. That pays where most of what is read has changed: after a pause.
        """
        leading = self._leading()
        if leading is None or self._body.sync_field is None:
            return None
        changed = self.extent(upper, lower=lower)
        if changed.first is None or changed.last is None:
            return None
        first, last = _floor(changed.first, leading), changed.last
        within = [_between(leading, first, last + leading.longest_milliseconds)]
        request = search(self._body, within, lower=None, upper=upper, aggregations={})
        # Counting stops at one more than is worth reading.
        most = 2 * changed.total
        answer = self._search(request | {"track_total_hits": most + 1})
        if answer["hits"]["total"]["value"] > most:
            return None
        return self._windows(leading, first, last, upper, position, lower, threads)

    def _windows(
        self,
        leading: GroupSource,
        first: int,
        last: int,
        upper: int | None,
        position: Key | None,
        changed_since: int | None,
        threads: Executor,
    ) -> Iterator[Page]:
        """Pages of groups whose dates are in ``[first, last]``, in windows of about a page each.

        A ``composite`` search reads all documents to find the first groups of them. So where groups are
        ordered by date, each search is given a window of time that has about a page of groups. Two are under
        way at once: the engine searches the next one while the answer of the one before is parsed.
        """
        bucket = leading.longest_milliseconds
        width = _FIRST_WINDOW_BUCKETS * bucket
        # Buckets begin where the offset says: a position is the begin of one, the first date need not be.
        start = position[leading.name] if position is not None else _floor(first, leading)
        after = position if position is not None and len(position) > 1 else None

        def searched(start: int, end: int, after: Key | None) -> Future[Page]:
            return threads.submit(
                self.page,
                upper=upper,
                after=after,
                within=[_between(leading, start, end)],
                changed_since=changed_since,
            )

        ahead: deque[tuple[int, int, bool, Future[Page]]] = deque()

        def search_ahead() -> None:
            nonlocal start, after
            while start <= last and len(ahead) < _WINDOWS_AHEAD:
                end = start + width
                ahead.append((start, end, after is None, searched(start, end, after)))
                start, after = end, None

        search_ahead()
        while ahead:
            begin, end, whole, search = ahead.popleft()
            groups = 0
            while True:
                page = search.result()
                groups += len(page.buckets)
                # Where documents have several dates, the search sees a part of other windows' groups.
                buckets = [one for one in page.buckets if begin <= one["key"][leading.name] < end]
                if changed_since is not None:
                    # Less one: the engine gives the greatest date as a floating-point number, which of
                    # nanoseconds can fall a trifle short. A group too many does no harm.
                    buckets = [one for one in buckets if (one[CHANGED]["value"] or 0) >= changed_since - 1]
                if page.following is None:
                    break
                search = searched(begin, end, page.following)
                yield Page(buckets, page.following)
            if whole:
                width = _next_width(end - begin, groups, min(self._page_size, _WINDOW_GROUPS), bucket)
            search_ahead()
            yield Page(buckets, None if end > last else {leading.name: end})

    def _pages_after(self, upper: int | None, position: Key | None, threads: Executor) -> Iterator[Page]:
        search = threads.submit(self.page, upper=upper, after=position)
        while True:
            page = search.result()
            if page.following is not None:
                search = threads.submit(self.page, upper=upper, after=page.following)
            yield page
            if page.following is None:
                return

    def page(
        self,
        *,
        lower: int | None = None,
        upper: int | None = None,
        after: Key | None = None,
        only: Sequence[Key] | None = None,
        compute: bool = True,
        within: Sequence[Mapping[str, Any]] = (),
        changed_since: int | None = None,
        size: int | None = None,
    ) -> Page:
        """One page of groups; the arguments are those of ``pivot.groups_search``."""
        while True:
            size = size or self._page_size
            request = groups_search(
                self._body,
                size=size,
                lower=lower,
                upper=upper,
                after=after,
                only=only,
                compute=compute,
                within=within,
                tell_changed=changed_since is not None,
            )
            answer = self._search(request, smaller_may_do=size > _SMALLEST_PAGE_SIZE)
            if answer is not None:
                break
            size = self._page_size = max(_SMALLEST_PAGE_SIZE, size // 2)
        groups = answer["aggregations"][GROUPS]
        buckets = groups["buckets"]
        last = len(buckets) < size and not (compute and self._drops_buckets())
        return Page(buckets, None if last else groups.get("after_key"))

    def _drops_buckets(self) -> bool:
        """Whether a page can be short without being the last."""
        return any(one.kind == "bucket_selector" for one in self._body.grouping.aggregations)

    def _search(self, request: Mapping[str, Any], *, smaller_may_do: bool = False) -> Any:
        """Run a search; None where a smaller page may succeed."""
        answer = self._answered(self._ask([request])[0], smaller_may_do=smaller_may_do)
        if answer is not None and request["aggregations"] and "aggregations" not in answer:
            what = f"transform {self._body.identifier}: search"
            raise SourceMissing(f"{what}: no index matches {','.join(self._body.indices)} yet")
        return answer

    def _ask(self, requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        header = {
            "index": ",".join(self._body.indices),
            # Counts and groups must come from the same copies of the shards, and from all of them: the
            # reasons are in checkpoint.py.
            "preference": f"httpmon-{self._body.identifier}",
            "allow_partial_search_results": False,
            # No search is asked twice: answers would only push those of others out.
            "request_cache": False,
        }
        return self._engine.msearch([(header, request) for request in requests])

    def _answered(self, answer: dict[str, Any], *, smaller_may_do: bool = False) -> Any:
        what = f"transform {self._body.identifier}: search"
        if "error" in answer:
            told = json.dumps(answer["error"])
            if smaller_may_do and any(one in told for one in _TOO_LARGE):
                return None
            if answer["error"].get("type") == "index_not_found_exception":
                raise SourceMissing(f"{what}: there is no index {','.join(self._body.indices)} yet")
        raise_for_error(what, answer, where=self._engine.url)
        return answer


def field_capabilities(
    engine: Engine,
    indices: Sequence[str],
    fields: Iterable[str],
    runtime_mappings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The indices that there are, and for each of the fields what it is, by type.

    Raises NotFound where an index without a wildcard is missing.
    """
    answer: dict[str, Any] = engine.request(
        "POST",
        f"/{','.join(indices)}/_field_caps",
        body={"runtime_mappings": runtime_mappings} if runtime_mappings else None,
        params={"fields": ",".join(sorted(fields))},
    )
    return answer


def _outermost(request: Mapping[str, Any], field: str, order: str) -> dict[str, Any]:
    """Ask for the document with the first or last date.

    Of an index of dates a sorted search reads a few entries, where ``min`` and ``max`` read every document.
    """
    # As plain dates: of two indices one can hold nanoseconds.
    sort = {field: {"order": order, "numeric_type": "date", "unmapped_type": "date"}}
    dates = [{"field": field, "format": "epoch_millis"}]
    return {**request, "size": 1, "_source": False, "sort": [sort], "docvalue_fields": dates}


def _dates(hits: Sequence[Mapping[str, Any]]) -> list[int]:
    """The dates of documents, in whole milliseconds; those with nanoseconds have them as a fraction."""
    texts = [text for hit in hits for dates in hit.get("fields", {}).values() for text in dates]
    return [int(text.partition(".")[0]) for text in texts]


def _between(leading: GroupSource, start: int, end: int) -> dict[str, Any]:
    """The filter of documents whose date is in ``[start, end)``."""
    return {"range": {leading.field: {"gte": start, "lt": end, "format": "epoch_millis"}}}


def _floor(date: int, leading: GroupSource) -> int:
    """The begin of the bucket of a date."""
    offset = offset_milliseconds(leading)
    return date - (date - offset) % leading.longest_milliseconds


def _next_width(width: int, groups: int, wanted: int, bucket: int) -> int:
    """How wide a window has most of a page of groups, after one of ``width`` had ``groups``."""
    change = 16.0 if groups == 0 else min(16.0, max(0.25, 0.9 * wanted / groups))
    return max(1, int(width * change) // bucket) * bucket
