"""Parses and checks a ``_transform`` body: what this executor runs, and why it refuses the rest. Pure.

What is refused is what Elasticsearch refuses (probed on 8.10.4), and what this executor does not do; nothing
is left out in silence. Names and limits are those of Elasticsearch's reference of the create-transform API.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from scheduler.transforms.body import (
    NEWEST,
    Grouping,
    GroupSource,
    Latest,
    Retention,
    RunSettings,
    TransformBody,
)
from scheduler.transforms.checks import Checks
from scheduler.transforms.pivot_parsing import PivotParser

_KNOWN = {"source", "dest", "frequency", "sync", "pivot", "latest", "settings", "retention_policy"}
# The last three are what Elasticsearch adds: bodies that it gives back are parsed too.
_KNOWN |= {"_meta", "description", "id", "version", "create_time"}
_SETTINGS_KNOWN = {
    "max_page_search_size",
    "docs_per_second",
    "align_checkpoints",
    "dates_as_epoch_millis",
    "deduce_mappings",
    "unattended",
}
_LONGEST_DESCRIPTION = 1000
# By the reference of the create-index API.
_NO_INDEX_HAS = frozenset(' "*\\<|,>/?#:')
_NO_INDEX_BEGINS = ("-", "_", "+")


def parse_body(identifier: str, body: Mapping[str, Any], *, elasticsearch: bool = False) -> TransformBody:
    """Parse and check a ``_transform`` body.

    Args:
        identifier: the transform's id, for messages.
        body: as it is sent to ``PUT _transform/<id>``.
        elasticsearch: whether the engine is Elasticsearch, which has runtime fields and ``top_metrics``.

    Raises:
        UnsupportedTransform: with the place in the body and the reason.
    """
    return _Parser(identifier, elasticsearch=elasticsearch).parse(body)


class _Parser(Checks):
    """Parses everything but a pivot."""

    def __init__(self, identifier: str, *, elasticsearch: bool) -> None:
        super().__init__(identifier)
        self._elasticsearch = elasticsearch

    def parse(self, body: Mapping[str, Any]) -> TransformBody:
        content = self.object(dict(body), "body", _KNOWN)
        self.optional_object(content, "_meta", "_meta")
        description = content.get("description", "")
        if not isinstance(description, str) or len(description) > _LONGEST_DESCRIPTION:
            raise self.refusal("description", f"must be a text of at most {_LONGEST_DESCRIPTION} characters")
        source = self.object(content.get("source"), "source", {"index", "query", "runtime_mappings"})
        indices = self._indices(source.get("index"))
        query = self.query(source["query"], "source.query") if "query" in source else {"match_all": {}}
        runtime_mappings = self.optional_object(source, "runtime_mappings", "source.runtime_mappings") or {}
        if runtime_mappings and not self._elasticsearch:
            raise self.refusal("source.runtime_mappings", "this engine has no runtime fields")
        destination, pipeline = self._destination(content.get("dest"), indices)
        if ("pivot" in content) == ("latest" in content):
            raise self.refusal("body", "needs exactly one of pivot and latest")
        latest = self._latest(content["latest"]) if "latest" in content else None
        if latest is None:
            grouping = PivotParser(self.identifier, elasticsearch=self._elasticsearch).parse(content["pivot"])
        else:
            grouping = _latest_grouping(latest)
        frequency = self.milliseconds(content.get("frequency", "1m"), "frequency", 1000, 3_600_000)
        sync_field, delay = self._sync(content)
        deciding = {key: content.get(key) for key in ("source", "dest", "pivot", "latest")}
        deciding["sync_field"] = sync_field
        return TransformBody(
            identifier=self.identifier,
            indices=indices,
            query=query,
            runtime_mappings=runtime_mappings,
            destination=destination,
            pipeline=pipeline,
            frequency_seconds=frequency / 1000,
            sync_field=sync_field,
            delay_milliseconds=int(delay),
            grouping=grouping,
            latest=latest,
            retention=self._retention(content),
            settings=self._settings(content),
            checksum=hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:16],
        )

    def _indices(self, value: Any) -> tuple[str, ...]:
        indices = [value] if isinstance(value, str) else value
        if not isinstance(indices, list) or not indices:
            raise self.refusal("source.index", "must name an index")
        return tuple(self.text(index, "source.index") for index in indices)

    def _destination(self, value: Any, indices: tuple[str, ...]) -> tuple[str, str | None]:
        content = self.object(value, "dest", {"index", "pipeline"})
        name = self.text(content.get("index"), "dest.index")
        wrong = sorted(_NO_INDEX_HAS & set(name))
        if wrong or name != name.lower() or name.startswith(_NO_INDEX_BEGINS):
            reason = f"it has {' '.join(wrong)!r}" if wrong else "lower case, and none of - _ + at the start"
            raise self.refusal("dest.index", f"{name!r} is no name of an index: {reason}")
        sources = [index for index in indices if not index.startswith("-")]
        left_out = [index[1:] for index in indices if index.startswith("-")]
        for index in sources:
            if fnmatchcase(name, index) and not any(fnmatchcase(name, other) for other in left_out):
                reason = f"{name} is part of the source {index}: a transform cannot read what it writes"
                raise self.refusal("dest.index", reason)
        pipeline = content.get("pipeline")
        return name, self.text(pipeline, "dest.pipeline") if "pipeline" in content else None

    def _sync(self, content: dict[str, Any]) -> tuple[str | None, float]:
        sync = self.optional_object(content, "sync", "sync", {"time"})
        if sync is None:
            return None, 0
        time = self.object(sync.get("time"), "sync.time", {"field", "delay"})
        delay = self.milliseconds(time.get("delay", "60s"), "sync.time.delay")
        return self.text(time.get("field"), "sync.time.field"), delay

    def _retention(self, content: dict[str, Any]) -> Retention | None:
        policy = self.optional_object(content, "retention_policy", "retention_policy", {"time"})
        if policy is None:
            return None
        time = self.object(policy.get("time"), "retention_policy.time", {"field", "max_age"})
        max_age = time.get("max_age")
        self.milliseconds(max_age, "retention_policy.time.max_age", 60_000)
        return Retention(self.text(time.get("field"), "retention_policy.time.field"), str(max_age))

    def _settings(self, content: dict[str, Any]) -> RunSettings:
        settings = self.optional_object(content, "settings", "settings", _SETTINGS_KNOWN) or {}
        page_size: int | None = None
        if "max_page_search_size" in settings:
            place = "settings.max_page_search_size"
            size = self.number(settings["max_page_search_size"], place)
            if not (10 <= size <= 65_536):
                raise self.refusal(place, f"{size:g} must be 10 to 65536")
            page_size = int(size)
        per_second: float | None = None
        if settings.get("docs_per_second") is not None:
            place = "settings.docs_per_second"
            per_second = self.number(settings["docs_per_second"], place)
            if per_second <= 0:
                raise self.refusal(place, f"{per_second:g} must be above 0: leave it out for no limit")
        return RunSettings(
            page_size,
            per_second,
            self.flag(settings, "align_checkpoints", "settings", default=True),
            self.flag(settings, "dates_as_epoch_millis", "settings", default=False),
            self.flag(settings, "deduce_mappings", "settings", default=True),
            self.flag(settings, "unattended", "settings", default=False),
        )

    def _latest(self, value: Any) -> Latest:
        latest = self.object(value, "latest", {"unique_key", "sort"})
        keys = latest.get("unique_key")
        keys = [keys] if isinstance(keys, str) else keys
        if not isinstance(keys, list) or not keys:
            raise self.refusal("latest.unique_key", "must be a list of fields")
        names = tuple(self.text(key, "latest.unique_key") for key in keys)
        if len(set(names)) < len(names):
            raise self.refusal("latest.unique_key", "names a field twice")
        return Latest(names, self.text(latest.get("sort"), "latest.sort"))


def _latest_grouping(latest: Latest) -> Grouping:
    groups = tuple(
        GroupSource(name, "terms", {"field": name, "missing_bucket": True}) for name in latest.unique_key
    )
    newest = {"top_hits": {"size": 1, "sort": [{latest.sort: {"order": "desc"}}]}}
    return Grouping(groups, (), {NEWEST: newest})
