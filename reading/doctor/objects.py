"""What the objects of an installation tell of those who wrote them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning.desired import Desired
from provisioning.facts import Facts, Found, FoundKind
from provisioning.stamp import ObjectKind, read_stamp

# Kinds whose objects have one name each, whatever their version; the rest follows from them.
_KINDS: tuple[tuple[FoundKind, ObjectKind], ...] = (
    ("component_template", "component_template"),
    ("index_template", "index_template"),
    ("pipeline", "pipeline"),
    ("query", "query"),
    ("watch", "watch"),
    ("scheduled_watch", "watch"),
)


def rendered_otherwise(facts: Facts, desired: Desired) -> tuple[str, ...]:
    """Objects that this version of httpmon wrote for this namespace from other settings or templates."""
    names = []
    for kind, name, found in _found(facts):
        stamp = read_stamp(kind, found.body)
        wanted = next((one for one in desired.of_kind(kind) if one.name == name), None)
        if stamp is None or wanted is None or stamp.namespace != desired.namespace:
            continue
        if stamp.version == desired.version and stamp.checksum != wanted.checksum:
            names.append(name)
    return tuple(sorted(set(names)))


def newer_version(facts: Facts, desired: Desired) -> str:
    """The newest version of httpmon that wrote an object of this namespace; "" if none is newer than this."""
    own = _numbers(desired.version)
    newest = own
    text = ""
    for kind, _, found in _found(facts):
        stamp = read_stamp(kind, found.body)
        if stamp is not None and stamp.namespace == desired.namespace and _numbers(stamp.version) > newest:
            newest, text = _numbers(stamp.version), stamp.version
    return text if own != (0,) else ""


def executed_twice(facts: Facts) -> tuple[str, ...]:
    """Transforms and watches that the engine runs and the scheduler, too."""
    pairs: tuple[tuple[FoundKind, FoundKind, str], ...] = (
        ("transform", "scheduled_transform", "enabled"),
        ("watch", "scheduled_watch", "active"),
    )
    return tuple(
        name
        for native, scheduled, switch in pairs
        for name, found in sorted(facts.of_kind(scheduled).items())
        if name in facts.of_kind(native) and found.state.get(switch, True)
    )


def _found(facts: Facts) -> Iterator[tuple[ObjectKind, str, Found]]:
    for found_kind, kind in _KINDS:
        for name, found in facts.of_kind(found_kind).items():
            yield kind, name, found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))
