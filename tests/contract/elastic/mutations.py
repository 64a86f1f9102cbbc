"""Misspelt copies of a body, which whoever knows the fields must refuse. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str | int, ...]

# Below these, keys are names that the author chooses, or field names: no parser can know them.
_CHOSEN_BELOW = frozenset(
    {
        *(
            "_meta",
            "metadata",
            "aggs",
            "aggregations",
            "group_by",
            "properties",
            "fields",
            "aliases",
            "params",
        ),
        *("sort", "order", "headers", "buckets_path", "actions", "inputs", "compare", "runtime_mappings"),
    }
)
# Queries have a field name below them; aggregations of the same names have options, ``field`` among them.
_QUERIES_OF_A_FIELD = frozenset({"term", "terms", "range", "match", "match_phrase", "prefix", "wildcard"})
# Below these, nothing is looked at; the body of a search in a watch is an example of its own.
_FREE = frozenset({"_meta", "metadata", "params", "headers", "value", "buckets_path", "body"})


def misspelt(body: Mapping[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Each copy of a body in which one key is misspelt, with the place of the key.

    Keys that the author of the body chooses are left alone.
    """
    for path in _key_paths(body, ()):
        copied = copy.deepcopy(dict(body))
        place: Any = copied
        for step in path[:-1]:
            place = place[step]
        key = str(path[-1])
        place[misspelling(key)] = place.pop(key)
        yield path, copied


def misspelling(key: str) -> str:
    """A key with its last letter twice: ``frequencyy``."""
    return key + key[-1]


def _key_paths(node: Any, path: Path) -> Iterator[Path]:
    if isinstance(node, list):
        for index, child in enumerate(node):
            yield from _key_paths(child, (*path, index))
    if not isinstance(node, Mapping):
        return
    parent = path[-1] if path else ""
    names = [one for one in path if isinstance(one, str)]
    above = names[-1] if names else ""
    chosen = parent in _CHOSEN_BELOW or (above in ("sort", "order", "inputs") and isinstance(parent, int))
    chosen = chosen or (parent in _QUERIES_OF_A_FIELD and "field" not in node)
    for key, child in node.items():
        if not chosen:
            yield (*path, key)
        if key not in _FREE or chosen:
            yield from _key_paths(child, (*path, key))
