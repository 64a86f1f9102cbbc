"""The requests that make, change and remove each kind of object. Pure: a request is data.

For transforms and watches there are two ways, one for each executor: the engine's own API, or a definition
document in the scheduler's store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from provisioning.desired import Desired, Wanted
from provisioning.executors import Executor
from provisioning.facts import Found
from provisioning.stamp import MANAGED_BY, Stamp

# Copying documents into a new version of an index takes as long as it takes; the client waits an hour.
_COPY_SECONDS = 3600.0
# How long a transform may take to finish the checkpoint it is in before it is stopped without.
_STOP_TIMEOUT = "30s"

_PATHS: dict[str, str] = {
    "role": "/_security/role",
    "lifecycle_policy": "/_ilm/policy",
    "component_template": "/_component_template",
    "index_template": "/_index_template",
    "pipeline": "/_ingest/pipeline",
    "data_stream": "/_data_stream",
    "query": "/_scripts",
}

# What `_update` of a transform takes (Elasticsearch reference, update transform API); of `source` and `dest`,
# which it takes too, httpmon makes a new version instead, so that old and new numbers never mix.
UPDATABLE = ("description", "frequency", "sync", "settings", "retention_policy", "_meta")


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a plan.

    Attributes:
        method, path, body, params: as ``Engine.request`` takes them.
        accept: statuses of an error answer that mean "it is so already".
        receiver: whom it is sent to.
        timeout_seconds: how long this one may take; None for the setting.
    """

    method: str
    path: str
    body: Mapping[str, Any] | Sequence[Any] | None = None
    params: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    accept: tuple[int, ...] = ()
    timeout_seconds: float | None = None
    receiver: Literal["engine", "kibana"] = "engine"


def put_simple(desired: Desired, wanted: Wanted) -> Request:
    """Make or overwrite an object that is one body under one name."""
    return Request("PUT", f"{_PATHS[wanted.kind]}/{wanted.name}", desired.marked(wanted))


def delete_simple(kind: str, name: str) -> Request:
    """Remove such an object, or a data stream."""
    return Request("DELETE", f"{_PATHS[kind]}/{name}", accept=(404,))


def create_data_stream(name: str) -> Request:
    """Make a data stream, so that its mapping is there before its first document."""
    return Request("PUT", f"/_data_stream/{name}")


def roll_over(data_stream: str) -> Request:
    """Let a data stream go on in a new backing index, made from its template as it is now."""
    return Request("POST", f"/{data_stream}/_rollover")


def create_index(desired: Desired, wanted: Wanted, name: str, *, alias: str | None = None) -> Request:
    """Make an index, with the alias that it is read by unless an older version still has it."""
    body = desired.marked(wanted)
    if alias is not None:
        body["aliases"] = {**body.get("aliases", {}), alias: {"is_write_index": True}}
    return Request("PUT", f"/{name}", body)


def put_lifecycle(data_stream: str, lifecycle: Mapping[str, Any]) -> Request:
    """Give a data stream its lifecycle: how long its documents are kept."""
    return Request("PUT", f"/_data_stream/{data_stream}/_lifecycle", dict(lifecycle))


def delete_lifecycle(data_stream: str) -> Request:
    """Let a data stream keep its documents for ever."""
    return Request("DELETE", f"/_data_stream/{data_stream}/_lifecycle")


def update_settings(name: str, settings: Mapping[str, str | None]) -> Request:
    """Change settings of an open index, or of every index of a data stream; None gives the default back."""
    return Request("PUT", f"/{name}/_settings", dict(settings))


def update_mappings(desired: Desired, wanted: Wanted, name: str) -> Request:
    """Add fields to an index, and write httpmon's mark anew."""
    return Request("PUT", f"/{name}/_mapping", desired.marked(wanted)["mappings"])


def move_alias(alias: str, *, to: str, away_from: tuple[str, ...] = ()) -> Request:
    """Let an alias point to one index, in one step."""
    actions: list[dict[str, Any]] = [
        {"remove": {"index": name, "alias": alias, "must_exist": False}} for name in away_from
    ]
    actions.append({"add": {"index": to, "alias": alias, "is_write_index": True}})
    return Request("POST", "/_aliases", {"actions": actions})


def block_writes(name: str) -> Request:
    """Let nothing be written to an index any more."""
    return Request("PUT", f"/{name}/_settings", {"index.blocks.write": True})


def copy_documents(source: str, destination: str, *, before_ms: float | None = None) -> Request:
    """Copy documents into the next version of an index: all, or those of times before the given one."""
    origin: dict[str, Any] = {"index": source}
    if before_ms is not None:
        before = {"lt": int(before_ms), "format": "epoch_millis"}
        origin["query"] = {"range": {"@timestamp": before}}
    return Request(
        "POST",
        "/_reindex",
        {"source": origin, "dest": {"index": destination, "op_type": "create"}, "conflicts": "proceed"},
        {"refresh": True},
        timeout_seconds=_COPY_SECONDS,
    )


def delete_index(name: str) -> Request:
    """Remove an index and its documents."""
    return Request("DELETE", f"/{name}", accept=(404,))


def create_transform(
    desired: Desired, executor: Executor, wanted: Wanted, identifier: str, index: str
) -> list[Request]:
    """Make a transform that writes to ``index``, and start it."""
    body = _transform_body(desired, wanted, index)
    if executor == "scheduler":
        return [_put_definition(desired, wanted, identifier, body, enabled=True)]
    # Validation waits for the start, because a source may be made by the same plan.
    return [
        Request("PUT", f"/_transform/{identifier}", body, {"defer_validation": True}),
        start_transform(identifier),
    ]


def update_transform(
    desired: Desired, executor: Executor, wanted: Wanted, identifier: str, index: str, found: Found
) -> list[Request]:
    """Change what can be changed of a transform that goes on: frequency, delay, description, retention."""
    body = _transform_body(desired, wanted, index)
    if executor == "scheduler":
        enabled = bool(found.state.get("enabled", True))
        return [_put_definition(desired, wanted, identifier, body, enabled=enabled)]
    update = {key: body[key] for key in UPDATABLE if key in body}
    if "retention_policy" in found.body:
        update.setdefault("retention_policy", None)  # no longer in the template: taken away by name
    return [Request("POST", f"/_transform/{identifier}/_update", update)]


def start_transform(identifier: str) -> Request:
    """Start a transform; a started one answers 409, which is as well."""
    return Request("POST", f"/_transform/{identifier}/_start", accept=(409,))


def repair_transform(desired: Desired, executor: Executor, identifier: str) -> list[Request]:
    """Let a failed transform try again from its last checkpoint."""
    if executor == "scheduler":
        anew = {"status": "started", "reason": "", "failures": 0}
        path = f"/{desired.transform_store}/_update/{identifier}:state"
        return [Request("POST", path, {"doc": anew}, {"refresh": True}, accept=(404,))]
    return [stop_transform(identifier, force=True), start_transform(identifier)]


def restart_transform(desired: Desired, executor: Executor, identifier: str) -> list[Request]:
    """Let a transform compute everything anew, because its destination was lost."""
    if executor == "scheduler":
        path = f"/{desired.transform_store}/_doc/{identifier}:state"
        return [Request("DELETE", path, params={"refresh": True}, accept=(404,))]
    return [
        stop_transform(identifier, force=True),
        Request("POST", f"/_transform/{identifier}/_reset", params={"force": True}),
        start_transform(identifier),
    ]


def stop_transform(identifier: str, *, force: bool = False) -> Request:
    """Stop a transform, at its next checkpoint unless forced."""
    params: dict[str, str | bool] = {"wait_for_completion": True, "timeout": _STOP_TIMEOUT}
    params |= {"force": True} if force else {"wait_for_checkpoint": True}
    # 408: it did not reach the checkpoint in time, and stops when it does.
    return Request("POST", f"/_transform/{identifier}/_stop", params=params, accept=(404, 408))


def remove_transform(executor: Executor, store: str, identifier: str) -> list[Request]:
    """Remove a transform, not what it wrote."""
    if executor == "scheduler":
        return _delete_definition(store, identifier, "state")
    return [
        stop_transform(identifier, force=True),
        Request("DELETE", f"/_transform/{identifier}", params={"force": True}, accept=(404,)),
    ]


def put_watch(desired: Desired, executor: Executor, wanted: Wanted, *, active: bool = True) -> Request:
    """Make or overwrite a watch; one that was deactivated stays so."""
    if executor == "scheduler":
        return _put_definition(desired, wanted, wanted.name, desired.marked(wanted), active=active)
    params = {} if active else {"active": False}
    return Request("PUT", f"/_watcher/watch/{wanted.name}", desired.marked(wanted), params)


def remove_watch(executor: Executor, store: str, name: str) -> list[Request]:
    """Remove a watch, not what it wrote."""
    if executor == "scheduler":
        return _delete_definition(store, name, "status")
    return [Request("DELETE", f"/_watcher/watch/{name}", accept=(404,))]


def _transform_body(desired: Desired, wanted: Wanted, index: str) -> dict[str, Any]:
    return desired.marked(wanted, {**wanted.body, "dest": {**wanted.body["dest"], "index": index}})


def _put_definition(
    desired: Desired, wanted: Wanted, identifier: str, body: dict[str, Any], **switch: bool
) -> Request:
    stamp = Stamp(desired.namespace, desired.version, wanted.checksum)
    mark = {"managed_by": MANAGED_BY, "namespace": stamp.namespace, "version": stamp.version}
    document = {
        "type": "definition",
        "id": identifier,
        "body": body,
        **switch,
        "_meta": {**mark, "checksum": stamp.checksum},
    }
    store = desired.transform_store if wanted.kind == "transform" else desired.watch_store
    path = f"/{store}/_doc/{identifier}"
    return Request("PUT", path, document, {"refresh": True})


def _delete_definition(store: str, identifier: str, companion: str) -> list[Request]:
    return [
        Request("DELETE", f"/{store}/_doc/{name}", params={"refresh": True}, accept=(404,))
        for name in (identifier, f"{identifier}:{companion}")
    ]
