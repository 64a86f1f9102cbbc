"""What a plan is made of, and the judgement on one object that every kind begins with. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from provisioning.compare import ABSENT, Difference, differences
from provisioning.desired import Desired, Wanted
from provisioning.facts import Found
from provisioning.requests import Request
from provisioning.stamp import ObjectKind, read_stamp

Action = Literal["create", "update", "replace", "unchanged", "remove", "refused", "skipped"]

# A reason names this many places; `--diff` shows all.
_PLACES_NAMED = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One object and what is done about it.

    Attributes:
        kind, name: the object; for a version of an index or transform, that version's own name.
        action: ``refused`` stops the whole plan; ``skipped`` is what cannot be done here, and need not be.
        why: the reason, also of ``unchanged``.
        requests: what to send, in this order; none for ``unchanged``, ``refused`` and ``skipped``.
        changes: the places in which the object differs.
        waiting: whether a later run has something to do here once time has passed.
    """

    kind: ObjectKind
    name: str
    action: Action
    why: str
    requests: tuple[Request, ...] = ()
    changes: tuple[Difference, ...] = ()
    waiting: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in the order to take them.

    Attributes:
        steps: the steps.
        dashboards: the title and the address of each dashboard that Kibana shows once they are taken.
    """

    steps: tuple[Step, ...]
    dashboards: tuple[tuple[str, str], ...] = ()

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that do something."""
        return tuple(step for step in self.steps if step.action not in ("unchanged", "refused", "skipped"))

    @property
    def refused(self) -> tuple[Step, ...]:
        """The steps that stand in the way of all others."""
        return tuple(step for step in self.steps if step.action == "refused")

    @property
    def waiting(self) -> tuple[Step, ...]:
        """The steps for which a later run has something to do."""
        return tuple(step for step in self.steps if step.waiting)


@dataclass(frozen=True, slots=True)
class Options:
    """How far a plan may go.

    Attributes:
        force: take over objects that bear a name of ours and are not ours.
        prune: remove what is ours and no longer rendered.
        repair: let failed transforms try again.
    """

    force: bool = False
    prune: bool = False
    repair: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said of one object before its kind is looked at."""

    action: Literal["create", "update", "unchanged", "refused"]
    why: str
    changes: tuple[Difference, ...] = ()


def judge(
    desired: Desired,
    wanted: Wanted,
    found: Found | None,
    options: Options,
    *,
    body: Mapping[str, Any] | None = None,
) -> Verdict:
    """Whether an object is there, ours and as it should be.

    ``body`` is what to compare with instead of the wanted object's own (a transform's, with the index that
    this version writes).
    """
    if found is None:
        return Verdict("create", "is not there")
    stamp = read_stamp(wanted.kind, found.body)
    changes = tuple(differences(wanted.kind, wanted.body if body is None else body, found.body))
    if stamp is not None and stamp.namespace != desired.namespace:
        return Verdict("refused", f"belongs to the namespace {stamp.namespace}; choose another name")
    if stamp is None:
        if not options.force:
            return Verdict("refused", "is there and was not made by httpmon; --force takes it over")
        return Verdict("update", "is taken over (--force)", changes)
    if changes and stamp.checksum == wanted.checksum:
        return Verdict("update", f"was changed in the cluster: {named(changes)}", changes)
    if changes:
        return Verdict("update", f"is rendered otherwise: {named(changes)}", changes)
    if stamp.checksum != wanted.checksum and wanted.kind == "watch":
        # What a watch shows has more than what it was given, so that a part left out does not differ.
        return Verdict("update", "is rendered otherwise: has less than before")
    if stamp.checksum != wanted.checksum:
        return Verdict(
            "unchanged", f"is written otherwise by {wanted.source or 'its template'}, and means the same"
        )
    if stamp.version != desired.version:
        return Verdict("unchanged", f"is as rendered, since version {stamp.version}")
    return Verdict("unchanged", "is as rendered")


def named(changes: Sequence[Difference]) -> str:
    """The places that differ, shortened to fit a table."""
    places = [f"{change.path}{' (gone)' if change.found is ABSENT else ''}" for change in changes]
    more = len(places) - _PLACES_NAMED
    return ", ".join(places[:_PLACES_NAMED]) + (f" and {more} more" if more > 0 else "")
