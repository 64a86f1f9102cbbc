"""How long each kind of data is kept in a given cluster: the settings, and defaults that depend on it. Pure.

A cluster that is shared and grows removes what is old; the local node, on which people look at logs of years
ago, keeps everything unless it is told otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.capabilities import Capabilities
from engine.errors import SettingsError
from provisioning.setting_types import KEEP, duration_seconds
from provisioning.settings import RetentionSettings

_HOUR = 3600.0
_DAY = 24 * _HOUR
# Readers take hours from the hourly tier once they are two hours old: a late line must be older than that.
_SHORTEST_RAW = 4 * _HOUR
# A data stream goes on in a new index so many times within its retention: what is removed is a whole index,
# so that it is kept by this part longer than asked for.
_INDICES_WITHIN = 7

_DEFAULTS = RetentionSettings(raw="7d", summaries="30d", hourly="730d", alerts="730d", dead="30d")
_LOCAL_DEFAULTS = RetentionSettings(raw=KEEP, summaries=KEEP, hourly=KEEP, alerts=KEEP, dead=KEEP)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long each kind of data is kept, as durations; None keeps it for ever.

    Attributes:
        raw: raw documents, from their arrival on.
        summaries: 10-second summaries, from their time on.
        hourly: hourly summaries, from when they were last written.
        alerts: alert documents, from their time on.
        dead: lines that the engine refused, from their arrival on.
    """

    raw: str | None = None
    summaries: str | None = None
    hourly: str | None = None
    alerts: str | None = None
    dead: str | None = None

    @property
    def late_after_seconds(self) -> int | None:
        """With what arrival lag a line is late, so that its bucket is not computed anew; None for never.

        A bucket is computed from raw documents, so these must all be there still. They are for the lag of a
        line that is not late, and for a quarter of the retention, at most a day, that the scheduler may rest.
        """
        if self.raw is None:
            return None
        kept = duration_seconds(self.raw)
        return int(kept - min(kept / 4, _DAY))

    @property
    def arrival_interval(self) -> str:
        """By what spans of arrival late lines are counted.

        A document of a span is computed anew until the span is over, so for so long, and while the scheduler
        may rest, the raw documents must all be there: a day where they are, else an hour.
        """
        late_after = self.late_after_seconds
        return "1d" if late_after is None or late_after >= _DAY else "1h"


def retention_for(settings: RetentionSettings, engine: Capabilities) -> Retention:
    """The retention in force in a cluster.

    Raises SettingsError where a number could fall when data expires: a tier must outlive what it is made of.
    """
    defaults = _LOCAL_DEFAULTS if engine.local else _DEFAULTS
    raw = _value(settings.raw, defaults.raw)
    summaries = _outliving(raw, settings.summaries, defaults.summaries)
    hourly = _outliving(summaries, settings.hourly, defaults.hourly)
    if raw is not None and duration_seconds(raw) < _SHORTEST_RAW:
        raise SettingsError(f"retention.raw: {raw} is less than 4h")
    _refuse_shorter("summaries", summaries, "raw", raw)
    _refuse_shorter("hourly", hourly, "summaries", summaries)
    return Retention(
        raw, summaries, hourly, _value(settings.alerts, defaults.alerts), _value(settings.dead, defaults.dead)
    )


def rollover_age(kept: str) -> int:
    """After how many hours a data stream of such a retention goes on in a new index.

    A seventh of the retention, so that little more is kept than was asked for; an hour at least and a day at
    most. Rarely, because what was stored but not acknowledged before a new index is not known again after it.
    """
    return int(max(1, min(24, duration_seconds(kept) / _HOUR / _INDICES_WITHIN)))


def _value(given: str | None, default: str | None) -> str | None:
    value = default if given is None else given
    return None if value == KEEP else value


def _outliving(source: str | None, given: str | None, default: str | None) -> str | None:
    """The retention of a tier; unless given, at least a day more than that of what it is made of."""
    value = _value(given, default)
    if given is not None or value is None:
        return value
    if source is None:
        return None
    least = duration_seconds(source) + _DAY
    return value if duration_seconds(value) >= least else f"{int(least / _HOUR)}h"


def _refuse_shorter(name: str, kept: str | None, source: str, source_kept: str | None) -> None:
    if kept is None:
        return
    if source_kept is None:
        raise SettingsError(
            f"retention.{name}: cannot expire before {source} do: set retention.{source}, too"
        )
    if duration_seconds(kept) < duration_seconds(source_kept) + _HOUR:
        raise SettingsError(
            f"retention.{name}: {kept} must be an hour longer than retention.{source}, {source_kept}"
        )
