"""What an audit of the summaries found, in words and as a document. Pure, but for ``record``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.client import Engine
from engine.errors import NotFound
from provisioning.names import Names

# The audit's document in the index of operations; `httpmon status` reads it.
AUDIT_ID = "audit"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of one summary that is not what its source says.

    Attributes:
        transform: the transform's id.
        group: the group's key, in words.
        field: the dotted field; ``document`` where one of the two has no document.
        source: what the source says; None without a document.
        summary: what the summary says; None without a document.
    """

    transform: str
    group: str
    field: str
    source: Any
    summary: Any


@dataclass(frozen=True, slots=True)
class Compared:
    """What was compared of one transform.

    Attributes:
        transform: its id.
        groups: how many of its summaries were compared.
        differing: how many of these differ.
        unseen: how many were left out, because it has not seen their newest documents yet, but will.
        since: where only later time, or later arrival, could be compared: from when on.
        standing: why it cannot be up to date; all that its source has was compared then. "" if it runs.
        obstacle: why it was not compared, or not to the end. "" if it was.
        trouble: whether the obstacle is something to mend.
    """

    transform: str
    groups: int = 0
    differing: int = 0
    unseen: int = 0
    since: str | None = None
    standing: str = ""
    obstacle: str = ""
    trouble: bool = False


@dataclass(frozen=True, slots=True)
class Audit:
    """What was compared: summaries, those that differ, every difference of theirs, and each transform."""

    groups: int
    differing: int
    differences: tuple[Difference, ...]
    repaired: bool
    transforms: tuple[Compared, ...] = ()

    @property
    def unseen(self) -> int:
        """How many summaries wait for their transform."""
        return sum(one.unseen for one in self.transforms)

    @property
    def left(self) -> bool:
        """Whether something is to be mended: differences that stay, or what could not be compared."""
        return bool(self.differing and not self.repaired) or any(one.trouble for one in self.transforms)


def audit_of(differences: list[Difference], transforms: list[Compared], *, repaired: bool) -> Audit:
    """The sums over what was compared of each transform."""
    return Audit(
        sum(one.groups for one in transforms),
        sum(one.differing for one in transforms),
        tuple(differences),
        repaired,
        tuple(transforms),
    )


def summary_line(audit: Audit) -> str:
    """The audit in one line."""
    told = f"{audit.groups:,} summaries compared, "
    if audit.differing:
        differ = "1 differs" if audit.differing == 1 else f"{audit.differing:,} differ"
        told += f"{differ}, {'repaired' if audit.repaired else 'not repaired'}"
    else:
        told += "none differs"
    if audit.unseen:
        told += f"; {audit.unseen:,} more {'is' if audit.unseen == 1 else 'are'} about to be written anew"
    idle = sum(1 for one in audit.transforms if one.standing)
    if idle:
        told += f"; {_transforms(idle)} not up to date"
    left_out = sum(1 for one in audit.transforms if one.obstacle)
    if left_out:
        told += f"; {_transforms(left_out)} not compared"
    return told


def notes(audit: Audit) -> Iterator[str]:
    """What is to be known of single transforms, a line each; what is the same of several in one."""
    for one in audit.transforms:
        if one.standing:
            yield f"{one.transform} {one.standing}: what it has not counted differs"
        if one.obstacle:
            yield f"{one.transform} is not compared: {one.obstacle}"
    since: dict[str, list[str]] = {}
    for one in audit.transforms:
        if one.since is not None:
            since.setdefault(one.since, []).append(one.transform)
    for told, names in since.items():
        yield f"compared {told} only, as what is older may have expired: {', '.join(names)}"


def record(engine: Engine, names: Names, audit: Audit, start: datetime, end: datetime) -> bool:
    """Keep the audit as the last one; whether there is a place for it."""
    document = {
        "@timestamp": engine.now().isoformat(),
        "event": {"kind": "event", "action": "audited", "dataset": "httpmon.operations"},
        "message": summary_line(audit),
        "httpmon": {
            "audit": {
                "from": start.isoformat(),
                "to": end.isoformat(),
                "groups": audit.groups,
                "differing": audit.differing,
                "unseen": audit.unseen,
                "not_compared": [one.transform for one in audit.transforms if one.obstacle],
                "repaired": audit.repaired,
            }
        },
    }
    params = {"refresh": "true", "require_alias": "true"}
    try:
        engine.request("PUT", f"/{names.operations}/_doc/{AUDIT_ID}", body=document, params=params)
    except NotFound:
        return False
    return True


def _transforms(number: int) -> str:
    return "1 transform" if number == 1 else f"{number:,} transforms"
