"""Executes one transform page by page: begins checkpoints, has groups written, keeps the state."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import Any

from engine.client import Engine
from scheduler.transforms.acceptance import require_accepted
from scheduler.transforms.body import TransformBody
from scheduler.transforms.checkpoint import (
    Running,
    State,
    after_clock_step,
    begin,
    complete,
    failed,
    many_documents,
    moved,
    progressed,
    slices_to_count,
    upper_bound,
)
from scheduler.transforms.destination import Destination
from scheduler.transforms.documents import document_maker
from scheduler.transforms.pivot import Key, frozen
from scheduler.transforms.source import Page, Source
from scheduler.transforms.store import Stored, TransformStore

# A state that only moved its upper bound is written this rarely: losing it costs an empty search.
_IDLE_SAVE_SECONDS = 5.0
# Checkpoints of no more than this are those of every second. What waits for their summaries gives them the
# second in which the engine makes them visible by itself; a refresh for each would cost a core's percent.
_WATCHED_MILLISECONDS = 2000
# A long checkpoint's position is written this rarely: losing it costs the pages since.
_POSITION_SAVE_SECONDS = 2.0
# One bulk request after the other would leave a core idle.
_WRITES_AT_ONCE = 2
# Expired summaries are removed this rarely; the shortest age that a policy may have is 60 s.
_EXPIRE_SECONDS = 10.0


class TransformRunner:
    """One transform between two pages: its body, its state, the checkpoint under way."""

    def __init__(self, engine: Engine, store: TransformStore, body: TransformBody, threads: Executor) -> None:
        self.body = body
        self._engine = engine
        self._store = store
        self._threads = threads
        self._source = Source(engine, body)
        self._destination = Destination(engine, body, self._source)
        self._saved_at = self._expired_at = 0.0
        self._accepted = False
        self._pages: Iterator[None] | None = None
        self._document_of: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None
        self._stored = self._load()

    @property
    def state(self) -> State:
        """The state as of the last page."""
        return self._stored.state

    def _load(self) -> Stored:
        stored = self._store.load(self.body.identifier)
        if stored.state.checksum == self.body.checksum:
            # A new attempt at what failed is what a restart, or being started again, is for.
            retried = replace(stored.state, status="started")
            return stored._replace(state=retried) if stored.state.status == "failed" else stored
        # The body says something else than when this was written: every group must be computed again.
        return stored._replace(state=State(checksum=self.body.checksum))

    def step(self, now: int) -> bool:
        """Begin a checkpoint, or write one page of the one under way; whether there is more to do.

        ``now`` is the engine's clock in epoch milliseconds. Raises what the engine raises, DestinationRefused
        and SourceMissing; another ``step`` goes on from the last page written.
        """
        if not self._accepted:
            require_accepted(self._engine, self.body)
            self._accepted = True
        if self.state.running is None:
            self._begin(now)
        if self.state.running is None:
            self._expire(now)
            return False
        if self._pages is None:
            self._pages = self._page_writer(self.state.running)
        try:
            next(self._pages)
        except StopIteration:
            self._pages = None
            self._expire(now)
            lower, upper = self.state.running.lower, self.state.running.upper
            if lower is None or upper - lower > _WATCHED_MILLISECONDS:
                # Runs that are made up for wait for nothing else, and would read what is not visible yet.
                self._destination.refresh()
            self._save(complete(self.state, now, finished=self.body.sync_field is None))
            return False
        except BaseException:
            self._pages = None
            raise
        return True

    def pause_seconds(self, documents: int) -> float:
        """How long to rest after reading so many documents, by ``docs_per_second``."""
        per_second = self.body.settings.documents_per_second
        return documents / per_second if per_second else 0.0

    def fail(self, reason: str, *, for_good: bool, store: bool) -> None:
        """Note that an attempt failed; in the engine, too, if ``store``."""
        # The next attempt asks first, and so tells the place, of what was not to be seen without documents.
        self._accepted = False
        state = failed(self.state, reason, for_good=for_good)
        self._hold(state)
        if store:
            self._save(state)

    def _begin(self, now: int) -> None:
        upper = upper_bound(now, self.body.delay_milliseconds, self._whole_buckets())
        state = after_clock_step(self.state, upper)
        if state is None:
            return
        slices = slices_to_count(state, upper) if self.body.sync_field is not None else []
        counted = self._source.count(slices)
        total = self._source.extent(upper if slices else None).total if state.upper is None else None
        following = begin(state, upper, counted, total)
        if following.running is not None or time.monotonic() - self._saved_at >= _IDLE_SAVE_SECONDS:
            self._save(following)
        else:
            self._hold(following)

    def _whole_buckets(self) -> int | None:
        """The width to which checkpoints are aligned, where the grouped date is what they go by."""
        widths = [
            group.longest_milliseconds
            for group in self.body.grouping.groups
            if group.kind == "date_histogram"
            and group.field == self.body.sync_field
            and "fixed_interval" in group.specification
        ]
        return max(widths, default=None) if self.body.settings.align_checkpoints else None

    # -- pages -------------------------------------------------------------------------------------------

    def _page_writer(self, running: Running) -> Iterator[None]:
        upper = running.upper if self.body.sync_field is not None else None
        if running.lower is None:
            pages = self._source.all_pages(upper, running.position, self._threads)
            return self._whole_pages(pages, running.version)
        if many_documents(running):
            changed = self._source.changed_pages(running.lower, upper, running.position, self._threads)
            if changed is not None:
                return self._whole_pages(changed, running.version)
        return self._changed_groups(running, running.lower, upper)

    def _whole_pages(self, pages: Iterator[Page], version: int) -> Iterator[None]:
        """Write pages of complete groups: while one is converted, the next are searched, others written.

        So five pages at most are in memory. The state goes past a page only when the engine has
        acknowledged it and those before it; what else was under way when a page fails is written again.
        """
        # Asked for while the first page is searched.
        types = self._threads.submit(self._destination.types)
        written: deque[tuple[Future[None], Page]] = deque()
        for page in pages:
            types.result()
            bodies = self._bulk_bodies(page.buckets, version)
            if len(written) == _WRITES_AT_ONCE:
                self._acknowledged(*written.popleft())
            written.append((self._threads.submit(self._destination.send, bodies), page))
            yield
        while written:
            self._acknowledged(*written.popleft())

    def _acknowledged(self, writing: Future[None], page: Page) -> None:
        writing.result()
        self._hold(_with_page(self.state, page.buckets))
        if page.following is not None:
            self._move(page.following)

    def _changed_groups(self, running: Running, lower: int, upper: int | None) -> Iterator[None]:
        """Groups that have documents in the checkpoint's bounds, each from all its documents."""
        after = running.position
        while True:
            named = self._source.page(lower=lower, upper=upper, after=after, compute=False)
            self._recompute([bucket["key"] for bucket in named.buckets], running.version, upper)
            if named.following is None:
                return
            after = named.following
            self._move(after)
            yield

    def _recompute(self, keys: Sequence[Key], version: int, upper: int | None) -> None:
        if not keys:
            return
        changed = {frozen(key) for key in keys}
        position: Key | None = None
        while True:
            page = self._source.page(upper=upper, after=position, only=keys)
            # The search reads some documents of other groups, but not all of them.
            self._write([bucket for bucket in page.buckets if frozen(bucket["key"]) in changed], version)
            position = page.following
            if position is None:
                return

    def _write(self, buckets: Sequence[Mapping[str, Any]], version: int) -> None:
        self._destination.send(self._bulk_bodies(buckets, version))
        self._hold(_with_page(self.state, buckets))

    def _bulk_bodies(self, buckets: Sequence[Mapping[str, Any]], version: int) -> list[bytes]:
        if self._document_of is None:
            self._document_of = document_maker(self.body, self._destination.types())
        document_of = self._document_of
        pairs = ((bucket["key"], document_of(bucket)) for bucket in buckets)
        return self._destination.bulk_bodies(pairs, version)

    def _expire(self, now: int) -> None:
        if self.body.retention is None or time.monotonic() - self._expired_at < _EXPIRE_SECONDS:
            return
        self._expired_at = time.monotonic()
        self._hold(progressed(self.state, documents_deleted=self._destination.expire(now)))

    # -- state -------------------------------------------------------------------------------------------

    def _move(self, position: Key) -> None:
        state = moved(self.state, position)
        if time.monotonic() - self._saved_at >= _POSITION_SAVE_SECONDS:
            self._save(state)
        else:
            self._hold(state)

    def _hold(self, state: State) -> None:
        """Take a state over without storing it: a crash repeats what led to it."""
        self._stored = self._stored._replace(state=state)

    def _save(self, state: State) -> None:
        self._stored = self._store.save(self.body.identifier, state, self._stored)
        self._saved_at = time.monotonic()


def _with_page(state: State, buckets: Sequence[Mapping[str, Any]]) -> State:
    """The state after a page of groups is written."""
    return progressed(
        state,
        pages_processed=1,
        documents_processed=sum(bucket["doc_count"] for bucket in buckets),
        documents_indexed=len(buckets),
    )
