"""The findings as text and as JSON. Pure."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Sequence
from typing import Any

from reading.doctor.finding import Finding
from reading.printable import printable

_WIDTH = 100


def doctor_text(found: Sequence[Finding], engine: str) -> str:
    """A paragraph for each finding; commands stand in lines of their own, to be copied whole."""
    if not found:
        return f"{engine}: nothing is wrong"
    return "\n\n".join(_paragraph(one) for one in found)


def doctor_object(found: Sequence[Finding], code: int) -> dict[str, Any]:
    """The same as JSON values."""
    return {"exit_code": code, "findings": [dataclasses.asdict(one) for one in found]}


def _paragraph(finding: Finding) -> str:
    lines = [
        *_wrapped(f"{finding.level}: {printable(finding.symptom)}", "    "),
        *_wrapped(f"    why: {printable(finding.cause)}", "         "),
        *(f"    {printable(command)}" for command in finding.commands),
    ]
    return "\n".join(lines)


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
