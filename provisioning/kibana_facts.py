"""Facts about Kibana: which saved objects are there. Only reads; the plan works on its result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from engine.errors import NotFound, NotPermitted, RequestRefused
from engine.kibana import Kibana
from provisioning.saved_object import TYPE_VERSIONS, SavedObject, read_mark

# More rules than an installation can sensibly have.
_MOST_RULES = 100
# A saved object by its type and id.
Key = tuple[str, str]


def gather_saved_objects(kibana: Kibana, tag: str, wanted: Sequence[SavedObject]) -> dict[Key, SavedObject]:
    """What bears httpmon's tag, and what else has the id of an object that is wanted.

    Asked by exports: what an export gives has kept its form from 8.3 through 9.x. Raises what
    ``Kibana.request`` raises.
    """
    kibana.check_space()
    # With what they refer to, because that is how the tag itself comes along.
    exported = _export(
        kibana,
        {
            "type": sorted(set(TYPE_VERSIONS) - {"tag", "action"}),
            "hasReference": {"type": "tag", "id": tag},
            "includeReferencesDeep": True,
        },
    )
    with suppress(*(() if any(one["type"] == "action" for one in wanted) else (NotPermitted,))):
        # Of their own, because who may not see connectors may see the rest.
        exported += _export(
            kibana,
            {
                "type": ["action"],
                "hasReference": {"type": "tag", "id": tag},
                "includeReferencesDeep": True,
            },
        )
    found = {
        (one["type"], one["id"]): one
        for one in exported
        if (one["type"], one["id"]) == ("tag", tag) or read_mark(one, tag) is not None
    }
    others = [key for one in wanted if (key := (one["type"], one["id"])) not in found]
    return found | _those_there(kibana, others)


def gather_rules(kibana: Kibana, owner: str, wanted: Iterable[str], *, needed: bool) -> dict[str, Any]:
    """The rules that bear the tag ``owner``, and those with a wanted id, by their ids.

    Who may not see rules has none, unless they are ``needed``. Raises what ``Kibana.request`` raises.
    """
    asked: dict[str, str | int | float | bool] = {
        "per_page": _MOST_RULES,
        "filter": f'alert.attributes.tags: "{owner}"',
    }
    try:
        answer = kibana.request("GET", "/api/alerting/rules/_find", params=asked)
    except (NotPermitted, NotFound):
        if needed:
            raise
        return {}
    found = {one["id"]: one for one in answer["data"] if owner in one.get("tags", ())}
    for identity in wanted:
        if identity not in found:
            with suppress(NotFound):
                found[identity] = kibana.request("GET", f"/api/alerting/rule/{identity}")
    return found


def _those_there(kibana: Kibana, keys: Sequence[Key]) -> dict[Key, SavedObject]:
    """Those of the objects that exist. An export of one that does not is refused, and names all such."""
    asked = list(keys)
    while asked:
        listed = {"objects": [{"type": kind, "id": identity} for kind, identity in asked]}
        try:
            return {(one["type"], one["id"]): one for one in _export(kibana, listed)}
        except RequestRefused as error:
            missing = _missing(error.body)
            if not missing:
                raise
            asked = [key for key in asked if key not in missing]
    return {}


def _missing(body: object) -> set[Key]:
    attributes = body.get("attributes") if isinstance(body, Mapping) else None
    objects = attributes.get("objects", ()) if isinstance(attributes, Mapping) else ()
    return {
        (one["type"], one["id"])
        for one in objects
        if isinstance(one.get("error"), Mapping) and one["error"].get("statusCode") == 404
    }


def _export(kibana: Kibana, what: Mapping[str, Any]) -> list[SavedObject]:
    answer = kibana.request("POST", "/api/saved_objects/_export", body={**what, "excludeExportDetails": True})
    return list(answer) if isinstance(answer, list) else []
