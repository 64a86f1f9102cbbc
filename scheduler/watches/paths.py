"""Paths into ``ctx``: ``ctx.payload.hits.hits.0._source.x``. Pure."""

from __future__ import annotations

from typing import Any


def value_at(path: str, tree: Any) -> Any:
    """What stands at a dotted path; a number indexes a list. None where there is nothing.

    A key that has dots itself (``values.50.0``) cannot be reached, as in Watcher.
    """
    for part in path.split("."):
        if isinstance(tree, dict):
            tree = tree.get(part)
        elif isinstance(tree, list) and part.isdigit() and int(part) < len(tree):
            tree = tree[int(part)]
        else:
            return None
    return tree


def extracted(tree: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """What ``extract`` leaves of a payload: the values at the given paths, under their own keys.

    Corners as the native one has them (seen on 8.10.4): a list of objects on the way keeps its length but
    not its contents, and an empty list at the path is dropped,
    and so is one on the way.
    """
    return _extracted(tree, frozenset(keys), "")


def _extracted(tree: dict[str, Any], keys: frozenset[str], prefix: str) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        below = any(wanted.startswith(f"{path}.") for wanted in keys)
        if path in keys:
            if value != []:
                kept[key] = value
        elif below and isinstance(value, dict):
            kept[key] = _extracted(value, keys, f"{path}.")
        elif below and isinstance(value, list) and value:
            kept[key] = [{} for item in value if isinstance(item, dict)]
        elif below and not isinstance(value, dict | list):
            # Nothing can be below it, and yet it stays: `hits.total.value` of a total that is a number.
            kept[key] = value
    return kept
