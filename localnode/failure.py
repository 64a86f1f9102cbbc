"""Finds the line that tells why the node did not start. Pure."""

from __future__ import annotations

import re

# The innermost exception of a chain, as the engine prints it and as Java does.
_CAUSE = re.compile(r"^(?:Likely root cause|Caused by): (?P<cause>.*)")
# Neither names the reason: stack frames, rulers, and what Java says around the line that does.
_NOISE = re.compile(
    r"\s+(?:at |\.\.\. \d+ more)"
    r"|#?\s*$"
    r"|.* warning: INFO: "
    r"|Error occurred during initialization of VM"
    r"|Error: (?:Could not create the Java Virtual Machine|A fatal exception has occurred)"
    r"|For complete error details, refer to the log at "
    r"|uncaught exception in thread "
)
_LENGTH = 400


def telling_line(output: str) -> str | None:
    """The line of the JVM's output that says most about a failed start; None where it printed none.

    That is the innermost cause of an exception, else the first line that isn't decoration.
    """
    lines = [line.rstrip() for line in output.splitlines() if not _NOISE.match(line)]
    causes = [match["cause"] for line in lines if (match := _CAUSE.match(line))]
    telling = causes[-1:] or lines[:1]
    return telling[0].removeprefix("# ")[:_LENGTH] if telling else None
