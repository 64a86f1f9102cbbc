"""How the tests of parsing send lines to the real pipeline and read back what it made of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine.capabilities import Capabilities
from engine.client import Engine
from provisioning.rendering import render_all
from provisioning.settings import Settings

_PATHS = {"component_template": "_component_template", "pipeline": "_ingest/pipeline"}
# The same in every document, or known only when it arrives.
_CONSTANT = (
    "ecs.version",
    "data_stream.",
    "event.dataset",
    "event.ingested",
    "event.original",
    "httpmon.bucket_middle",
    "httpmon.lag",
)
_OF_A_HIT = {"event.kind": "event", "event.category": ["web"], "event.type": ["access"]}


def install_access(engine: Engine, settings: Settings, capabilities: Capabilities | None = None) -> None:
    """Install the data stream's templates and every ingest pipeline; nothing else of the pack.

    ``capabilities`` has them rendered for another engine than the one they are installed in.
    """
    rendered = [
        one
        for one in render_all(settings, capabilities or engine.capabilities())
        if one.kind in _PATHS or (one.kind == "index_template" and one.stem == "access")
    ]
    for one in sorted(rendered, key=lambda one: one.kind == "index_template"):
        engine.request("PUT", f"/{_PATHS.get(one.kind, '_index_template')}/{one.name}", body=one.body)


def simulated(engine: Engine, settings: Settings, pipeline: str, sent: Sequence[Any]) -> list[dict[str, Any]]:
    """What a pipeline makes of documents, without indexing them."""
    docs = [{"_index": settings.names.raw, "_source": document} for document in sent]
    path = f"/_ingest/pipeline/{settings.names.of(pipeline)}/_simulate"
    return [answer["doc"]["_source"] for answer in engine.request("POST", path, body={"docs": docs})["docs"]]


def indexed(
    engine: Engine, settings: Settings, sent: Sequence[Any], pipeline: str | None = None
) -> list[dict[str, Any]]:
    """What is in the data stream once the documents were sent in one bulk request; none may be refused."""
    params = {"refresh": "true"} | ({"pipeline": settings.names.of(pipeline)} if pipeline else {})
    answer = engine.bulk(bulk_body(sent), target=settings.names.raw, params=params)
    refused = [item["create"]["error"] for item in answer["items"] if "error" in item["create"]]
    assert refused == []
    found = engine.request(
        "POST", f"/{settings.names.raw}/_search", body={"size": len(sent), "query": {"match_all": {}}}
    )
    documents = {hit["_id"]: hit["_source"] for hit in found["hits"]["hits"]}
    return [documents[str(number)] for number in range(len(sent))]


def bulk_body(documents: Iterable[Any]) -> bytes:
    """A bulk request that creates each document under its place as id."""
    lines = []
    for number, document in enumerate(documents):
        lines += [json.dumps({"create": {"_id": str(number)}}), json.dumps(document)]
    return ("\n".join(lines) + "\n").encode()


def flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A document with dotted names."""
    fields: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            fields |= flat(value, f"{prefix}{name}.")
        else:
            fields[prefix + name] = value
    return fields


def essence(document: Mapping[str, Any]) -> dict[str, Any]:
    """What is particular to a document: with dotted names, without what every one of its kind has."""
    fields = {name: value for name, value in flat(document).items() if not name.startswith(_CONSTANT)}
    if fields["event.kind"] == "event":
        for name, value in _OF_A_HIT.items():
            assert fields.pop(name) == value
    else:
        assert fields.pop("@timestamp") == flat(document)["event.ingested"]
    return fields
