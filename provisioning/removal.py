"""The plan that takes an installation away again. Pure.

Without its data it cannot be taken away whole: a data stream keeps the templates it was made from, and these
the pipeline. What stays then is what holds data and what that needs, and it goes on working.
"""

from __future__ import annotations

from provisioning.desired import Desired
from provisioning.facts import Facts, FoundKind
from provisioning.names import Names
from provisioning.plan import is_ours, removal, rendered_kind
from provisioning.steps import Plan, Step

# Who runs on others' data goes first, what others are made from last.
_ORDER: tuple[FoundKind, ...] = (
    "watch",
    "scheduled_watch",
    "transform",
    "scheduled_transform",
    "query",
    "role",
    "index",
    "data_stream",
    "index_template",
    "component_template",
    "pipeline",
    "lifecycle_policy",
)
_NEEDED_BY_DATA: tuple[FoundKind, ...] = (
    "index_template",
    "component_template",
    "pipeline",
    "lifecycle_policy",
)


def build_removal_plan(facts: Facts, desired: Desired, names: Names, *, data: bool) -> Plan:
    """The steps that remove what is this installation's, and with ``data`` what it has collected, too."""
    stores = {names.transform_store, names.watch_store}
    steps = []
    for kind in _ORDER:
        for name, found in sorted(facts.of_kind(kind).items()):
            by_name = kind == "data_stream" and name in (names.raw, names.dead)
            if not by_name and not is_ours(desired, rendered_kind(kind), found.body):
                continue
            holds_data = kind == "data_stream" or (kind == "index" and name not in stores)
            if not data and holds_data:
                why = "holds data; --data removes it"
                steps.append(Step(rendered_kind(kind), name, "unchanged", why))
            elif not data and kind in _NEEDED_BY_DATA:
                why = "is needed by what holds data; --data removes it"
                steps.append(Step(rendered_kind(kind), name, "unchanged", why))
            else:
                steps.append(removal(desired, kind, name, "is this installation's"))
    return Plan(tuple(steps))
