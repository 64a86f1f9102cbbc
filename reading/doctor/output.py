"""The findings as text and as JSON. Pure."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Sequence
from typing import Any

from reading.doctor.finding import Finding
from reading.printable import printable

# Longer lines are hard to read, whatever the terminal's width.
_WIDEST = 100


def doctor_text(found: Sequence[Finding], engine: str, *, width: int = _WIDEST) -> str:
    """A paragraph for each finding; a command is one line, whatever the width, to be copied."""
    if not found:
        return f"{engine}: nothing is wrong"
    return "\n\n".join(_paragraph(one, min(width, _WIDEST)) for one in found)


def doctor_object(found: Sequence[Finding], code: int) -> dict[str, Any]:
    """The same as JSON values."""
    return {"exit_code": code, "findings": [dataclasses.asdict(one) for one in found]}


def _paragraph(finding: Finding, width: int) -> str:
    lines = [
        *_wrapped(f"{finding.level}: {printable(finding.symptom)}", "    ", width),
        *_wrapped(f"    why: {printable(finding.cause)}", "         ", width),
        *(f"    {printable(command)}" for command in finding.commands),
    ]
    return "\n".join(lines)


def _wrapped(text: str, indent: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
