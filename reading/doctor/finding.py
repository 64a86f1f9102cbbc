"""One thing that is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        code: what kind of thing, in one word, for scripts.
        level: ``broken``; ``degraded``; ``note``, which is to be known and does no harm.
        symptom: what was seen.
        cause: why that is so.
        commands: what to type, in this order; what is not mended by them is at least shown.
    """

    code: str
    level: Literal["broken", "degraded", "note"]
    symptom: str
    cause: str
    commands: tuple[str, ...]
