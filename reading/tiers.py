"""How summaries of several ages are read together: each hit once, from as few documents as will do."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from reading.buckets import floor_time

HOUR_SECONDS = 3600
# Hours follow their buckets within minutes; before the last full one they are complete.
_RECENT = timedelta(seconds=HOUR_SECONDS)


def tier_cut(end: datetime, recent: timedelta = _RECENT) -> datetime:
    """Up to which moment hours are read, and 10 s buckets from there to ``end``.

    ``recent`` is how much before the end must be there in buckets; an hour at least.
    """
    return floor_time(end - max(recent, _RECENT), HOUR_SECONDS)


def fine_tier(alias: str) -> dict[str, Any]:
    """The query for documents of 10 s buckets, among those of both tiers.

    A tier is known by its index, whose name is the alias with a version of six digits.
    """
    return {"wildcard": {"_index": f"{alias}-0*"}}


def between(start: datetime | None, end: datetime) -> dict[str, Any]:
    """The query for documents of buckets from ``start`` (from the beginning if None) to before ``end``."""
    bounds: dict[str, Any] = {"lt": end.isoformat(), "format": "strict_date_optional_time"}
    if start is not None:
        bounds["gte"] = start.isoformat()
    return {"range": {"@timestamp": bounds}}


def over_tiers(alias: str, start: datetime | None, end: datetime, cut: datetime) -> dict[str, Any]:
    """The query for each hit from ``start`` to before ``end`` once: hours before ``cut``, then buckets."""
    fine = fine_tier(alias)
    return {
        "bool": {
            "should": [
                {"bool": {"filter": [fine, between(cut if start is None else max(start, cut), end)]}},
                {"bool": {"filter": [between(start, min(cut, end))], "must_not": [fine]}},
            ],
            "minimum_should_match": 1,
        }
    }
