"""Writes a transform's documents by bulk: ids made of the group keys, the version that of the checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from engine.client import Engine
from engine.errors import EngineUnreachable, NotFound, RequestRefused, SchedulerError
from scheduler.transforms.body import TransformBody, time_value_milliseconds
from scheduler.transforms.deduction import deduced_mappings, deduced_types, flat_types
from scheduler.transforms.identifiers import document_id
from scheduler.transforms.source import Source

# Made once: json.dumps makes an encoder for each document.
_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
_BULK_BYTES = 8_000_000
_BUSY = frozenset({429, 502, 503, 504})


class DestinationRefused(SchedulerError):
    """The destination does not take a document; repeating would not help."""


class Found(NamedTuple):
    """A document as it was found, and where it stands in its index's history."""

    identifier: str
    source: dict[str, Any]
    sequence_number: int
    primary_term: int


def require_pipeline(engine: Engine, body: TransformBody) -> None:
    """Raise DestinationRefused if documents are to pass an ingest pipeline that is not there."""
    if body.pipeline is None:
        return
    try:
        engine.request("GET", f"/_ingest/pipeline/{body.pipeline}")
    except NotFound:
        reason = f"dest.pipeline: there is no pipeline {body.pipeline}"
        raise DestinationRefused(f"transform {body.identifier}: {reason}") from None


class Destination:
    """The destination of one transform; made with deduced mappings where it is missing."""

    def __init__(self, engine: Engine, body: TransformBody, source: Source) -> None:
        self._engine = engine
        self._body = body
        self._source = source
        self._types: dict[str, str] | None = None

    def types(self, *, create: bool = True) -> dict[str, str]:
        """The type of each field, by dotted name; they decide how numbers are written.

        Of a destination that is missing, those that it would have; it is made unless ``create`` is False.
        """
        if self._types is None:
            try:
                answer = self._engine.request("GET", f"/{self._body.destination}/_mapping")
            except NotFound:
                if not create:
                    return self._deduced()
                self._types = self._create()
            else:
                self._types = {}
                for index in answer.values():
                    self._types |= flat_types(index["mappings"].get("properties") or {})
        return self._types

    def _deduced(self) -> dict[str, str]:
        if self._body.latest is None and self._body.settings.deduce_mappings:
            return deduced_types(self._body.grouping, self._source.types())
        return {}

    def _create(self) -> dict[str, str]:
        types = self._deduced()
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

    def bulk_bodies(
        self, documents: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]], version: int
    ) -> list[bytes]:
        """The bodies of bulk requests that write (group key, document) pairs.

        Raises:
            DestinationRefused: a group has no id.
        """
        bodies: list[bytes] = []
        lines = bytearray()
        for key, document in documents:
            try:
                identifier = document_id(key)
            except ValueError as error:
                raise DestinationRefused(f"transform {self._body.identifier}: {error}") from None
            action = f'{{"index":{{"_id":"{identifier}","version":{version},"version_type":"external_gte"}}}}'
            lines += f"{action}\n{_JSON.encode(document)}\n".encode()
            if len(lines) >= _BULK_BYTES:
                bodies.append(bytes(lines))
                lines.clear()
        return [*bodies, bytes(lines)] if lines else bodies

    def send(self, bodies: Iterable[bytes]) -> None:
        """Write what ``bulk_bodies`` made; what stands there in a greater version stays.

        Raises:
            DestinationRefused: a document is refused for good.
            EngineUnreachable: the engine is overloaded; what was written may be written again.
        """
        for body in bodies:
            self._bulk(body)

    def refresh(self) -> None:
        """Make visible what was written."""
        path = f"/{self._body.destination}/_refresh"
        self._engine.request("POST", path, params={"ignore_unavailable": True})

    def documents(
        self, field: str, start: int, end: int, filters: Sequence[Mapping[str, Any]] = ()
    ) -> Iterator[Found]:
        """The documents whose date ``field`` is in ``[start, end)``, epoch milliseconds; none if missing."""
        # By all parts of the group's key, which no two documents share, so that no page leaves one out.
        names = [group.name for group in self._body.grouping.groups]
        request: dict[str, Any] = {
            "size": 5000,
            "track_total_hits": False,
            "seq_no_primary_term": True,
            "query": _dated(field, start, end, filters),
            "sort": [{name: {"order": "asc", "unmapped_type": "keyword"}} for name in names],
        }
        self.refresh()
        while True:
            hits = self._hits(request)
            for hit in hits:
                yield Found(hit["_id"], hit["_source"], hit["_seq_no"], hit["_primary_term"])
            if len(hits) < request["size"]:
                return
            request["search_after"] = hits[-1]["sort"]

    def first_date(
        self, field: str, start: int, end: int, filters: Sequence[Mapping[str, Any]] = ()
    ) -> int | None:
        """The first date ``field`` of the documents that ``documents`` gives; None if it gives none."""
        request: dict[str, Any] = {
            "size": 1,
            "_source": False,
            "query": _dated(field, start, end, filters),
            "sort": [{field: {"order": "asc", "unmapped_type": "date"}}],
        }
        return next((int(hit["sort"][0]) for hit in self._hits(request)), None)

    def _hits(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        path = f"/{self._body.destination}/_search"
        # Part of the documents would be taken for all of them.
        params = {"ignore_unavailable": "true", "allow_partial_search_results": "false"}
        answer = self._engine.request("POST", path, body=request, params=params)
        hits: list[dict[str, Any]] = answer["hits"]["hits"]
        return hits

    def put_right(self, documents: Iterable[tuple[str, Mapping[str, Any] | None, Found | None]]) -> None:
        """Write (id, document as it should be, document as it was found); nothing instead of one removes it.

        What somebody wrote since it was found stays. The version goes up by one, so that the next checkpoint,
        whose upper bound is later, still overwrites it. A document that is stamped by what computed it, as
        ``parsing = logstash`` has it, is stamped anew: transforms of hours look for what was written lately.
        """
        now = None if self._body.pipeline is not None else self._engine.now().isoformat()
        lines = bytearray()
        for identifier, document, found in documents:
            action: dict[str, Any] = {"_id": identifier}
            if found is not None:
                action |= {"if_seq_no": found.sequence_number, "if_primary_term": found.primary_term}
            kind = "delete" if document is None else "create" if found is None else "index"
            lines += json.dumps({kind: action}).encode() + b"\n"
            if document is not None:
                if now is not None and "ingested" in document.get("event", {}):
                    document = {**document, "event": {**document["event"], "ingested": now}}
                lines += json.dumps(document, ensure_ascii=False).encode() + b"\n"
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
            outcome = next(iter(item.values()))
            if "error" not in outcome or outcome["status"] == 409:
                continue  # 409: a newer document stands there, of another process
            told = outcome["error"].get("reason", "no reason given")
            cause = (outcome["error"].get("caused_by") or {}).get("reason")
            message = f"transform {self._body.identifier}: {self._body.destination} refuses a document: "
            message += f"{told}: {cause}" if cause and cause not in told else told
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


def _dated(field: str, start: int, end: int, filters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    dates = {"range": {field: {"gte": start, "lt": end, "format": "epoch_millis"}}}
    return {"bool": {"filter": [dates, *filters]}}
