"""Finds in a failed node's log the line that tells why. Pure."""

from __future__ import annotations

import re

# `java.lang.IllegalStateException: failed to obtain node locks, ...`, at the start of a line or after
# `Caused by:`, with the engine's `uncaught exception in thread [main]` around it or not.
_EXCEPTION = re.compile(
    r"^(?:Caused by: |Likely root cause: )?(?:[\w$]+\.)+[\w$]*(?:Exception|Error)(?:: (?P<message>.+))?$"
)
# What the JVM prints when its own options don't work.
_JVM = re.compile(
    r"^(?:Error: |Error occurred during |Invalid |Unrecognized |Too small |Exception in thread )"
)
_STACK_FRAME = re.compile(r"^\s+(?:at |\.\.\. \d+ more)")
_LOGGED_ERROR = re.compile(r"^\[[^]]+\]\[(?:ERROR|FATAL)\s*\]")
_LENGTH = 400


def telling_line(text: str) -> str | None:
    """The line that says most about a failure: the innermost cause, else the last error, else the last line.

    None for a text without any.
    """
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not _STACK_FRAME.match(line)]
    causes = [line for line in lines if (match := _EXCEPTION.match(line)) and match["message"]]
    if causes:
        return causes[-1].removeprefix("Caused by: ").removeprefix("Likely root cause: ")[:_LENGTH]
    for pattern in (_LOGGED_ERROR, _JVM):
        matching = [line for line in lines if pattern.match(line)]
        if matching:
            position = lines.index(matching[-1])
            # The JVM announces `Error occurred during initialization of VM` and says why on the next line.
            return " ".join(lines[position : position + (2 if pattern is _JVM else 1)])[:_LENGTH]
    return lines[-1][:_LENGTH] if lines else None
