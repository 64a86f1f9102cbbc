"""Who runs transforms and watches: the engine itself, or httpmon's scheduler. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.capabilities import Capabilities
from engine.errors import SettingsError

Executor = Literal["native", "scheduler", "kibana"]
"""Who runs; ``kibana`` only watches, as rules of its own."""

Choice = Literal["auto", "native", "scheduler", "kibana"]


@dataclass(frozen=True, slots=True)
class Executors:
    """The executor of each kind, and why it is that one."""

    transforms: Executor
    watches: Executor
    why_transforms: str
    why_watches: str

    @property
    def scheduler_needed(self) -> bool:
        """Whether ``httpmon scheduler`` has anything to run."""
        return "scheduler" in (self.transforms, self.watches)


def choose_executors(choice: Choice, engine: Capabilities) -> Executors:
    """Choose by what the engine can, unless the setting ``executor`` forces one.

    Raises SettingsError when ``native`` or ``kibana`` is forced on an engine that cannot run transforms.
    """
    if choice == "scheduler":
        forced = "executor = scheduler"
        return Executors("scheduler", "scheduler", forced, forced)
    if not engine.transforms and choice in ("native", "kibana"):
        raise SettingsError(
            f"executor = {choice}: {engine.flavour} {engine.version_text} has no transforms of its own; "
            "use auto or scheduler"
        )
    family = f"{engine.flavour} {engine.version_text}"
    licence = f" under a {engine.licence} licence" if engine.licence else ""
    transforms: Executor = "native" if engine.transforms else "scheduler"
    if choice == "kibana":
        return Executors(transforms, "kibana", f"{family} runs transforms", "executor = kibana")
    watches: Executor = "native" if engine.watcher else "scheduler"
    return Executors(
        transforms,
        watches,
        f"{family} {'runs' if engine.transforms else 'has no'} transforms",
        f"{family}{licence} {'runs' if engine.watcher else 'does not run'} watches",
    )
