"""How tests install the transforms and let them run: with a clock of the test's own, so nothing waits."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from engine.capabilities import Capabilities
from engine.client import Engine
from provisioning.rendering import Rendered, render_all
from provisioning.settings import Settings
from scheduler.transforms.service import TransformService
from tests.node.access_log import install_access


class QuickClock:
    """A monotonic clock on which each look is a second after the one before: everything is always due."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def __call__(self) -> float:
        self._seconds += 1.0
        return self._seconds


def install_summaries(
    engine: Engine,
    settings: Settings,
    *,
    delay: str = "0s",
    changes: Mapping[str, Any] | None = None,
    capabilities: Capabilities | None = None,
) -> None:
    """Install the raw data stream, the summary indices and the transforms, as provisioning does.

    Tests that refresh after each write need no delay. ``changes`` are laid over each transform's body;
    ``capabilities`` has all of them rendered for another engine.
    """
    capabilities = capabilities or engine.capabilities()
    install_access(engine, settings, capabilities)
    engine.request("PUT", f"/_data_stream/{settings.names.raw}")
    install_store(engine, settings, "transforms")
    rendered = render_all(settings, capabilities)
    transforms = [one for one in rendered if one.kind == "transform"]
    destinations = {one.body["dest"]["index"] for one in transforms}
    for one in rendered:
        if one.kind == "index" and one.name in destinations:
            body = one.body | {"aliases": {one.name: {}}}
            engine.request("PUT", f"/{one.name}-000001", body=body)
    for one in transforms:
        define(engine, settings, f"{one.name}-000001", _versioned(one, delay) | dict(changes or {}))


def install_store(engine: Engine, settings: Settings, stem: str) -> None:
    """Make one of the scheduler's own indices."""
    for one in render_all(settings, engine.capabilities()):
        if one.kind == "store" and one.stem == stem:
            engine.request("PUT", f"/{one.name}", body=one.body)


def _versioned(transform: Rendered, delay: str) -> dict[str, Any]:
    body = copy.deepcopy(transform.body)
    body["dest"]["index"] += "-000001"
    body["sync"]["time"]["delay"] = delay
    return body


def define(engine: Engine, settings: Settings, identifier: str, body: Mapping[str, Any]) -> None:
    """Store a transform for the scheduler."""
    document = {"type": "definition", "id": identifier, "body": body, "enabled": True, "_meta": {}}
    path = f"/{settings.names.transform_store}/_doc/{identifier}"
    engine.request("PUT", path, body=document, params={"refresh": "true"})


def settle(engine: Engine, service: TransformService, *, ticks: int = 2000) -> None:
    """Tick until every transform has passed the present instant."""
    present = engine.now()
    for _ in range(ticks):
        for result in service.tick():
            assert result.outcome != "failed", result
        uppers = service.uppers().values()
        if uppers and all(upper is not None and upper > present for upper in uppers):
            return
    raise AssertionError(f"not settled after {ticks} ticks: {service.uppers()}")


def settle_tiers(engine: Engine, settings: Settings, service: TransformService) -> None:
    """Until the 10 s summaries are there and the hours made of them, too."""
    settle(engine, service)
    engine.request("POST", f"/{settings.names.prefix}-*/_refresh")
    settle(engine, service)


def send_lines(
    engine: Engine, settings: Settings, lines: Sequence[str], *, first: int = 0, refresh: bool = True
) -> None:
    """Send log lines as a shipper does, each under its number as id, and make them visible."""
    body = "".join(
        f'{{"create":{{"_id":"{number}"}}}}\n{json.dumps({"event": {"original": line}})}\n'
        for number, line in enumerate(lines, start=first)
    )
    engine.bulk(body.encode(), target=settings.names.raw, params={"refresh": refresh})


def summaries(engine: Engine, alias: str) -> list[dict[str, Any]]:
    """Every document behind an alias, by its own order of times."""
    engine.request("POST", f"/{alias}/_refresh")
    found: list[dict[str, Any]] = []
    after: list[Any] | None = None
    while True:
        body: dict[str, Any] = {"size": 5000, "sort": [{"@timestamp": "asc"}, {"_doc": "asc"}]}
        if after is not None:
            body["search_after"] = after
        hits = engine.request("POST", f"/{alias}/_search", body=body)["hits"]["hits"]
        if not hits:
            return found
        found += [hit["_source"] for hit in hits]
        after = hits[-1]["sort"]


def log_line(
    time: datetime, path: str = "/", *, client: str = "192.0.2.1", status: int = 200, size: int = 100
) -> str:
    """One line of a Combined log."""
    stamp = time.astimezone(UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
    return f'{client} - - [{stamp}] "GET {path} HTTP/1.1" {status} {size} "-" "test"'


def totals(documents: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Sums over summaries: hits, bytes and the number of documents."""
    counts = [document["httpmon"] for document in documents]
    return {
        "documents": len(counts),
        "hits": sum(one["hits"] for one in counts),
        "bytes": sum(one["bytes"] for one in counts),
    }
