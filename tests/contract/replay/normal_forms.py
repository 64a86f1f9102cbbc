"""How Elasticsearch shows what it was given: settings nested and as text, watches written out. Pure.

Read off real answers of 8.10.4.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

Body = dict[str, Any]


def shown_settings(settings: Mapping[str, Any]) -> Body:
    """Index settings as they are shown: below ``index``, nested, scalars as text."""
    nested: Body = {}
    for name, value in flat(settings).items():
        *way, last = name.split(".")
        place = nested
        for step in way:
            place = place.setdefault(step, {})
        place[last] = value
    return nested


def flat(settings: Mapping[str, Any], prefix: str = "") -> Body:
    """Index settings by their full names, what is null left out."""
    found: Body = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{name}.")
        elif value is not None:
            full = name if name.startswith("index.") else f"index.{name}"
            found[full] = value if isinstance(value, list) else _text(value)
    return found


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def shown_template(body: Mapping[str, Any], *, is_index_template: bool) -> Body:
    """A component or index template as it is shown."""
    shown = copy.deepcopy(dict(body))
    inner = shown.get("template", {})
    if "settings" in inner:
        inner["settings"] = shown_settings(inner["settings"])
    if is_index_template:
        patterns = shown["index_patterns"]
        shown["index_patterns"] = [patterns] if isinstance(patterns, str) else patterns
        shown.setdefault("composed_of", [])
        if "data_stream" in shown:
            shown["data_stream"] = {"hidden": False, "allow_custom_routing": False, **shown["data_stream"]}
    if "lifecycle" in inner:
        inner["lifecycle"] = {"enabled": True, **inner["lifecycle"]}
    return shown


def shown_mapping(mapping: Mapping[str, Any]) -> Body:
    """The mapping of an index as it is shown."""
    shown = copy.deepcopy(dict(mapping))
    if "dynamic" in shown:
        shown["dynamic"] = _text(shown["dynamic"])
    return shown


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> Body:
    """Two trees put together, the second one winning."""
    both = dict(one)
    for key, value in other.items():
        nested = isinstance(both.get(key), Mapping) and isinstance(value, Mapping)
        both[key] = merged(both[key], value) if nested else value
    return both


def shown_transform(body: Mapping[str, Any], frame: Mapping[str, Any]) -> Body:
    """A transform as it is shown, with what the server adds in ``frame``."""
    shown = copy.deepcopy(dict(body))
    index = shown["source"]["index"]
    shown["source"]["index"] = [index] if isinstance(index, str) else index
    shown["source"].setdefault("query", {"match_all": {}})
    added = {key: frame[key] for key in ("id", "version", "create_time")}
    return {**added, **shown, "settings": shown.get("settings", {})}


def shown_watch(node: Any, key: str = "") -> Any:
    """A watch as it is shown: every search with its defaults, every script with its language."""
    if isinstance(node, list):
        return [shown_watch(child, key) for child in node]
    if not isinstance(node, Mapping):
        return {"source": node, "lang": "painless"} if key == "script" else node
    if key in ("body", "metadata"):
        return copy.deepcopy(dict(node))
    shown = {name: shown_watch(child, name) for name, child in node.items()}
    if key == "script" and "source" in shown:
        shown.setdefault("lang", "painless")
    if key == "request" and "indices" in shown:
        shown = {"search_type": "query_then_fetch", "rest_total_hits_as_int": True, **shown}
    if key == "index" and "op_type" in shown:
        shown["op_type"] = str(shown["op_type"]).upper()
    return shown


def shown_role(role: Body) -> Body:
    """A role as it is shown: defaults written down, and what the licence makes of it."""
    indices = [{**one, "allow_restricted_indices": False} for one in role["indices"]]
    more = {"applications": [], "run_as": [], "transient_metadata": {"enabled": True}}
    return copy.deepcopy({**role, "indices": indices, **more})
