"""What every saved object of Kibana has: a type, a fixed id, the versions that let it be imported. Pure.

The versions are those that let one file import from Kibana 8.3 through 9.x: each line says
``coreMigrationVersion`` and its type's ``migrationVersion``. Without them an import succeeds and what was
imported is broken; newer ones are refused.
"""

from __future__ import annotations

from typing import Any

from provisioning.names import Names

CORE_VERSION = "8.3.0"
# What Kibana 8.3 calls the current version of each type.
TYPE_VERSIONS = {
    "index-pattern": "8.0.0",
    "search": "8.0.0",
    "query": "8.0.0",
    "visualization": "8.3.0",
    "lens": "8.3.0",
    "dashboard": "8.3.0",
}

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
