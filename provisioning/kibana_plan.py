"""The plan for Kibana's saved objects: from what is there and what should be to the steps between. Pure.

All objects are imported together, so that all have one time of change: what has a later one than that of
the tag was changed in Kibana since. What an object looks like cannot tell, because each version keeps it
in a form of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from provisioning.compare import Difference, plain_differences
from provisioning.kibana_facts import Key
from provisioning.names import Names
from provisioning.requests import Request
from provisioning.saved_object import SavedObject, read_mark
from provisioning.steps import Action, Options, Step, named

# Kibana changes a data view by itself, to count which fields are looked at; these attributes keep their form.
_VIEW_ATTRIBUTES = ("title", "name", "timeFieldName", "fieldFormatMap")
# Importing that many objects waits for searches to see them.
_IMPORT_SECONDS = 120.0


def plan_saved_objects(
    found: Mapping[Key, SavedObject], wanted: Sequence[SavedObject], names: Names, options: Options
) -> list[Step]:
    """The steps that bring a space of Kibana to what is wanted, which begins with httpmon's tag.

    The first step that changes something carries the import of all; a change to one object imports all.
    """
    tag = wanted[0]
    before = found.get(("tag", tag["id"]))
    steps = [_step(one, found.get((one["type"], one["id"])), tag, before, options) for one in wanted]
    known = {(one["type"], one["id"]) for one in wanted}
    changing = [number for number, step in enumerate(steps) if step.action in ("create", "update")]
    if changing:
        first = steps[changing[0]]
        imported = Request(
            "POST",
            "/api/saved_objects/_import",
            list(wanted),
            {"overwrite": True},
            timeout_seconds=_IMPORT_SECONDS,
            receiver="kibana",
        )
        steps[changing[0]] = Step(first.kind, first.name, first.action, first.why, (imported,), first.changes)
    for kind, identity in sorted(set(found) - known):
        if kind != "action" and not identity.startswith(f"{names.prefix}-"):
            continue  # a copy that somebody saved under another id keeps the tag
        if kind == "action":
            steps.append(_removal(kind, identity, "is not to be run by Kibana"))
        elif options.prune:
            steps.append(_removal(kind, identity, "is no longer rendered (--prune)"))
        else:
            why = "is ours and no longer rendered; --prune removes it"
            steps.append(Step("saved_object", f"{kind} {identity}", "unchanged", why))
    return steps


def plan_saved_objects_removal(found: Mapping[Key, SavedObject], tag: str, names: Names) -> list[Step]:
    """The steps that remove what is httpmon's, the tag last."""
    ours = [
        key
        for key, one in found.items()
        if (key[0] == "action" or key[1].startswith(f"{names.prefix}-"))
        and (key == ("tag", tag) or read_mark(one, tag) is not None)
    ]
    return [
        _removal(kind, identity, "is this installation's")
        for kind, identity in sorted(ours, key=lambda key: (key[0] == "tag", key[0] == "index-pattern", key))
    ]


def _removal(kind: str, identity: str, why: str) -> Step:
    path, params = f"/api/saved_objects/{kind}/{identity}", {"force": True}
    if kind == "action":  # hidden from the other API, which exports and imports it
        path, params = f"/api/actions/connector/{identity}", {}
    request = Request("DELETE", path, params=params, accept=(404,), receiver="kibana")
    return Step("saved_object", f"{kind} {identity}", "remove", why, (request,))


def _step(
    one: SavedObject,
    found: SavedObject | None,
    tag: SavedObject,
    before: SavedObject | None,
    options: Options,
) -> Step:
    name = f"{one['type']} {one['id']}"
    if found is None:
        return Step("saved_object", name, "create", "is not there")
    changes = tuple(_changes(one, found))
    action, why = _verdict(one, found, tag, before, options, changes)
    return Step("saved_object", name, action, why, (), changes if action == "update" else ())


def _verdict(
    one: SavedObject,
    found: SavedObject,
    tag: SavedObject,
    before: SavedObject | None,
    options: Options,
    changes: Sequence[Difference],
) -> tuple[Action, str]:
    if one["type"] == "tag":
        ours = str(found["attributes"].get("description", "")) == one["attributes"]["description"]
        if ours:
            return (
                ("update", f"was changed in Kibana: {named(changes)}")
                if changes
                else ("unchanged", "is there")
            )
    else:
        mark = read_mark(found, tag["id"])
        ours = mark is not None
        if ours and mark != read_mark(one, tag["id"]):
            return "update", "is rendered otherwise" if mark else "was saved in Kibana since it was imported"
        if ours and one["type"] == "index-pattern":
            view = [
                change for change in changes if change.path in map("attributes.{}".format, _VIEW_ATTRIBUTES)
            ]
            return (
                ("update", f"was changed in Kibana: {named(view)}")
                if view
                else ("unchanged", "is as rendered")
            )
        if ours:
            later = before is not None and found.get("updated_at", "") > before.get("updated_at", "")
            return ("update", "was changed in Kibana") if later else ("unchanged", "is as rendered")
    if options.force:
        return "update", "is taken over (--force)"
    return "refused", "is there and was not made by httpmon; --force takes it over"


def _changes(one: SavedObject, found: SavedObject) -> list[Difference]:
    wanted, there = (_readable(each["attributes"]) for each in (one, found))
    if one["type"] == "index-pattern":
        wanted, there = ({key: each.get(key) for key in _VIEW_ATTRIBUTES} for each in (wanted, there))
    return plain_differences(wanted, there, "attributes")


def _readable(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes with what is JSON inside text taken apart, as far as one level."""
    readable = {}
    for key, value in attributes.items():
        try:
            readable[key] = (
                json.loads(value) if isinstance(value, str) and value[:1] in "[{" and value else value
            )
        except ValueError:
            readable[key] = value
    return readable
