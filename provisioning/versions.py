"""Plans an index, its versions and the transforms that write them. Pure.

An index ``httpmon-sections-000001`` is read through the alias ``httpmon-sections`` and written by the
transform ``httpmon-sections-000001``. What cannot change in place makes version 2 of both, which fills beside
version 1; when it has caught up, the alias moves and version 1 goes. Every stage is recognised from the facts
alone, so that a run that was interrupted is finished by the next one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from provisioning import requests
from provisioning.compare import ABSENT, Difference, flat_settings
from provisioning.desired import Desired, Wanted
from provisioning.facts import Facts, Found, FoundKind
from provisioning.requests import Request
from provisioning.steps import Options, Step, Verdict, judge, named

_VERSION_DIGITS = 6

# Settings of an open index that can change (Elasticsearch reference, index modules); any other asks for a new
# version of the index.
DYNAMIC_SETTINGS = re.compile(
    r"index\.(refresh_interval|number_of_replicas|auto_expand_replicas|default_pipeline|final_pipeline|hidden"
    r"|priority|max_result_window|lifecycle\..+|blocks\..+|mapping\.total_fields\.limit|search\..+|indexing\..+)"
)
# Parts of a mapping that can change where they are: parameters of the whole, and these of a field.
_CHANGEABLE_MAPPING = re.compile(
    r"mappings\.(dynamic|dynamic_templates|date_detection|numeric_detection|_meta)\b.*"
    r"|mappings\.(.+\.)?(ignore_above|coerce|dynamic)"
)
# How far behind the old transform a new one may be when the alias moves: both see new documents each second,
# and the little that is missing comes with the next checkpoints.
_CAUGHT_UP_WITHIN_MS = 30_000


@dataclass(frozen=True, slots=True)
class _Versions:
    """The versions of one index.

    Attributes:
        found: the indices by version.
        holder: the version that has the alias; None if none has.
    """

    found: Mapping[int, Found]
    holder: int | None

    @property
    def newest(self) -> int:
        return max(self.found)

    @property
    def shown(self) -> int:
        """The version that readers see, or would see if the alias were there."""
        return self.newest if self.holder is None else self.holder


def version_name(alias: str, version: int) -> str:
    """The name of one version: ``httpmon-sections-000001``."""
    return f"{alias}-{version:0{_VERSION_DIGITS}}"


def version_of(alias: str, name: str) -> int | None:
    """The version in a name; None if it is no version of this alias."""
    match = re.fullmatch(re.escape(alias) + r"-(\d{6,})", name)
    return int(match[1]) if match else None


def plan_versions(facts: Facts, desired: Desired, wanted: Wanted, options: Options) -> list[Step]:
    """The steps for an index and the transforms that write it."""
    obstacle = _obstacle(facts, wanted)
    if obstacle is not None:
        return [Step("index", wanted.name, "refused", obstacle)]
    writers = [
        one
        for one in desired.of_kind("transform")
        if one.body["dest"]["index"] == wanted.name and not one.only_expires
    ]
    versions = _versions(facts, wanted.name)
    if not versions.found:
        return _create(facts, desired, wanted, writers, options)
    verdict = judge(desired, wanted, versions.found[versions.newest], options)
    name = version_name(wanted.name, versions.newest)
    if verdict.action == "refused":
        return [Step("index", name, "refused", verdict.why)]
    updates = index_updates(desired, wanted, name, verdict.changes)
    judged = [
        (writer, *_judge_writer(facts, desired, writer, versions.newest, options)) for writer in writers
    ]
    reasons = (
        [f"its mapping or settings cannot change in place: {named(verdict.changes)}"]
        if updates is None
        else []
    )
    reasons += [f"its transform {one.why}" for _, one, _ in judged if _asks_for_a_new_version(one)]
    if reasons:
        return _replace(facts, desired, wanted, writers, versions, reasons[0], verdict)
    sent = list(updates or ()) if verdict.action == "update" else []
    why = verdict.why
    if versions.holder is None:
        sent.append(requests.move_alias(wanted.name, to=name))
        why = f"the alias {wanted.name} is not there"
    steps = [Step("index", name, "update" if sent else "unchanged", why, tuple(sent), verdict.changes)]
    steps += [
        _version_step(desired, writer, one, found, versions.newest, options) for writer, one, found in judged
    ]
    if versions.holder not in (None, versions.newest):
        return _finish(facts, desired, wanted, writers, versions, steps)
    older = [version for version in versions.found if version != versions.newest]
    return steps + _removals(facts, desired, wanted, writers, older, "was replaced by the version after it")


def plan_expiry(facts: Facts, desired: Desired, wanted: Wanted, options: Options) -> Step:
    """The step for a transform that writes nothing and only expires what others wrote: it has no versions."""
    executor = desired.executors.transforms
    found = _transforms(facts, desired).get(wanted.name)
    verdict = judge(desired, wanted, found, options)
    if found is not None and _asks_for_a_new_version(verdict):
        again = requests.remove_transform(executor, desired.transform_store, wanted.name)
        again += requests.create_transform(
            desired, executor, wanted, wanted.name, wanted.body["dest"]["index"]
        )
        return Step("transform", wanted.name, "replace", verdict.why, tuple(again), verdict.changes)
    return _writer_step(desired, wanted, verdict, found, wanted.name, wanted.body["dest"]["index"], options)


def index_updates(
    desired: Desired, wanted: Wanted, name: str, changes: Iterable[Difference]
) -> list[Request] | None:
    """The requests that change an index where it is; None if one of the changes needs a new index."""
    settings: dict[str, str] = {}
    for change in changes:
        if change.path.startswith("settings."):
            setting = change.path.removeprefix("settings.")
            if not DYNAMIC_SETTINGS.fullmatch(setting):
                return None
            settings[setting] = flat_settings(wanted.body["settings"])[setting]
        elif not (_CHANGEABLE_MAPPING.fullmatch(change.path) or _adds_field(change)):
            return None
    sent = [requests.update_settings(name, settings)] if settings else []
    return [*sent, requests.update_mappings(desired, wanted, name)]


def _adds_field(change: Difference) -> bool:
    """Whether what is absent is a field of its own, not a parameter of one that is there."""
    parent, _, last = change.path.rpartition(".")
    is_field = parent.endswith((".properties", ".fields")) or (parent, last) == ("mappings", "properties")
    return change.found is ABSENT and is_field


def _obstacle(facts: Facts, wanted: Wanted) -> str | None:
    indices = facts.of_kind("index")
    if wanted.name in indices:
        return "an index has the name of this alias; rename or delete it"
    for name, found in indices.items():
        if wanted.name in found.state.get("aliases", ()) and version_of(wanted.name, name) is None:
            return f"this alias points to {name}, which httpmon did not make; remove the alias from it"
    return None


def _versions(facts: Facts, alias: str) -> _Versions:
    numbered = {version_of(alias, name): found for name, found in facts.of_kind("index").items()}
    found = {version: one for version, one in numbered.items() if version is not None}
    holders = [version for version, one in found.items() if alias in one.state.get("aliases", ())]
    return _Versions(found, max(holders, default=None))


def _transforms(facts: Facts, desired: Desired) -> Mapping[str, Found]:
    kind: FoundKind = "transform" if desired.executors.transforms == "native" else "scheduled_transform"
    return facts.of_kind(kind)


def _judge_writer(
    facts: Facts, desired: Desired, writer: Wanted, version: int, options: Options
) -> tuple[Verdict, Found | None]:
    found = _transforms(facts, desired).get(version_name(writer.name, version))
    index = version_name(writer.body["dest"]["index"], version)
    body = {**writer.body, "dest": {**writer.body["dest"], "index": index}}
    return judge(desired, writer, found, options, body=body), found


def _asks_for_a_new_version(verdict: Verdict) -> bool:
    return verdict.action == "update" and any(
        change.path.partition(".")[0] not in requests.UPDATABLE for change in verdict.changes
    )


def _create(
    facts: Facts, desired: Desired, wanted: Wanted, writers: Sequence[Wanted], options: Options
) -> list[Step]:
    """The first version; where transforms outlived their index, the version that they write."""
    alive = [
        version
        for writer in writers
        for name in _transforms(facts, desired)
        if (version := version_of(writer.name, name)) is not None
    ]
    version = max(alive, default=1)
    name = version_name(wanted.name, version)
    sent = requests.create_index(desired, wanted, name, alias=wanted.name)
    steps = [Step("index", name, "create", "is not there", (sent,))]
    executor = desired.executors.transforms
    for writer in writers:
        verdict, found = _judge_writer(facts, desired, writer, version, options)
        identifier = version_name(writer.name, version)
        if found is None or verdict.action == "refused":
            steps.append(_version_step(desired, writer, verdict, found, version, options))
        elif _asks_for_a_new_version(verdict):
            again = requests.remove_transform(executor, desired.transform_store, identifier)
            again += requests.create_transform(desired, executor, writer, identifier, name)
            steps.append(Step("transform", identifier, "replace", verdict.why, tuple(again), verdict.changes))
        else:
            again = requests.restart_transform(desired, executor, identifier)
            why = "its destination was lost: computes everything anew"
            steps.append(Step("transform", identifier, "update", why, tuple(again)))
    return steps


def _version_step(
    desired: Desired, writer: Wanted, verdict: Verdict, found: Found | None, version: int, options: Options
) -> Step:
    identifier = version_name(writer.name, version)
    index = version_name(writer.body["dest"]["index"], version)
    return _writer_step(desired, writer, verdict, found, identifier, index, options)


def _writer_step(
    desired: Desired,
    writer: Wanted,
    verdict: Verdict,
    found: Found | None,
    identifier: str,
    index: str,
    options: Options,
) -> Step:
    """The step for a transform that needs no new version."""
    executor = desired.executors.transforms
    if found is None:
        sent = requests.create_transform(desired, executor, writer, identifier, index)
        return Step("transform", identifier, "create", verdict.why, tuple(sent))
    if verdict.action == "refused":
        return Step("transform", identifier, "refused", verdict.why)
    sent = []
    why = verdict.why
    if verdict.action == "update":
        sent = requests.update_transform(desired, executor, writer, identifier, index, found)
    state = found.state.get("state")
    if state == "failed" and options.repair:
        sent += requests.repair_transform(desired, executor, identifier)
        why = f"had failed (--repair): {found.state.get('reason')}"
    elif state == "failed":
        why = f"has failed: {found.state.get('reason')}; --repair lets it try again"
    elif state == "stopped" and executor == "native":
        sent.append(requests.start_transform(identifier))
        why = "is stopped" if verdict.action == "unchanged" else f"{why}; is stopped"
    elif not found.state.get("enabled", True):
        why = f"{why}; it was stopped by hand and stays so"
    return Step("transform", identifier, "update" if sent else "unchanged", why, tuple(sent), verdict.changes)


def _replace(
    facts: Facts,
    desired: Desired,
    wanted: Wanted,
    writers: Sequence[Wanted],
    versions: _Versions,
    why: str,
    verdict: Verdict,
) -> list[Step]:
    """Begin the next version; the one with the alias stays until the new one has caught up."""
    version = versions.newest + 1
    name = version_name(wanted.name, version)
    sent = [requests.create_index(desired, wanted, name)]
    if not writers:
        old = version_name(wanted.name, versions.shown)
        sent += _copy_and_move(wanted.name, old, name)
    steps = [Step("index", name, "replace", why, tuple(sent), verdict.changes)]
    executor = desired.executors.transforms
    for writer in writers:
        identifier = version_name(writer.name, version)
        made = requests.create_transform(desired, executor, writer, identifier, name)
        reads = f"{wanted.name} shows the version before until this one has caught up"
        steps.append(Step("transform", identifier, "replace", reads, tuple(made), waiting=True))
    unfinished = [one for one in versions.found if one > versions.shown]
    return steps + _removals(facts, desired, wanted, writers, unfinished, "a newer version takes its place")


def _finish(
    facts: Facts,
    desired: Desired,
    wanted: Wanted,
    writers: Sequence[Wanted],
    versions: _Versions,
    steps: list[Step],
) -> list[Step]:
    """Move the alias to the newest version if that has caught up, and remove the ones before."""
    name = version_name(wanted.name, versions.newest)
    old = version_name(wanted.name, versions.shown)
    index_step, *others = steps
    if not writers:
        moves = (*index_step.requests, *_copy_and_move(wanted.name, old, name))
        return [Step("index", name, "replace", f"takes the place of {old}", moves), *others]
    behind = [
        reason
        for writer in writers
        if (reason := _behind(_transforms(facts, desired), writer, versions)) is not None
    ]
    if behind or index_step.requests or any(step.requests for step in others):
        why = f"{behind[0] if behind else 'is changed first'}; {wanted.name} still shows {old}"
        return [
            Step(
                "index", name, index_step.action, why, index_step.requests, index_step.changes, waiting=True
            ),
            *others,
        ]
    sent: list[Request] = []
    oldest = versions.found[versions.newest].state.get("oldest_ms")
    if oldest is not None:
        # What the raw data no longer tells, because it has expired, is taken over from the old version.
        sent.append(requests.copy_documents(old, name, before_ms=oldest))
    sent.append(requests.move_alias(wanted.name, to=name, away_from=(old,)))
    moved = Step("index", name, "replace", f"has caught up and takes the place of {old}", tuple(sent))
    older = [version for version in versions.found if version != versions.newest]
    return [moved, *others, *_removals(facts, desired, wanted, writers, older, f"{name} takes its place")]


def _copy_and_move(alias: str, old: str, new: str) -> list[Request]:
    return [
        requests.block_writes(old),
        requests.copy_documents(old, new),
        requests.move_alias(alias, to=new, away_from=(old,)),
        requests.delete_index(old),
    ]


def _behind(transforms: Mapping[str, Found], writer: Wanted, versions: _Versions) -> str | None:
    """Why a new version's transform has not caught up with the one before; None if it has."""
    identifier = version_name(writer.name, versions.newest)
    found = transforms.get(identifier)
    if found is None:
        return f"{identifier} is not there yet"
    state = found.state
    if state.get("state") == "failed":
        return f"{identifier} has failed"
    if not state.get("checkpoint"):
        progress = state.get("progress")
        return f"{identifier} is in its first pass" + (f" ({progress:.0f} %)" if progress else "")
    before = transforms.get(version_name(writer.name, versions.shown))
    seen, to_see = state.get("upper_ms"), before.state.get("upper_ms") if before else None
    if seen is not None and to_see is not None and seen < to_see - _CAUGHT_UP_WITHIN_MS:
        return f"{identifier} is {(to_see - seen) / 1000:.0f} s behind"
    return None


def _removals(
    facts: Facts,
    desired: Desired,
    wanted: Wanted,
    writers: Sequence[Wanted],
    versions: Iterable[int],
    why: str,
) -> list[Step]:
    steps = []
    executor = desired.executors.transforms
    for version in sorted(versions):
        for writer in writers:
            identifier = version_name(writer.name, version)
            if identifier in _transforms(facts, desired):
                sent = requests.remove_transform(executor, desired.transform_store, identifier)
                steps.append(Step("transform", identifier, "remove", why, tuple(sent)))
        name = version_name(wanted.name, version)
        steps.append(Step("index", name, "remove", why, (requests.delete_index(name),)))
    return steps
