"""Removes what is too old from data streams, where the engine does not do it itself.

What is removed are whole indices: a data stream goes on in a new one from time to time, and an index goes
when the one after it is as old as the retention, for all of its documents came before that. The retention
stands in the data stream's index template, as provisioning wrote it; there alone, so that a scheduler with
other settings than those that were provisioned removes nothing.
"""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from engine.client import Engine
from engine.errors import NotFound
from provisioning.names import Names
from provisioning.settings import duration_seconds
from provisioning.stamp import read_stamp

_log = logging.getLogger("httpmon.scheduler")

_GENERATION = re.compile(r"-(\d{6,})$")


@dataclass(frozen=True, slots=True)
class Policy:
    """The retention of one data stream.

    Attributes:
        stream: the data stream.
        after: how long an index is kept after the next one was made.
        rollover: how old the newest index becomes before the next one is made.
    """

    stream: str
    after: timedelta
    rollover: timedelta


@dataclass(frozen=True, slots=True)
class BackingIndex:
    """One index of a data stream: its name, its number, and when it was made."""

    name: str
    generation: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done about one data stream: the indices to delete, and whether to go on in a new one."""

    delete: tuple[str, ...] = ()
    roll_over: bool = False


def due(policy: Policy, indices: Iterable[BackingIndex], now: datetime, seen: datetime | None) -> Due:
    """What a policy asks for at ``now``, by the engine's clock.

    Args:
        policy: the retention.
        indices: those of the data stream.
        now: the present instant.
        seen: the instant of arrival up to which every transform has seen the documents; None while that is
            unknown. What a transform has not seen is not removed, however old it is: its hits would be lost.
    """
    ordered = sorted(indices, key=lambda one: one.generation)
    if not ordered:
        return Due()
    expired = tuple(
        one.name
        for one, successor in itertools.pairwise(ordered)
        if successor.created_at + policy.after <= now and seen is not None and seen >= successor.created_at
    )
    return Due(expired, ordered[-1].created_at + policy.rollover <= now)


def policies(answer: Mapping[str, Any], namespace: str) -> list[Policy]:
    """The retentions in the answer to ``GET /_index_template/<pattern>`` that this installation wrote."""
    found = []
    for one in answer["index_templates"]:
        template = one["index_template"]
        stamp = read_stamp("index_template", template)
        retention = template.get("_meta", {}).get("retention")
        if stamp is None or stamp.namespace != namespace or retention is None:
            continue
        after, rollover = (
            timedelta(seconds=duration_seconds(retention[key])) for key in ("after", "rollover")
        )
        found += [Policy(stream, after, rollover) for stream in template["index_patterns"]]
    return found


def backing_indices(answer: Mapping[str, Any]) -> list[BackingIndex]:
    """The indices in the answer to ``GET /<data stream>``."""
    found = []
    for name, one in answer.items():
        match = _GENERATION.search(name)
        if match is not None and "data_stream" in one:
            created = int(one["settings"]["index"]["creation_date"]) / 1000
            found.append(BackingIndex(name, int(match[1]), datetime.fromtimestamp(created).astimezone()))
    return found


class RetentionService:
    """Sees to the retention of one installation's data streams, by calls of ``turn``."""

    def __init__(self, engine: Engine, names: Names) -> None:
        self._engine = engine
        self._names = names

    def turn(self, uppers: Sequence[datetime | None], now: datetime | None = None) -> list[str]:
        """Do what is due; what was done, for the log.

        Args:
            uppers: up to which instant of arrival each transform has come, None for one that has not begun.
            now: the present instant; the engine's clock if None.

        Raises:
            EngineError: the engine does not answer; call again later.
        """
        try:
            templates = self._engine.request("GET", f"/_index_template/{self._names.prefix}-*")
        except NotFound:
            return []
        found = policies(templates, self._names.namespace)
        if not found:
            return []
        now = now or self._engine.now()
        known = [upper for upper in uppers if upper is not None]
        seen = min(known) if known and len(known) == len(uppers) else None
        done: list[str] = []
        for policy in found:
            done += self._apply(policy, now, seen)
        return done

    def _apply(self, policy: Policy, now: datetime, seen: datetime | None) -> list[str]:
        try:
            answer = self._engine.request("GET", f"/{policy.stream}", params={"expand_wildcards": "all"})
        except NotFound:
            return []
        what = due(policy, backing_indices(answer), now, seen)
        done = []
        if what.roll_over:
            # An index without documents stays the newest one; of two schedulers that do this at once, the
            # second finds the new index empty.
            rolled = self._engine.request(
                "POST", f"/{policy.stream}/_rollover", body={"conditions": {"max_docs": 1}}
            )
            if rolled["rolled_over"]:
                done.append(f"{policy.stream} goes on in {rolled['new_index']}")
        for name in what.delete:
            try:
                self._engine.request("DELETE", f"/{name}")
            except NotFound:  # another scheduler was first
                continue
            done.append(f"removed {name}: its documents are older than the retention")
        return done
