"""The high-traffic rule as a reader needs it: its threshold, its window and when it decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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


def rule_of_watch(body: Mapping[str, Any]) -> TrafficRule:
    """Read the rule out of the body of its watch, whose ``metadata`` holds the parameters in force.

    What it lacks, as the watch of a pack of somebody's own may, keeps the default.
    """
    metadata: Mapping[str, Any] = body.get("metadata") or {}
    default = TrafficRule()

    def number(name: str, otherwise: float) -> float:
        value = metadata.get(name)
        return float(value) if isinstance(value, int | float) and value > 0 else otherwise

    window = int(number("window", default.window_seconds)) // BUCKET_SECONDS * BUCKET_SECONDS
    threshold = metadata.get("threshold")
    return TrafficRule(
        threshold=float(threshold) if isinstance(threshold, int | float) else default.threshold,
        window_seconds=max(window, BUCKET_SECONDS),
        evaluation_delay_seconds=number("evaluation_delay", default.evaluation_delay_seconds),
    )
