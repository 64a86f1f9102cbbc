"""Compares a body as it was rendered with the same object as a cluster shows it. Pure.

A cluster does not give back what it was given: it nests settings and makes them strings, expands dotted field
names, leaves defaults out or writes them down, adds ids, versions and dates. Each kind has a normal form in
which none of that counts. What the forms know was read off real answers of Elasticsearch 8.10.4 and
OpenSearch 3.8.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from provisioning.stamp import ObjectKind, unstamped


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


ABSENT: Final = _Absent()

# Scripts are stored with their language; painless is the one that is meant where none is named.
_DEFAULT_LANGUAGE = "painless"
# Fields' defaults that a cluster leaves out of the mapping it shows.
_MAPPING_DEFAULTS: dict[str, Any] = {"index": True, "doc_values": True, "store": False, "enabled": True}
# What a cluster adds of its own to an object of any kind.
_SERVER_KEYS = frozenset(
    {"id", "create_time", "authorization", "created_date", "modified_date"}
    | {"created_date_millis", "modified_date_millis"}
)
# Kinds to which others than httpmon add things that are no drift: an index has settings of its own, a watch
# gets defaults for every input and action.
_EXTRAS_ALLOWED: frozenset[ObjectKind] = frozenset({"index", "store", "watch"})
# What a watch shows instead of a password.
_REDACTED = "::es_redacted::"


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in which an object is not as it should be.

    Attributes:
        path: dotted.
        wanted: the value as rendered, or ABSENT.
        found: the value in the cluster, or ABSENT.
    """

    path: str
    wanted: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.path}: {self.found!r} -> {self.wanted!r}"


def differences(kind: ObjectKind, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[Difference]:
    """Where an object in the cluster differs from its rendered body, marks of httpmon not counted."""
    normal = _NORMAL_FORMS.get(kind, _as_is)
    return list(
        _differences(
            normal(unstamped(kind, wanted)),
            normal(unstamped(kind, found)),
            "",
            extras_allowed=kind in _EXTRAS_ALLOWED,
        )
    )


def plain_differences(wanted: Any, found: Any, path: str) -> list[Difference]:
    """Where two values differ, whatever they are; ``path`` begins the name of each place."""
    return list(_differences(wanted, found, path, extras_allowed=False))


def flat_settings(settings: Mapping[str, Any]) -> dict[str, str]:
    """Index settings by their full dotted names, ``index.`` in front, values as text."""
    flat: dict[str, str] = {}

    def walk(part: Mapping[str, Any], prefix: str) -> None:
        for key, value in part.items():
            name = f"{prefix}{key}"
            if isinstance(value, Mapping):
                walk(value, f"{name}.")
            else:
                full = name if name.startswith("index.") else f"index.{name}"
                flat[full] = _text(value) if not isinstance(value, list) else ",".join(map(_text, value))

    walk(settings, "")
    return flat


def _differences(wanted: Any, found: Any, path: str, *, extras_allowed: bool) -> Iterable[Difference]:
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for key in wanted:
            below = f"{path}.{key}" if path else str(key)
            if key not in found:
                if not _is_empty(wanted[key]):
                    yield Difference(below, wanted[key], ABSENT)
            else:
                yield from _differences(wanted[key], found[key], below, extras_allowed=extras_allowed)
        for key in found:
            if key not in wanted and not extras_allowed and not _is_empty(found[key]):
                yield Difference(f"{path}.{key}" if path else str(key), ABSENT, found[key])
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for index, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from _differences(one, other, f"{path}[{index}]", extras_allowed=extras_allowed)
    elif not _same(wanted, found):
        yield Difference(path, wanted, found)


def _is_empty(value: Any) -> bool:
    return value is None or value in ({}, [])


def _same(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, Mapping | list) or isinstance(found, Mapping | list):
        return bool(wanted == found)
    return found == _REDACTED or _text(wanted) == _text(found)


def _text(value: Any) -> str:
    """A scalar as text, so that ``1``, ``"1"`` and ``1.0``, or ``true`` and ``"true"``, are the same."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _as_is(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key not in _SERVER_KEYS}


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _without(body: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key not in defaults or value != defaults[key]}


def _normal_mappings(mappings: Mapping[str, Any]) -> dict[str, Any]:
    normal = {key: value for key, value in mappings.items() if key != "properties"}
    if "properties" in mappings:
        normal["properties"] = _normal_properties(mappings["properties"])
    return normal


def _normal_properties(properties: Mapping[str, Any]) -> dict[str, Any]:
    normal: dict[str, Any] = {}
    for name, field in properties.items():
        *parents, leaf = name.split(".")
        place = normal
        for parent in parents:
            place = place.setdefault(parent, {}).setdefault("properties", {})
        place[leaf] = merged(place.get(leaf, {}), _normal_field(field))
    return normal


def _normal_field(field: Mapping[str, Any]) -> dict[str, Any]:
    normal = _without(field, _MAPPING_DEFAULTS)
    for key in ("properties", "fields"):
        if key in normal:
            normal[key] = _normal_properties(normal[key])
    if normal.get("type") == "object":
        del normal["type"]  # a field without a type is one
    return normal


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Two objects put together as a cluster puts templates' mappings together, the second one winning."""
    both = dict(one)
    for key, value in other.items():
        nested = isinstance(both.get(key), dict) and isinstance(value, dict)
        both[key] = merged(both[key], value) if nested else value
    return both


def _normal_index(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "settings": flat_settings(body.get("settings", {})),
        "mappings": _normal_mappings(body.get("mappings", {})),
    }


def _normal_template(body: dict[str, Any]) -> dict[str, Any]:
    normal = _as_is(body)
    if "index_patterns" in normal:
        normal["index_patterns"] = _as_list(normal["index_patterns"])
    if "data_stream" in normal:
        added = {"hidden": False, "allow_custom_routing": False}
        stream = _without(normal["data_stream"], added)
        # An object that a mapping lacks and one that is empty are the same everywhere but here.
        normal["data_stream"] = {
            "is": True,
            **{key: value for key, value in stream.items() if key != "timestamp_field"},
        }
    inner = dict(normal.get("template", {}))
    normal["template"] = {**inner, **_normal_index(inner)}
    if "lifecycle" in inner:
        normal["template"]["lifecycle"] = _without(inner["lifecycle"], {"enabled": True})
    return normal


def _normal_policy(body: dict[str, Any]) -> dict[str, Any]:
    policy = dict(body["policy"])
    phases = {}
    for name, phase in policy.get("phases", {}).items():
        bare = _without(phase, {"min_age": "0ms"})
        actions = dict(bare.get("actions", {}))
        if "delete" in actions:
            # A default, written down; that the action is there counts, with or without anything in it.
            actions["delete"] = {
                "is": True,
                **_without(actions["delete"], {"delete_searchable_snapshot": True}),
            }
        phases[name] = {**bare, "actions": actions}
    return {"policy": {**policy, "phases": phases}}


def _normal_role(body: dict[str, Any]) -> dict[str, Any]:
    """Privileges have no order; a role shows defaults, and whether the licence has all that is in it."""
    normal = {key: value for key, value in body.items() if key != "transient_metadata"}
    normal["cluster"] = sorted(body.get("cluster", ()))
    normal["indices"] = sorted(
        (
            {
                **_without(one, {"allow_restricted_indices": False}),
                "names": sorted(_as_list(one["names"])),
                "privileges": sorted(one["privileges"]),
            }
            for one in body.get("indices", ())
        ),
        key=lambda one: str(one["names"]),
    )
    return normal


def _normal_transform(body: dict[str, Any]) -> dict[str, Any]:
    normal = {key: value for key, value in _as_is(body).items() if key != "version"}
    source = dict(normal.get("source", {}))
    source["index"] = _as_list(source.get("index"))
    normal["source"] = _without(source, {"query": {"match_all": {}}})
    if "pivot" in normal:
        pivot = dict(normal["pivot"])
        if "aggs" in pivot:
            pivot["aggregations"] = pivot.pop("aggs")
        pivot["group_by"] = {
            name: {kind: _without(group, {"missing_bucket": False}) for kind, group in grouping.items()}
            for name, grouping in pivot.get("group_by", {}).items()
        }
        normal["pivot"] = pivot
    if "sync" in normal:
        normal["sync"] = {"time": {"delay": "60s", **normal["sync"].get("time", {})}}
    return normal


def _normal_watch(body: dict[str, Any]) -> dict[str, Any]:
    return _normal_watch_object(_as_is(body), "")


def _normal_watch_part(part: Any, key: str) -> Any:
    if isinstance(part, list):
        return [_normal_watch_part(one, key) for one in part]
    if isinstance(part, Mapping):
        return _normal_watch_object(part, key)
    if key == "script" and isinstance(part, str):
        return {"source": part, "lang": _DEFAULT_LANGUAGE}
    return part


def _normal_watch_object(part: Mapping[str, Any], key: str) -> dict[str, Any]:
    normal: dict[str, Any] = {}
    for name, value in part.items():
        if name == "body":
            normal[name] = value  # a search body is kept as it was given
        elif name in ("throttle_period", "timeout_in_millis"):
            normal["throttle_period_in_millis" if name == "throttle_period" else name] = _milliseconds(value)
        elif name == "indices":
            normal[name] = _as_list(value)
        elif name == "op_type":
            normal[name] = str(value).lower()
        else:
            normal[name] = _normal_watch_part(value, name)
    if key == "script" and "source" in normal:
        normal.setdefault("lang", _DEFAULT_LANGUAGE)
    return normal


def _milliseconds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    units = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
    number = value.rstrip("dhms")
    return int(number) * units.get(value[len(number) :], 1) if number.isdigit() else value


_NORMAL_FORMS: dict[ObjectKind, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "lifecycle_policy": _normal_policy,
    "component_template": _normal_template,
    "index_template": _normal_template,
    "index": _normal_index,
    "store": _normal_index,
    "transform": _normal_transform,
    "watch": _normal_watch,
    "role": _normal_role,
}
