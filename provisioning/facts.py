"""Facts: what is in the cluster of that which httpmon makes. Only reads; the plan works on its result.

An installation's objects are found by the prefix of their names, so that what bears such a name without being
httpmon's is seen too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.capabilities import Capabilities
from engine.client import Engine
from engine.errors import NotFound, NotPermitted, RequestRefused
from provisioning.names import Names

# The kinds of objects as they lie in a cluster: an executor's transforms and watches are of its own kind.
FoundKind = Literal[
    "role",
    "lifecycle_policy",
    "component_template",
    "pipeline",
    "index_template",
    "data_stream",
    "index",
    "transform",
    "watch",
    "scheduled_transform",
    "scheduled_watch",
    "query",
]

# More objects of one kind than an installation can sensibly have; a search answers at most 10,000.
_MOST_OBJECTS = 1000
# So many connections are opened at most; a cluster answers each question in a few milliseconds.
_QUESTIONS_AT_ONCE = 4
_GENERATION = re.compile(r"-(\d{6,})$")


@dataclass(frozen=True, slots=True)
class Found:
    """One object as it is in the cluster.

    Attributes:
        body: as the cluster shows it, httpmon's mark included.
        state: what is no part of the body. Data stream: ``lifecycle``, where it has one. Index: ``aliases``,
            and ``oldest_ms`` (its oldest bucket) while it has more than one version. Transform: ``state``
            (``started``, ``stopped``, ``failed``, ...), ``reason``, ``checkpoint`` (the last complete one),
            ``upper_ms`` (ingest time up to which it has seen everything), ``progress`` (percent of a first
            pass), ``enabled``. Watch: ``active``.
    """

    body: Mapping[str, Any]
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found.

    Attributes:
        objects: by kind and name.
        roles_out_of_reach: why roles can neither be seen nor made; "" if they can.
    """

    objects: Mapping[FoundKind, Mapping[str, Found]]
    roles_out_of_reach: str = ""

    def of_kind(self, kind: FoundKind) -> Mapping[str, Found]:
        """The objects of one kind by name."""
        return self.objects.get(kind, {})


def gather_facts(engine: Engine, names: Names) -> Facts:
    """Ask the cluster, several things at once. Raises what ``Engine.request`` raises."""
    capabilities = engine.capabilities()
    pattern = f"{names.prefix}-*"
    with ThreadPoolExecutor(_QUESTIONS_AT_ONCE) as pool:
        # What others wait for, and what takes longest, is asked first.
        asked_indices = pool.submit(_indices, engine, names)
        asked_native = pool.submit(_native, engine, capabilities, pattern)
        asked: dict[FoundKind, Future[dict[str, Found]]] = {
            "query": pool.submit(_stored_queries, engine, f"{names.prefix}-"),
            "component_template": pool.submit(_templates, engine, "component_template", pattern),
            "pipeline": pool.submit(_pipelines, engine, pattern),
            "index_template": pool.submit(_templates, engine, "index_template", pattern),
        }
        if capabilities.index_lifecycle:
            asked["lifecycle_policy"] = pool.submit(_policies, engine, pattern)
        asked_roles = pool.submit(_roles_or_obstacle, engine, capabilities, names.role(""))
        indices = asked_indices.result()
        streams = read_data_streams(indices)
        asked["data_stream"] = pool.submit(_with_lifecycle, engine, capabilities, streams)
        asked["index"] = pool.submit(_with_oldest, engine, read_indices(indices))
        asked["scheduled_transform"] = pool.submit(
            _scheduled_transforms, engine, names.transform_store, indices
        )
        asked["scheduled_watch"] = pool.submit(_scheduled_watches, engine, names.watch_store, indices)
        objects: dict[FoundKind, Mapping[str, Found]] = {
            kind: answer.result() for kind, answer in asked.items()
        }
        objects |= asked_native.result()
        roles, obstacle = asked_roles.result()
    return Facts(objects | {"role": roles}, obstacle)


def _templates(engine: Engine, kind: str, pattern: str) -> dict[str, Found]:
    try:
        answer = engine.request("GET", f"/_{kind}/{pattern}")
    except NotFound:  # what OpenSearch says of a pattern that matches nothing depends on its version
        return {}
    return {one["name"]: Found(one[kind]) for one in answer[f"{kind}s"]}


def _pipelines(engine: Engine, pattern: str) -> dict[str, Found]:
    try:
        answer: Mapping[str, Any] = engine.request("GET", f"/_ingest/pipeline/{pattern}")
    except NotFound:
        return {}
    return {name: Found(body) for name, body in answer.items()}


def _security_obstacle(engine: Engine, capabilities: Capabilities) -> str:
    """Why roles can neither be seen nor made; "" if they can."""
    off = "security is switched off in this cluster"
    if not capabilities.security:
        return off
    try:
        answer = engine.request(
            "POST", "/_security/user/_has_privileges", body={"cluster": ["manage_security"]}
        )
    except NotPermitted:
        raise
    except RequestRefused:  # no such path
        return off
    if answer["has_all_requested"]:
        return ""
    return "only who has the cluster privilege manage_security can see and make roles"


def _roles_or_obstacle(
    engine: Engine, capabilities: Capabilities, prefix: str
) -> tuple[dict[str, Found], str]:
    if capabilities.flavour != "elasticsearch":
        return {}, ""
    obstacle = _security_obstacle(engine, capabilities)
    if obstacle:
        return {}, obstacle
    answer: Mapping[str, Any] = engine.request("GET", "/_security/role")
    return {name: Found(body) for name, body in answer.items() if name.startswith(prefix)}, ""


def _policies(engine: Engine, pattern: str) -> dict[str, Found]:
    answer: Mapping[str, Any] = engine.request("GET", f"/_ilm/policy/{pattern}")
    return {name: Found({"policy": one["policy"]}) for name, one in answer.items()}


def _stored_queries(engine: Engine, prefix: str) -> dict[str, Found]:
    # Stored scripts can be listed nowhere else.
    answer = engine.request(
        "GET", "/_cluster/state/metadata", params={"filter_path": "metadata.stored_scripts"}
    )
    scripts: Mapping[str, Any] = answer.get("metadata", {}).get("stored_scripts") or {}
    return {
        name: Found({"script": {"lang": one["lang"], "source": one["source"]}})
        for name, one in scripts.items()
        if name.startswith(prefix) and one["lang"] == "mustache"
    }


def _indices(engine: Engine, names: Names) -> Mapping[str, Any]:
    targets = f"{names.prefix}-*,.{names.prefix}-*,{names.raw},{names.dead}"
    answer: Mapping[str, Any] = engine.request(
        "GET", f"/{targets}", params={"expand_wildcards": "all", "ignore_unavailable": True}
    )
    return answer


def read_indices(answer: Mapping[str, Any]) -> dict[str, Found]:
    """The plain indices in the answer to ``GET /<index>,...``."""
    return {
        name: Found(
            {"settings": one.get("settings", {}), "mappings": one.get("mappings", {})},
            {"aliases": sorted(one.get("aliases", {}))},
        )
        for name, one in answer.items()
        if "data_stream" not in one
    }


def read_data_streams(answer: Mapping[str, Any]) -> dict[str, Found]:
    """The data streams in the answer to ``GET /<index>,...``, each as its newest backing index is."""
    newest: dict[str, tuple[int, Found]] = {}
    for name, one in answer.items():
        match = _GENERATION.search(name)
        if "data_stream" not in one or match is None:
            continue
        generation = int(match[1])
        body = {"settings": one.get("settings", {}), "mappings": one.get("mappings", {})}
        if generation > newest.get(one["data_stream"], (0, None))[0]:
            newest[one["data_stream"]] = (generation, Found(body))
    return {stream: found for stream, (_, found) in newest.items()}


def _with_lifecycle(
    engine: Engine, capabilities: Capabilities, streams: dict[str, Found]
) -> dict[str, Found]:
    if not streams or not capabilities.data_stream_lifecycle:
        return streams
    answer = engine.request("GET", f"/_data_stream/{','.join(streams)}")
    lifecycles = {one["name"]: one.get("lifecycle") for one in answer["data_streams"]}
    return {name: Found(found.body, {"lifecycle": lifecycles.get(name)}) for name, found in streams.items()}


def _with_oldest(engine: Engine, indices: dict[str, Found]) -> dict[str, Found]:
    """Look up the oldest bucket of indices that exist in several versions: a replacement is under way."""
    versions: dict[str, list[str]] = {}
    for name in indices:
        match = _GENERATION.search(name)
        if match is not None:
            versions.setdefault(name[: match.start()], []).append(name)
    several = [name for group in versions.values() if len(group) > 1 for name in group]
    query = {"size": 0, "aggs": {"oldest": {"min": {"field": "@timestamp"}}}}
    answers = engine.msearch([({"index": name}, query) for name in several]) if several else []
    for name, answer in zip(several, answers, strict=True):
        oldest = answer.get("aggregations", {}).get("oldest", {}).get("value")
        indices[name] = Found(indices[name].body, {**indices[name].state, "oldest_ms": oldest})
    return indices


def _native(engine: Engine, capabilities: Capabilities, pattern: str) -> dict[FoundKind, dict[str, Found]]:
    found: dict[FoundKind, dict[str, Found]] = {"transform": {}, "watch": {}}
    if capabilities.transforms:
        size = {"size": _MOST_OBJECTS, "allow_no_match": True}
        configurations = engine.request("GET", f"/_transform/{pattern}", params=size)
        statistics = engine.request("GET", f"/_transform/{pattern}/_stats", params=size)
        found["transform"] = read_transforms(configurations, statistics)
    if capabilities.watcher:
        answer = engine.request("POST", "/_watcher/_query/watches", body={"size": _MOST_OBJECTS})
        found["watch"] = read_watches(answer)
    return found


def read_transforms(configurations: Mapping[str, Any], statistics: Mapping[str, Any]) -> dict[str, Found]:
    """The answers to ``GET _transform/...`` and ``GET _transform/.../_stats``, put together."""
    states = {one["id"]: one for one in statistics["transforms"]}
    return {
        one["id"]: Found(one, _transform_state(states.get(one["id"], {})))
        for one in configurations["transforms"]
    }


def _transform_state(statistics: Mapping[str, Any]) -> dict[str, Any]:
    checkpointing = statistics.get("checkpointing", {})
    last = checkpointing.get("last", {})
    progress = checkpointing.get("next", {}).get("checkpoint_progress", {})
    return {
        "state": statistics.get("state", "stopped"),
        "reason": statistics.get("reason", ""),
        "health": statistics.get("health", {}).get("status", "unknown"),
        "checkpoint": last.get("checkpoint", 0),
        "upper_ms": last.get("time_upper_bound_millis"),
        "last_search_ms": checkpointing.get("last_search_time"),
        "progress": progress.get("percent_complete"),
        "enabled": True,
    }


def read_watches(answer: Mapping[str, Any]) -> dict[str, Found]:
    """The answer to ``POST _watcher/_query/watches``."""
    return {one["_id"]: Found(one["watch"], _watch_state(one.get("status", {}))) for one in answer["watches"]}


def _watch_state(status: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "active": status.get("state", {}).get("active", True),
        "last_checked": status.get("last_checked"),
        "execution_state": status.get("execution_state"),
    }


def _stored(engine: Engine, store: str, indices: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if store not in indices:
        return []
    query = {"size": _MOST_OBJECTS, "_source": {"excludes": ["slices", "running"]}}
    try:
        answer = engine.request("POST", f"/{store}/_search", body=query)
    except NotFound:  # removed since it was listed
        return []
    return [hit["_source"] for hit in answer["hits"]["hits"]]


def _definitions(documents: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {one["id"]: one for one in documents if one.get("type") == "definition"}


def _scheduled_transforms(engine: Engine, store: str, indices: Mapping[str, Any]) -> dict[str, Found]:
    documents = _stored(engine, store, indices)
    states = {one["id"]: one for one in documents if one.get("type") == "state"}
    found = {}
    for name, definition in _definitions(documents).items():
        state = states.get(name, {})
        found[name] = Found(
            definition.get("body", {}),
            {
                "state": state.get("status", "started"),
                "reason": state.get("reason", ""),
                "checkpoint": state.get("checkpoint", 0),
                "upper_ms": state.get("upper"),
                "enabled": definition.get("enabled", True),
            },
        )
    return found


def _scheduled_watches(engine: Engine, store: str, indices: Mapping[str, Any]) -> dict[str, Found]:
    documents = _stored(engine, store, indices)
    statuses = {one["id"]: one for one in documents if one.get("type") == "status"}
    return {
        name: Found(
            definition.get("body", {}),
            {"active": definition.get("active", True), "status": statuses.get(name, {})},
        )
        for name, definition in _definitions(documents).items()
    }
