"""What httpmon says about itself: to standard error, as lines for people or as JSON for machines.

Commands say it with the loggers of the standard library, below the name ``httpmon``.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Literal

from reading.printable import printable

LogFormat = Literal["text", "json"]

LEVELS = ("debug", "info", "warning", "error")

# They log each attempt of a request as a warning; httpmon tells the outcome itself.
_TALKATIVE = ("elastic_transport", "elasticsearch", "urllib3", "asyncio")


def configure_logging(level: str = "info", format: LogFormat = "text") -> None:  # noqa: A002
    """Send what is logged from now on to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines() if format == "json" else _TextLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.ERROR)


def tell(text: str, level: int = logging.INFO) -> None:
    """Say something about what this command does, beside its output."""
    if not logging.getLogger().handlers:  # an error before the options were read
        configure_logging()
    logging.getLogger("httpmon").log(level, "%s", text)


class _TextLines(logging.Formatter):
    """``httpmon: what happened``; the level where it is not an ordinary one."""

    def format(self, record: logging.LogRecord) -> str:
        text = printable(" ".join(record.getMessage().splitlines()))
        if record.levelno == logging.DEBUG:
            return f"{record.name}: debug: {text}"
        return f"httpmon: {text}"


class _JsonLines(logging.Formatter):
    """One object a line, with the field names of the Elastic Common Schema."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "@timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "log.level": record.levelname.lower(),
            "log.logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info is not None and record.exc_info[1] is not None:
            line["error.type"] = type(record.exc_info[1]).__name__
            line["error.stack_trace"] = self.formatException(record.exc_info)
        return json.dumps(line)
