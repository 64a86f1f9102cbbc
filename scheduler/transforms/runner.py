"""Executes one transform page by page: the shell that searches, writes documents, and writes the state."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from engine.client import Engine, raise_for_error
from engine.errors import EngineUnreachable, NotFound, SchedulerError
from scheduler.transforms.body import TransformBody
from scheduler.transforms.checkpoint import (
    Running,
    Slice,
    State,
    begin,
    complete,
    failed,
    moved,
    progressed,
    slices_to_count,
    upper_bound,
)
from scheduler.transforms.documents import pivot_document
from scheduler.transforms.identifiers import document_id
from scheduler.transforms.pivot import GROUPS, Key, frozen, groups_search, search
from scheduler.transforms.store import Stored, TransformStore

# Groups a page where the body says nothing. Fewer round trips than Elasticsearch's 500; with five
# aggregations a group still far below the 65,535 buckets that a search may make.
DEFAULT_PAGE_SIZE = 1000
_SMALLEST_PAGE_SIZE = 10
# What the engine says when a page has too many buckets or takes too much memory: try a smaller one.
_TOO_LARGE = ("too_many_buckets_exception", "circuit_breaking_exception")
_COUNTS = "counts"
# A state that only moved its upper bound is written this rarely: losing it costs an empty search.
IDLE_SAVE_SECONDS = 5.0
# A long checkpoint's position is written this rarely: losing it costs the pages since.
POSITION_SAVE_SECONDS = 2.0
_BULK_BYTES = 8_000_000


class DestinationRefused(SchedulerError):
    """The destination does not take a document; repeating would not help."""


class SourceMissing(SchedulerError):
    """The source does not exist (yet)."""


class TransformRunner:
    """One transform between two pages: its body, its state, the checkpoint under way."""

    def __init__(self, engine: Engine, store: TransformStore, body: TransformBody, threads: Executor) -> None:
        self.body = body
        self._engine = engine
        self._store = store
        self._threads = threads
        self._page_size = body.settings.page_size or DEFAULT_PAGE_SIZE
        self._types: dict[str, str] | None = None
        self._saved_at = 0.0
        self._pages: Iterator[None] | None = None
        self.stored = self._load()

    @property
    def state(self) -> State:
        """The state as of the last page."""
        return self.stored.state

    @property
    def busy(self) -> bool:
        """Whether a checkpoint is under way."""
        return self.state.running is not None

    def reload(self) -> None:
        """Forget what was under way and go on from the stored state."""
        self._pages = None
        self.stored = self._load()

    def _load(self) -> Stored:
        stored = self._store.load(self.body.identifier)
        if stored.state.checksum == self.body.checksum:
            return stored
        # The body says something else than when this was written: every group must be computed again.
        return stored._replace(state=State(checksum=self.body.checksum))

    def step(self, now: int) -> bool:
        """Begin a checkpoint, or write one page of the one under way; whether there is more to do.

        ``now`` is the engine's clock in epoch milliseconds. Raises what the engine raises,
        DestinationRefused and SourceMissing; afterwards ``reload`` or another ``step`` goes on from the last
        page written.
        """
        if self.state.running is None and not self._begin(now):
            return False
        if self._pages is None and self.state.running is not None:
            self._pages = self._page_writer(self.state.running)
        if self._pages is None:
            return False
        try:
            next(self._pages)
        except StopIteration:
            self._pages = None
            self._save(complete(self.state, now, finished=self.body.sync_field is None))
            return False
        except BaseException:
            self._pages = None
            raise
        return True

    def fail(self, reason: str, *, for_good: bool, store: bool) -> None:
        """Note that an attempt failed; in the engine, too, if ``store``."""
        state = failed(self.state, reason, for_good=for_good)
        self._hold(state)
        if store:
            self._save(state)

    def _begin(self, now: int) -> bool:
        state = self.state
        upper = upper_bound(now, self.body.delay_milliseconds, self._whole_buckets())
        if state.upper is not None and upper <= state.upper:
            return False
        slices = slices_to_count(state, upper) if self.body.sync_field is not None else []
        following, work = begin(state, upper, self._count(slices, upper))
        if work or time.monotonic() - self._saved_at >= IDLE_SAVE_SECONDS:
            self._save(following)
        else:
            self._hold(following)
        return work

    def _whole_buckets(self) -> int | None:
        pivot = self.body.pivot
        if pivot is None or not self.body.settings.align_checkpoints:
            return None
        widths = [
            group.longest_milliseconds
            for group in pivot.groups
            if group.kind == "date_histogram"
            and group.field == self.body.sync_field
            and "fixed_interval" in group.specification
        ]
        return max(widths, default=None)

    def _count(self, slices: Sequence[tuple[int, int]], upper: int) -> list[Slice]:
        if not slices:
            return []
        ranges = [{"key": str(at), "from": lower, "to": end} for at, (lower, end) in enumerate(slices)]
        counts = {
            "date_range": {
                "field": self.body.sync_field,
                "format": "epoch_millis",
                "keyed": True,
                "ranges": ranges,
            }
        }
        request = search(self.body, [], lower=slices[0][0], upper=upper, aggregations={_COUNTS: counts})
        buckets = self._search(request)["aggregations"][_COUNTS]["buckets"]
        return [Slice(*bounds, buckets[str(at)]["doc_count"]) for at, bounds in enumerate(slices)]

    # -- pages -------------------------------------------------------------------------------------------

    def _page_writer(self, running: Running) -> Iterator[None]:
        return self._all_groups(running) if running.lower is None else self._changed_groups(running)

    def _all_groups(self, running: Running) -> Iterator[None]:
        """Every group there is; while a page is written, the next one is searched."""
        answer = self._groups(running, running.position, None).result()
        while True:
            buckets, following = answer
            ahead = self._groups(running, following, None) if following is not None else None
            self._write(running, buckets)
            if following is None or ahead is None:
                return
            self._move(following)
            yield
            answer = ahead.result()

    def _changed_groups(self, running: Running) -> Iterator[None]:
        """Groups that have documents in the checkpoint's bounds, each from all its documents."""
        after = running.position
        while True:
            named, following = self._groups(running, after, None, compute=False).result()
            keys = [bucket["key"] for bucket in named]
            if keys:
                changed = {frozen(key) for key in keys}
                position: Key | None = None
                while True:
                    buckets, position = self._groups(running, position, keys).result()
                    complete_ones = [one for one in buckets if frozen(one["key"]) in changed]
                    self._write(running, complete_ones)
                    if position is None:
                        break
            if following is None:
                return
            after = following
            self._move(after)
            yield

    def _groups(
        self, running: Running, after: Key | None, only: Sequence[Key] | None, *, compute: bool = True
    ) -> Future[tuple[list[dict[str, Any]], Key | None]]:
        """One page of groups, and the key to go on after; None after the last page."""
        lower = running.lower if not compute else None
        upper = running.upper if self.body.sync_field is not None else None

        def page() -> tuple[list[dict[str, Any]], Key | None]:
            while True:
                size = self._page_size
                request = groups_search(
                    self.body, size=size, lower=lower, upper=upper, after=after, only=only, compute=compute
                )
                answer = self._search(request, smaller_may_do=True)
                if answer is not None:
                    break
                self._page_size = max(_SMALLEST_PAGE_SIZE, size // 2)
            groups = answer["aggregations"][GROUPS]
            buckets = groups["buckets"]
            last = len(buckets) < size and not self._drops_buckets()
            return buckets, None if last else groups.get("after_key")

        return self._threads.submit(page)

    def _drops_buckets(self) -> bool:
        """Whether a page can be short without being the last."""
        pivot = self.body.pivot
        return pivot is not None and any(one.kind == "bucket_selector" for one in pivot.aggregations)

    def _search(self, request: Mapping[str, Any], *, smaller_may_do: bool = False) -> Any:
        """Run a search; None where a smaller page may succeed."""
        header = {
            "index": ",".join(self.body.indices),
            # Counts and groups must come from the same copies of the shards, and from all of them: the
            # reasons are in checkpoint.py.
            "preference": f"httpmon-{self.body.identifier}",
            "allow_partial_search_results": False,
        }
        answer = self._engine.msearch([(header, request)])[0]
        if "error" in answer:
            told = json.dumps(answer["error"])
            if (
                smaller_may_do
                and self._page_size > _SMALLEST_PAGE_SIZE
                and any(one in told for one in _TOO_LARGE)
            ):
                return None
            if answer["error"].get("type") == "index_not_found_exception":
                raise SourceMissing(
                    f"transform {self.body.identifier}: source {header['index']}: there is no such index"
                )
        raise_for_error(f"transform {self.body.identifier}: search", answer, where=self._engine.url)
        return answer

    # -- writing -----------------------------------------------------------------------------------------

    def _write(self, running: Running, buckets: Sequence[Mapping[str, Any]]) -> None:
        types = self._destination_types()
        names = [group.name for group in self.body.grouped.groups]
        lines = bytearray()
        for bucket in buckets:
            key = {name: bucket["key"][name] for name in names}
            document = pivot_document(self.body.grouped, bucket, types, self.body.settings)
            action = {"_id": document_id(key), "version": running.upper, "version_type": "external_gte"}
            lines += json.dumps({"index": action}, separators=(",", ":")).encode() + b"\n"
            lines += json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
            if len(lines) >= _BULK_BYTES:
                self._bulk(bytes(lines))
                lines.clear()
        if lines:
            self._bulk(bytes(lines))
        self._hold(
            progressed(
                self.state,
                pages_processed=1,
                documents_processed=sum(bucket["doc_count"] for bucket in buckets),
                documents_indexed=len(buckets),
            )
        )

    def _bulk(self, lines: bytes) -> None:
        params: dict[str, str] = {"filter_path": "errors,items.*.status,items.*.error"}
        if self.body.pipeline is not None:
            params["pipeline"] = self.body.pipeline
        answer = self._engine.bulk(lines, target=self.body.destination, params=params)
        if not answer["errors"]:
            return
        for item in answer["items"]:
            outcome = item["index"]
            if "error" not in outcome or outcome["status"] == 409:
                continue  # 409: a newer checkpoint's document stands there, of another process
            told = outcome["error"].get("reason", "no reason given")
            cause = (outcome["error"].get("caused_by") or {}).get("reason")
            message = f"transform {self.body.identifier}: {self.body.destination} refuses a document: {told}"
            message += f": {cause}" if cause else ""
            if outcome["status"] in (429, 502, 503, 504):
                raise EngineUnreachable(message)
            raise DestinationRefused(message)

    def _destination_types(self) -> dict[str, str]:
        if self._types is None:
            try:
                answer = self._engine.request("GET", f"/{self.body.destination}/_mapping")
            except NotFound:
                raise DestinationRefused(
                    f"transform {self.body.identifier}: destination {self.body.destination} does not exist; "
                    "run httpmon provision"
                ) from None
            self._types = {}
            for index in answer.values():
                self._types |= flat_types(index["mappings"].get("properties") or {})
        return self._types

    # -- state -------------------------------------------------------------------------------------------

    def _move(self, position: Key) -> None:
        state = moved(self.state, position)
        if time.monotonic() - self._saved_at >= POSITION_SAVE_SECONDS:
            self._save(state)
        else:
            self._hold(state)

    def _hold(self, state: State) -> None:
        """Take a state over without storing it: a crash repeats what led to it."""
        self.stored = self.stored._replace(state=state)

    def _save(self, state: State) -> None:
        self.stored = self._store.save(self.body.identifier, state, self.stored)
        self._saved_at = time.monotonic()


def flat_types(properties: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """The type of each field of a mapping's ``properties``, by dotted name."""
    types: dict[str, str] = {}
    for name, value in properties.items():
        if "properties" in value:
            types |= flat_types(value["properties"], f"{prefix}{name}.")
        elif "type" in value:
            types[prefix + name] = value["type"]
    return types
