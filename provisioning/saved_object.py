"""What every saved object of Kibana has: a type, a fixed id, the versions that let it be imported. Pure.

The versions are those that let one file import from Kibana 8.3 through 9.x: each line says
``coreMigrationVersion`` and its type's ``migrationVersion``. Without them an import succeeds and what was
imported is broken; newer ones are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from provisioning.names import Names
from provisioning.stamp import checksum

CORE_VERSION = "8.3.0"
# What Kibana 8.3 calls the current version of each type.
TYPE_VERSIONS = {
    "index-pattern": "8.0.0",
    "search": "8.0.0",
    "query": "8.0.0",
    "visualization": "8.3.0",
    "lens": "8.3.0",
    "dashboard": "8.3.0",
    "tag": "8.0.0",
    "action": "8.3.0",
}
# The name of the reference to httpmon's tag: it carries the checksum of the object that it stands in.
_MARK = re.compile(r"httpmon-([0-9a-f]{16})")

SavedObject = dict[str, Any]
Reference = dict[str, str]


def saved_object(
    kind: str, identity: str, attributes: dict[str, Any], references: list[Reference]
) -> SavedObject:
    """One line of the file that Kibana imports, as a dict."""
    return {
        "type": kind,
        "id": identity,
        "attributes": attributes,
        "references": references,
        "migrationVersion": {kind: TYPE_VERSIONS[kind]},
        "coreMigrationVersion": CORE_VERSION,
    }


def reference(name: str, kind: str, identity: str) -> Reference:
    """A reference to another saved object, by the name under which attributes speak of it."""
    return {"name": name, "type": kind, "id": identity}


def view_id(names: Names, view: str) -> str:
    """The id of a data view, by the name that descriptions use."""
    return names.of(f"view-{view}")


def known_view(view: str, known: set[str]) -> str:
    """The name of a data view that is described. Raises ValueError for one that is not."""
    if view not in known:
        raise ValueError(f"there is no data view {view!r}; there are {', '.join(sorted(known))}")
    return view


def tag_id(names: Names, space: str) -> str:
    """The id of the tag that marks what an installation made in a space."""
    return placed(names.of("tag"), space)


def placed(identity: str, space: str) -> str:
    """An id in a space. Ids are unique across spaces, so every space but the default stands in it."""
    return identity if space == "default" else f"{identity}-in-{space}"


def marked(names: Names, space: str, objects: Sequence[SavedObject]) -> list[SavedObject]:
    """The objects with ids of their space, each with a reference to httpmon's tag; the tag before them.

    Attributes that a type does not know are refused since Kibana 8.8, and migrations change known ones. A
    reference survives both, and its name is free: it carries the checksum of what it stands in.
    """
    identity = tag_id(names, space)
    attributes = {
        "name": names.prefix,
        "description": f"Made by httpmon provision for the namespace {names.namespace}.",
        "color": "#54b399",
    }
    moved = [
        {
            **one,
            # The UUID of a connector was made for its space.
            "id": one["id"] if one["type"] == "action" else placed(one["id"], space),
            "references": [{**each, "id": placed(each["id"], space)} for each in one["references"]],
        }
        for one in objects
    ]
    return [
        saved_object("tag", identity, attributes, []),
        *(
            {
                **one,
                "references": [*one["references"], reference(f"httpmon-{checksum(one)}", "tag", identity)],
            }
            for one in moved
        ),
    ]


def read_mark(one: Mapping[str, Any], tag: str) -> str | None:
    """The checksum that httpmon wrote into an object; "" if its mark was rewritten, None if it has none."""
    names = [each["name"] for each in one.get("references", []) if (each["type"], each["id"]) == ("tag", tag)]
    if not names:
        return None
    match = next(filter(None, map(_MARK.fullmatch, names)), None)
    return match[1] if match else ""
