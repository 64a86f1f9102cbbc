"""Rules that Kibana runs, for licences without Watcher: what should be there, and the plan. Pure.

A rule counts documents, and an index connector writes the alert documents; both are in the Basic licence. The
connector is imported with the other saved objects, because only so it has an id that is known beforehand.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from provisioning.compare import Difference, plain_differences
from provisioning.names import Names
from provisioning.rendering import Rendered
from provisioning.requests import Request
from provisioning.saved_object import SavedObject, placed, saved_object
from provisioning.stamp import checksum
from provisioning.steps import Options, Step, named

# A name space of ours for ids: Kibana takes nothing but UUIDs for rules and connectors.
_IDS = uuid.uuid5(uuid.NAMESPACE_DNS, "rules.httpmon")
# What an update of a rule takes (Kibana reference, update rule API); the rest of a rule is fixed.
_UPDATABLE = ("name", "tags", "schedule", "notify_when", "params", "actions")
_CHECKSUM = "httpmon-checksum:"

Rule = dict[str, Any]


def connector_id(names: Names, space: str) -> str:
    """The id of the connector that writes alert documents, in a space."""
    return str(uuid.uuid5(_IDS, placed(names.of("connector-alerts"), space)))


def connector(names: Names, space: str) -> SavedObject:
    """The connector as a saved object, before it is marked."""
    attributes = {
        "actionTypeId": ".index",
        "name": f"Alert documents ({names.prefix})",
        # Without a field for the time of execution: the documents say when it was.
        "config": {"index": names.alerts, "refresh": True, "executionTimeField": None},
        "isMissingSecrets": False,
    }
    return saved_object("action", connector_id(names, space), attributes, [])


def owner_tag(names: Names, space: str) -> str:
    """The tag of every rule of an installation in a space."""
    return placed(names.prefix, space)


def wanted_rules(names: Names, space: str, rendered: Sequence[Rendered]) -> dict[str, Rule]:
    """The rules by their ids, with their tags: whose they are, and the checksum of what was rendered."""
    return {
        str(uuid.uuid5(_IDS, placed(one.name, space))): {
            **one.body,
            "tags": [owner_tag(names, space), f"{_CHECKSUM}{checksum(one.body)}"],
        }
        for one in rendered
    }


def plan_rules(
    found: Mapping[str, Rule], wanted: Mapping[str, Rule], owner: str, options: Options
) -> list[Step]:
    """The steps that bring Kibana's rules to what is wanted; rules of ours that are not wanted are removed.

    They are removed without being asked to: a rule that goes on beside its watch says everything twice.
    """
    steps = [_step(identity, rule, found.get(identity), owner, options) for identity, rule in wanted.items()]
    return steps + [
        rule_removal(identity, rule, "is not to be run by Kibana")
        for identity, rule in found.items()
        if identity not in wanted and owner in rule.get("tags", ())
    ]


def rule_removal(identity: str, rule: Rule, why: str) -> Step:
    """The step that removes a rule."""
    request = Request("DELETE", f"/api/alerting/rule/{identity}", accept=(404,), receiver="kibana")
    return Step("rule", str(rule.get("name", identity)), "remove", why, (request,))


def _step(identity: str, rule: Rule, found: Rule | None, owner: str, options: Options) -> Step:
    name, path = rule["name"], f"/api/alerting/rule/{identity}"
    if found is None:
        created = Request("POST", path, {**rule, "enabled": True}, receiver="kibana")
        return Step("rule", name, "create", "is not there", (created,))
    ours = owner in found.get("tags", ())
    if not ours and not options.force:
        why = "is there and was not made by httpmon; --force takes it over"
        return Step("rule", name, "refused", why)
    changes = _changes(rule, found)
    resting = "" if found.get("enabled", True) else "; it was disabled and stays so"
    if ours and not changes:
        return Step("rule", name, "unchanged", f"is as rendered{resting}")
    mark = next((tag for tag in rule["tags"] if tag.startswith(_CHECKSUM)), "")
    if not ours:
        why = "is taken over (--force)"
    elif mark in found["tags"]:
        why = f"was changed in Kibana: {named(changes)}"
    else:
        why = f"is rendered otherwise: {named(changes)}"
    updated = Request("PUT", path, {key: rule[key] for key in _UPDATABLE}, receiver="kibana")
    return Step("rule", name, "update", f"{why}{resting}", (updated,), tuple(changes))


def _changes(rule: Rule, found: Rule) -> list[Difference]:
    """Where a rule differs; what Kibana adds of its own, as each version does, is no difference."""
    wanted, there = _comparable(rule), _comparable(found)
    return [
        change
        for key, value in wanted.items()
        for change in plain_differences(value, _as_far(value, there.get(key)), key)
    ]


def _comparable(rule: Rule) -> dict[str, Any]:
    part = {key: rule.get(key) for key in _UPDATABLE}
    parameters = dict(rule.get("params", {}))
    query = parameters.get("esQuery")
    if isinstance(query, str):
        try:
            parameters["esQuery"] = json.loads(query)
        except ValueError:
            parameters["esQuery"] = query
    return {**part, "params": parameters, "tags": sorted(rule.get("tags", ()))}


def _as_far(wanted: Any, found: Any) -> Any:
    """What is found, without those keys of objects that nobody asked for."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return {key: _as_far(wanted[key], value) for key, value in found.items() if key in wanted}
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [_as_far(one, other) for one, other in zip(wanted, found, strict=True)]
    return found
