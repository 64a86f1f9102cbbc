"""The one tree of exceptions, with the exit code that each ends the process with.

A message is one line that names the thing, the place and the way out. Secrets never enter a message.
"""

from __future__ import annotations

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_PLAN_HAS_CHANGES = 3
EXIT_ENGINE_UNREACHABLE = 4
EXIT_NOT_PERMITTED = 5
EXIT_DEGRADED = 6
EXIT_BROKEN = 7
EXIT_INTERRUPTED = 130


class HttpmonError(Exception):
    """Base of everything httpmon raises for a user to read; ``exit_code`` is the process's."""

    exit_code = EXIT_FAILED


class UsageError(HttpmonError):
    """The user's input cannot be used as it is: an option, an argument, a file given."""

    exit_code = EXIT_USAGE


class SettingsError(UsageError):
    """A setting is unknown or has a value that cannot be used."""


class TemplateError(UsageError):
    """A template cannot be rendered, or its output is not what the engine takes."""


class EngineError(HttpmonError):
    """Base of what goes wrong between httpmon and the cluster."""


class EngineUnreachable(EngineError):
    """No answer from the cluster: refused, timed out, TLS failed, or 429/502/503/504 after every retry."""

    exit_code = EXIT_ENGINE_UNREACHABLE


class EngineUntrusted(EngineUnreachable):
    """TLS failed: the certificate is not trusted, or one side does not speak TLS."""


class RequestRefused(EngineError):
    """The cluster answered with an error.

    Attributes:
        status: the HTTP status.
        error_type: the engine's own name of the error (``resource_already_exists_exception``), or "".
        reason: the engine's own words.
        body: the whole parsed answer, for callers that need more of it.
    """

    def __init__(
        self, message: str, *, status: int, error_type: str = "", reason: str = "", body: object = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.reason = reason
        self.body = body


class NotFound(RequestRefused):
    """404: the object or index is not there."""


class Conflict(RequestRefused):
    """409: a document of that id exists, or the object is in another state than the request needs."""


class NotPermitted(RequestRefused):
    """401 or 403: who we are is unknown, or a privilege or the licence is missing."""

    exit_code = EXIT_NOT_PERMITTED


class NotProvisioned(EngineError):
    """The cluster has none of what ``httpmon provision`` makes and the command needs."""


class EngineTooOld(EngineError):
    """The cluster's version is below the minimum."""


class LocalNodeError(HttpmonError):
    """The embedded node cannot be installed, started or stopped; names the log to read."""


class ShippingError(HttpmonError):
    """A log cannot be read or its lines cannot be delivered."""


class SchedulerError(HttpmonError):
    """A transform or a watch cannot be executed as it stands."""
