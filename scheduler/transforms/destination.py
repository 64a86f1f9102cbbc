"""Writes a transform's documents by bulk: ids made of the group keys, the version that of the checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from engine.client import Engine
from engine.errors import EngineUnreachable, NotFound, RequestRefused, SchedulerError
from scheduler.transforms.body import TransformBody, time_value_milliseconds
from scheduler.transforms.deduction import deduced_mappings, deduced_types, flat_types
from scheduler.transforms.identifiers import document_id
from scheduler.transforms.source import Source

_BULK_BYTES = 8_000_000
_BUSY = frozenset({429, 502, 503, 504})


class DestinationRefused(SchedulerError):
    """The destination does not take a document; repeating would not help."""


class Destination:
    """The destination of one transform; made with deduced mappings where it is missing."""

    def __init__(self, engine: Engine, body: TransformBody, source: Source) -> None:
        self._engine = engine
        self._body = body
        self._source = source
        self._types: dict[str, str] | None = None

    def types(self) -> dict[str, str]:
        """The type of each field, by dotted name; they decide how numbers are written."""
        if self._types is None:
            try:
                answer = self._engine.request("GET", f"/{self._body.destination}/_mapping")
            except NotFound:
                self._types = self._create()
            else:
                self._types = {}
                for index in answer.values():
                    self._types |= flat_types(index["mappings"].get("properties") or {})
        return self._types

    def _create(self) -> dict[str, str]:
        types: dict[str, str] = {}
        if self._body.latest is None and self._body.settings.deduce_mappings:
            types = deduced_types(self._body.grouping, self._source.types())
        opensearch = self._engine.capabilities().flavour == "opensearch"
        body = {
            # As Elasticsearch makes them.
            "settings": {"index": {"number_of_shards": 1, "auto_expand_replicas": "0-1"}},
            "mappings": deduced_mappings(types, flattened="flat_object" if opensearch else "flattened"),
        }
        try:
            self._engine.request("PUT", f"/{self._body.destination}", body=body)
        except RequestRefused as error:
            if error.error_type != "resource_already_exists_exception":
                raise
        return types

    def write(self, documents: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]], version: int) -> None:
        """Write (group key, document) pairs; what stands there in a greater version stays.

        Raises:
            DestinationRefused: a document is refused for good.
            EngineUnreachable: the engine is overloaded; what was written may be written again.
        """
        lines = bytearray()
        for key, document in documents:
            action = {"_id": document_id(key), "version": version, "version_type": "external_gte"}
            lines += json.dumps({"index": action}, separators=(",", ":")).encode() + b"\n"
            lines += json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
            if len(lines) >= _BULK_BYTES:
                self._bulk(bytes(lines))
                lines.clear()
        if lines:
            self._bulk(bytes(lines))

    def _bulk(self, lines: bytes) -> None:
        params: dict[str, str] = {"filter_path": "errors,items.*.status,items.*.error"}
        if self._body.pipeline is not None:
            params["pipeline"] = self._body.pipeline
        answer = self._engine.bulk(lines, target=self._body.destination, params=params)
        if not answer["errors"]:
            return
        for item in answer["items"]:
            outcome = item["index"]
            if "error" not in outcome or outcome["status"] == 409:
                continue  # 409: a newer checkpoint's document stands there, of another process
            told = outcome["error"].get("reason", "no reason given")
            cause = (outcome["error"].get("caused_by") or {}).get("reason")
            message = f"transform {self._body.identifier}: {self._body.destination} refuses a document: "
            message += f"{told}: {cause}" if cause else told
            if outcome["status"] in _BUSY:
                raise EngineUnreachable(message)
            raise DestinationRefused(message)

    def expire(self, now: int) -> int:
        """Remove what the retention policy says is too old at ``now``; the number of documents removed."""
        retention = self._body.retention
        if retention is None:
            return 0
        age = time_value_milliseconds(retention.max_age) or 0
        oldest = {"range": {retention.field: {"lt": int(now - age), "format": "epoch_millis"}}}
        answer = self._engine.request(
            "POST",
            f"/{self._body.destination}/_delete_by_query",
            body={"query": oldest},
            params={"conflicts": "proceed", "ignore_unavailable": True},
        )
        return int(answer["deleted"])
