"""Compares summaries with what they were made of, group by group, and writes again what differs.

Both executors' summaries are compared and repaired in the same way, by computing groups as the executor
does: a repaired document has the id that either of them gives it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from engine.client import Engine
from engine.errors import NotFound, NotProvisioned
from provisioning.names import Names
from provisioning.retention import Retention
from provisioning.settings import duration_seconds
from scheduler.transforms.body import GroupSource, TransformBody
from scheduler.transforms.control import Control
from scheduler.transforms.destination import Destination
from scheduler.transforms.documents import document_maker
from scheduler.transforms.identifiers import document_id
from scheduler.transforms.parsing import parse_body
from scheduler.transforms.pivot import Key
from scheduler.transforms.source import Page, Source

_HOUR_MILLISECONDS = 3_600_000
# The date of summaries, their group's key, by which the compared time is chosen.
_DATE = "@timestamp"
_STAMP = "event.ingested"
# The audit's document in the index of operations; `httpmon status` reads it.
AUDIT_ID = "audit"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of one summary that is not what its source says.

    Attributes:
        transform: the transform's id.
        group: the group's key, in words.
        field: the dotted field; ``document`` where one of the two has no document.
        source: what the source says; None without a document.
        summary: what the summary says; None without a document.
    """

    transform: str
    group: str
    field: str
    source: Any
    summary: Any


@dataclass(frozen=True, slots=True)
class Audit:
    """What was compared: groups, those that differ, and every difference of theirs."""

    groups: int
    differing: int
    differences: tuple[Difference, ...]
    repaired: bool


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

    What a transform has not seen yet is no difference: groups with newer documents are left out. So is time
    whose source may have expired.

    Args:
        engine: the cluster.
        control: of the executor in charge.
        retention: how long the sources are kept.
        start: from when on; rounded down to the transform's buckets.
        end: until when; rounded up.
        repair: write what the source says where it differs.

    Raises:
        NotProvisioned: there is no transform.
        EngineError: the engine cannot answer or refuses.
    """
    bodies = control.bodies()
    if not bodies:
        # Elsewhere than was meant, "none differs" would be taken for a good sign.
        raise NotProvisioned(f"{engine.url} has no transforms of this namespace: run httpmon provision")
    now = int(engine.now().timestamp() * 1000)
    uppers = {status.identifier: status.upper for status in control.statuses()}
    elasticsearch = engine.capabilities().flavour == "elasticsearch"
    groups = differing = 0
    differences: list[Difference] = []
    for identifier, content in bodies.items():
        body = parse_body(identifier, content, elasticsearch=elasticsearch)
        upper = uppers.get(identifier)
        bucket = _bucket_of(body)
        if bucket is None or upper is None:
            continue
        first = max(_milliseconds(start), _source_begins(retention, now))
        first -= first % bucket.longest_milliseconds
        comparison = _Comparison(engine, body, bucket, upper, repair)
        step = max(_HOUR_MILLISECONDS, bucket.longest_milliseconds)
        at = first
        while at < _milliseconds(end):
            # Up to the next whole hour, so that no bucket is cut.
            until = min(at - at % step + step, _up(_milliseconds(end), bucket.longest_milliseconds))
            compared, found = comparison.compare(at, until)
            groups += compared
            differing += len({one.group for one in found})
            differences += found
            at = until
    return Audit(groups, differing, tuple(differences), repair)


def record(engine: Engine, names: Names, audit: Audit, start: datetime, end: datetime) -> bool:
    """Keep the audit as the last one; whether there is a place for it."""
    document = {
        "@timestamp": engine.now().isoformat(),
        "event": {"kind": "event", "action": "audited", "dataset": "httpmon.operations"},
        "message": summary_line(audit),
        "httpmon": {
            "audit": {
                "from": start.isoformat(),
                "to": end.isoformat(),
                "groups": audit.groups,
                "differing": audit.differing,
                "repaired": audit.repaired,
            }
        },
    }
    params = {"refresh": "true", "require_alias": "true"}
    try:
        engine.request("PUT", f"/{names.operations}/_doc/{AUDIT_ID}", body=document, params=params)
    except NotFound:
        return False
    return True


def summary_line(audit: Audit) -> str:
    """The audit in one line."""
    if not audit.differing:
        return f"{audit.groups:,} summaries compared, none differs"
    done = "repaired" if audit.repaired else "not repaired"
    return f"{audit.groups:,} summaries compared, {audit.differing:,} differ, {done}"


class _Comparison:
    """One transform's source and destination, and the upper bound up to which they must agree."""

    def __init__(
        self, engine: Engine, body: TransformBody, bucket: GroupSource, upper: int, repair: bool
    ) -> None:
        self._body = body
        self._bucket = bucket
        self._upper = upper
        self._repair = repair
        self._source = Source(engine, body)
        self._destination = Destination(engine, body, self._source)

    def compare(self, start: int, end: int) -> tuple[int, list[Difference]]:
        """The number of groups in ``[start, end)``, and how they differ."""
        within = [{"range": {self._bucket.field: {"gte": start, "lt": end, "format": "epoch_millis"}}}]
        document_of = document_maker(self._body, self._destination.types())
        found = {one.identifier: one for one in self._destination.documents(_DATE, start, end)}
        expected: dict[str, dict[str, Any]] = {}
        for page in self._pages(within):
            for bucket in page.buckets:
                expected[document_id(bucket["key"])] = document_of(bucket)
        # Asked last: so whatever was summarised since the upper bound was read is among them.
        newer = {
            document_id(bucket["key"])
            for page in self._pages(within, lower=self._upper)
            for bucket in page.buckets
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
        return len(compared), differences

    def _pages(self, within: list[dict[str, Any]], *, lower: int | None = None) -> Iterator[Page]:
        after: Key | None = None
        while True:
            # With a lower bound only the names of the groups that have newer documents.
            page = self._source.page(
                lower=lower,
                upper=self._upper if lower is None else None,
                after=after,
                compute=lower is None,
                within=within,
            )
            yield page
            after = page.following
            if after is None:
                return


def _bucket_of(body: TransformBody) -> GroupSource | None:
    """What ``@timestamp`` is made of; None where nothing is, or where another date is grouped by besides."""
    dates = [group for group in body.grouping.groups if group.kind == "date_histogram"]
    fits = len(dates) == 1 and dates[0].name == _DATE and dates[0].field and body.sync_field is not None
    return dates[0] if fits and "fixed_interval" in dates[0].specification else None


def _source_begins(retention: Retention, now: int) -> int:
    """From when on the sources are surely whole; an hour more, for the buckets that are longest."""
    if retention.raw is None:
        return 0
    kept = min(duration_seconds(one) for one in (retention.raw, retention.summaries) if one is not None)
    return int(now - kept * 1000) + 2 * _HOUR_MILLISECONDS


def _differing(source: Mapping[str, Any] | None, summary: Mapping[str, Any] | None) -> Iterator[Any]:
    if source is None or summary is None:
        yield "document", None if source is None else "there", None if summary is None else "there"
        return
    said, written = _flat(source), _flat(summary)
    for field, value in said.items():
        # When it was computed differs each time; see templates/transforms/_stamp.json.j2.
        if field != _STAMP and written.get(field) != value:
            yield field, value, written.get(field)


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


def _milliseconds(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp() * 1000)


def _up(value: int, step: int) -> int:
    return -(-value // step) * step
