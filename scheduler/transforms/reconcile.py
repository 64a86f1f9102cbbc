"""Compares summaries with what they were made of, group by group, and writes again what differs.

Both executors' summaries are compared and repaired in the same way, by computing groups as the executor
does: a repaired document has the id that either of them gives it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from engine.client import Engine
from engine.errors import NotPermitted, NotProvisioned, RequestRefused, SchedulerError
from provisioning.retention import Retention
from provisioning.settings import duration_seconds
from scheduler.transforms.audit import Audit, Compared, Difference, audit_of
from scheduler.transforms.body import GroupSource, TransformBody
from scheduler.transforms.control import Control, TransformStatus
from scheduler.transforms.destination import Destination
from scheduler.transforms.documents import document_maker
from scheduler.transforms.identifiers import document_id
from scheduler.transforms.parsing import parse_body
from scheduler.transforms.pivot import Key
from scheduler.transforms.source import Page, Source, SourceMissing

_HOUR_MILLISECONDS = 3_600_000
# An audit takes a while, in which what it reads must not expire.
_MARGIN_MILLISECONDS = 600_000
# The date of summaries, their group's key, by which the compared time is chosen.
_DATE = "@timestamp"
_STAMP = "event.ingested"
_VERSION = r"(-\d{6})?"
# A transform that looks for new documents is behind by its delay and two looks at most; and may be busy.
_BEHIND_SECONDS = 60.0


def reconcile(
    engine: Engine,
    control: Control,
    retention: Retention,
    start: datetime,
    end: datetime,
    *,
    repair: bool = False,
) -> Audit:
    """Compare the summaries of ``[start, end)`` of every transform that groups by ``@timestamp``.

    What a transform that runs is about to count is no difference: groups with newer documents are left out,
    and counted. Of one that does not run, or never did, all that its source has is compared. Time whose
    source may have expired is left out, and told.

    Args:
        engine: the cluster.
        control: of the executor in charge.
        retention: how long the sources are kept.
        start: from when on; rounded down to the transform's buckets.
        end: until when; rounded up.
        repair: write what the source says where it differs.

    Raises:
        NotProvisioned: there is no transform.
        EngineError: the engine cannot answer or lets nobody in.
    """
    contents = control.bodies()
    if not contents:
        # Elsewhere than was meant, "none differs" would be taken for a good sign.
        raise NotProvisioned(f"{engine.url} has no transforms of this namespace: run httpmon provision")
    now = int(engine.now().timestamp() * 1000)
    standings = {status.identifier: status for status in control.statuses()}
    transforms: list[Compared] = []
    differences: list[Difference] = []
    bodies: list[TransformBody] = []
    elasticsearch = engine.capabilities().flavour == "elasticsearch"
    for identifier, content in contents.items():
        if (content.get("_meta") or {}).get("only_expires"):
            continue  # it writes no summaries
        try:
            bodies.append(parse_body(identifier, content, elasticsearch=elasticsearch))
        except SchedulerError as error:
            transforms.append(Compared(identifier, obstacle=_told(identifier, error), trouble=True))
    # What is made of raw documents first: what is made of summaries is compared with those as repaired.
    for body in sorted(bodies, key=lambda body: _reads_summaries(body, bodies)):
        comparison = _Comparison(engine, body, bodies, standings.get(body.identifier), repair=repair)
        kept = retention.summaries if _reads_summaries(body, bodies) else retention.raw
        whole_since = 0 if kept is None else int(now - duration_seconds(kept) * 1000)
        compared, found = comparison.run(_milliseconds(start), _milliseconds(end), whole_since)
        transforms.append(compared)
        differences += found
    transforms.sort(key=lambda one: one.transform)
    differences.sort(key=lambda one: one.transform)  # stable: groups stay in the order of their time
    return audit_of(differences, transforms, repaired=repair)


class _Comparison:
    """One transform's source and destination, and up to which document they must agree."""

    def __init__(
        self,
        engine: Engine,
        body: TransformBody,
        bodies: Sequence[TransformBody],
        status: TransformStatus | None,
        *,
        repair: bool,
    ) -> None:
        self._body = body
        self._repair = repair
        self._source = Source(engine, body)
        self._destination = Destination(engine, body, self._source)
        self._standing = _standing(body, status)
        # Of one that does not run, whatever there is: nobody is about to count it.
        self._upper = status.upper if status is not None and not self._standing else None
        self._read: list[dict[str, Any]] = []
        self._written = _own_documents(body, bodies)

    def run(self, start: int, end: int, whole_since: int) -> tuple[Compared, list[Difference]]:
        """What is compared of ``[start, end)``, and the differences; the source is whole from a time on."""
        dates = _dates_of(self._body)
        if dates is None:
            reason = "it runs once, or groups otherwise than by even @timestamp"
            return Compared(self._body.identifier, obstacle=reason), []
        bucket, arrival = dates
        since = None
        if whole_since and arrival is not None:
            # All lines of a span of arrival are there as long as those that came first are.
            whole_since = _up(whole_since + _MARGIN_MILLISECONDS, arrival.longest_milliseconds)
            self._read.append(_from(arrival.field or "", whole_since))
            self._written.append(_from(arrival.name, whole_since))
            since = f"what arrived from {_instant(whole_since)} on"
        elif whole_since + 2 * _HOUR_MILLISECONDS > start and whole_since:
            # Two hours, so that the longest bucket is whole.
            start = whole_since + 2 * _HOUR_MILLISECONDS
            start -= start % bucket.longest_milliseconds
            since = f"from {_instant(start)} on"
        result = Compared(self._body.identifier, since=since, standing=self._standing)
        found: list[Difference] = []
        try:
            for groups, differing, unseen, differences in self._windows(bucket, start, end):
                found += differences
                result = replace(
                    result,
                    groups=result.groups + groups,
                    differing=result.differing + differing,
                    unseen=result.unseen + unseen,
                )
        except SourceMissing as error:
            result = replace(result, obstacle=_told(self._body.identifier, error))
        except NotPermitted:
            raise
        except (SchedulerError, RequestRefused) as error:
            result = replace(result, obstacle=_told(self._body.identifier, error), trouble=True)
        return result, found

    def _windows(
        self, bucket: GroupSource, start: int, end: int
    ) -> Iterator[tuple[int, int, int, list[Difference]]]:
        """Compare an hour, or a longer bucket, at a time; from an empty one to the next that is not."""
        step = max(_HOUR_MILLISECONDS, bucket.longest_milliseconds)
        end = _up(end, bucket.longest_milliseconds)
        at = start - start % bucket.longest_milliseconds
        while at < end:
            # Up to the next whole hour, so that no bucket is cut.
            until = min(at - at % step + step, end)
            done = self._compare(bucket, at, until)
            yield done
            groups, _, unseen, _ = done
            at = until if groups or unseen else self._next(bucket, until, end)
        if self._repair:
            self._destination.refresh()

    def _next(self, bucket: GroupSource, start: int, end: int) -> int:
        """The bucket in ``[start, end)`` where source or destination have something; ``end`` if none has."""
        within = [*self._read, _between(bucket.field or "", start, end)]
        dates = (
            self._source.first_date(bucket.field or "", within),
            self._destination.first_date(_DATE, start, end, self._written),
        )
        first = max(start, min((date for date in dates if date is not None), default=end))
        return first - first % bucket.longest_milliseconds

    def _compare(self, bucket: GroupSource, start: int, end: int) -> tuple[int, int, int, list[Difference]]:
        """How many groups of ``[start, end)`` were compared, differ, were left out; and the differences."""
        within = [*self._read, _between(bucket.field or "", start, end)]
        document_of = document_maker(self._body, self._destination.types(create=self._repair))
        documents = self._destination.documents(_DATE, start, end, self._written)
        found = {one.identifier: one for one in documents}
        expected: dict[str, dict[str, Any]] = {}
        for page in self._pages(within, upper=self._upper):
            for one in page.buckets:
                expected[document_id(one["key"])] = document_of(one)
        newer: set[str] = set()
        if self._upper is not None:
            # Asked last: so whatever was summarised since the upper bound was read is among them.
            newer = {
                document_id(one["key"])
                for page in self._pages(within, lower=self._upper, compute=False)
                for one in page.buckets
            }
        wrong = []
        differences: list[Difference] = []
        compared = (expected.keys() | found.keys()) - newer
        for identifier in sorted(compared):
            document, written = expected.get(identifier), found.get(identifier)
            differing = list(_differing(document, written.source if written is not None else None))
            if differing:
                wrong.append((identifier, document, written))
                group = _in_words(self._body, document or (written.source if written is not None else {}))
                differences += [Difference(self._body.identifier, group, *one) for one in differing]
        if self._repair:
            self._destination.put_right(wrong)
        differences.sort(key=lambda one: one.group)
        return len(compared), len(wrong), len(newer), differences

    def _pages(
        self,
        within: Sequence[Mapping[str, Any]],
        *,
        lower: int | None = None,
        upper: int | None = None,
        compute: bool = True,
    ) -> Iterator[Page]:
        after: Key | None = None
        while True:
            page = self._source.page(lower=lower, upper=upper, after=after, compute=compute, within=within)
            yield page
            after = page.following
            if after is None:
                return


def _standing(body: TransformBody, status: TransformStatus | None) -> str:
    """Why a transform cannot be up to date; "" if it can, but for what it is about to count."""
    if status is None or status.state in ("stopped", "failed"):
        state = "does not run" if status is None else "failed" if status.state == "failed" else "is stopped"
        seen = status.upper if status is not None else None
        return (
            f"{state}, and never ran"
            if seen is None
            else f"{state}, and saw what came before {_instant(seen)}"
        )
    if status.upper is None:
        done = "" if status.progress is None else f", {status.progress:.0f} % done"
        return f"reads what there is{done}" if done else "never ran (is its executor running?)"
    limit = _BEHIND_SECONDS + body.delay_milliseconds / 1000 + 2 * body.frequency_seconds
    if status.lag_seconds is not None and status.lag_seconds > limit:
        return f"is {status.lag_seconds:,.0f} s behind (is its executor running?)"
    return ""


def _dates_of(body: TransformBody) -> tuple[GroupSource, GroupSource | None] | None:
    """What ``@timestamp`` is made of, and the span of arrival that is grouped by besides.

    None where nothing is, or where another date is grouped by besides.
    """
    dates = [group for group in body.grouping.groups if group.kind == "date_histogram"]
    buckets = [group for group in dates if group.name == _DATE]
    others = [group for group in dates if group.name != _DATE]
    even = all(group.field and "fixed_interval" in group.specification for group in dates)
    arrival = all(group.field == body.sync_field for group in others) and len(others) <= 1
    if body.sync_field is None or not buckets or not even or not arrival:
        return None
    return buckets[0], others[0] if others else None


def _own_documents(body: TransformBody, bodies: Sequence[TransformBody]) -> list[dict[str, Any]]:
    """Filters of a destination's documents that leave out those of other transforms that write there.

    Late lines are counted among the hours: what tells the documents apart is which names their keys have.
    """
    names = {group.name for group in body.grouping.groups}
    filters: list[dict[str, Any]] = []
    for other in bodies:
        if other.destination != body.destination or other.identifier == body.identifier:
            continue
        others = {group.name for group in other.grouping.groups}
        own = [one.name for one in body.grouping.groups if one.name not in others and not one.missing_bucket]
        filters += [{"exists": {"field": name}} for name in own]
        foreign = [{"exists": {"field": name}} for name in sorted(others - names)]
        if foreign:
            filters.append({"bool": {"must_not": {"bool": {"filter": foreign}}}})
    return filters


def _reads_summaries(body: TransformBody, bodies: Sequence[TransformBody]) -> bool:
    """Whether its source is what another transform writes."""
    return any(
        re.fullmatch(re.escape(index) + _VERSION, other.destination)
        for index in body.indices
        for other in bodies
        if other.identifier != body.identifier
    )


def _between(field: str, start: int, end: int) -> dict[str, Any]:
    return {"range": {field: {"gte": start, "lt": end, "format": "epoch_millis"}}}


def _from(field: str, start: int) -> dict[str, Any]:
    return {"range": {field: {"gte": start, "format": "epoch_millis"}}}


def _differing(source: Mapping[str, Any] | None, summary: Mapping[str, Any] | None) -> Iterator[Any]:
    if source is None or summary is None:
        yield "document", _there(source), _there(summary)
        return
    said, written = _flat(source), _flat(summary)
    for field, value in said.items():
        # When it was computed differs each time; see templates/transforms/_stamp.json.j2.
        if field != _STAMP and written.get(field) != value:
            yield field, value, written.get(field)


def _there(document: Mapping[str, Any] | None) -> str | None:
    if document is None:
        return None
    hits = _flat(document).get("httpmon.hits")
    return "there" if hits is None else f"{hits:,} hit{'' if hits == 1 else 's'}"


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict) and value:
            fields |= _flat(value, f"{prefix}{name}.")
        else:
            fields[prefix + name] = value
    return fields


def _in_words(body: TransformBody, document: Mapping[str, Any]) -> str:
    fields = _flat(document)
    return " ".join(str(fields.get(group.name)) for group in body.grouping.groups)


def _told(identifier: str, error: Exception) -> str:
    return str(error).removeprefix(f"transform {identifier}: ")


def _milliseconds(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp() * 1000)


def _instant(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S}Z"


def _up(value: int, step: int) -> int:
    return -(-value // step) * step
