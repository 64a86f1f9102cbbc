"""The high-traffic rule as a reader needs it: its threshold, its window and when it decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import SettingsError
from provisioning.settings import duration_seconds
from reading.buckets import BUCKET_SECONDS

HIGH_TRAFFIC = "high_traffic"


@dataclass(frozen=True, slots=True)
class TrafficRule:
    """The parameters in force of the high-traffic watch.

    Attributes:
        threshold: hits/s over the window; above it the alert opens.
        window_seconds: the window, a multiple of the bucket's length.
        evaluation_delay_seconds: how long after a bucket's end the watch decides about it.
    """

    threshold: float = 10.0
    window_seconds: int = 120
    evaluation_delay_seconds: float = 7.0

    @property
    def reading_delay_seconds(self) -> float:
        """How long after a bucket's end a reader looks at it.

        The watch waits ``evaluation_delay_seconds`` so that the bucket is summarised completely; one second
        more, and the alert document that it then writes is in the same table.
        """
        return self.evaluation_delay_seconds + 1.0


def traffic_rule(parameters: Mapping[str, Any]) -> TrafficRule:
    """Read the rule out of its parameters in force; what they lack keeps the default.

    Raises SettingsError when one cannot be used.
    """
    default = TrafficRule()
    try:
        window = _seconds(parameters.get("window", default.window_seconds))
        rule = TrafficRule(
            threshold=float(parameters.get("threshold", default.threshold)),
            window_seconds=int(window),
            evaluation_delay_seconds=_seconds(
                parameters.get("evaluation_delay", default.evaluation_delay_seconds)
            ),
        )
    except (TypeError, ValueError) as error:
        raise SettingsError(f"parameters.{HIGH_TRAFFIC}: {error}") from None
    if window <= 0 or window % BUCKET_SECONDS:
        raise SettingsError(
            f"parameters.{HIGH_TRAFFIC}.window: {parameters['window']} is no whole number of "
            f"{BUCKET_SECONDS} s buckets"
        )
    return rule


def _seconds(value: Any) -> float:
    return duration_seconds(value) if isinstance(value, str) else float(value)
