"""The client of Kibana: JSON requests, and files of saved objects. Nothing else speaks to it.

Built on the HTTP node of ``elastic-transport``, whose pool and TLS are used as they are.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import elastic_transport
from elastic_transport.client_utils import basic_auth_to_header, url_to_node_config

from engine.connection import Connection, tls_failure
from engine.errors import Conflict, EngineError, EngineUnreachable, NotFound, NotPermitted, RequestRefused

_UNAVAILABLE = (429, 502, 503, 504)
DEFAULT_SPACE = "default"


class Kibana:
    """One space of a Kibana. Nothing is sent before the first request.

    Args:
        connection: where it is and how to get in.
        space: the space's id; every path but that of the space itself stands below it.
    """

    def __init__(self, connection: Connection, space: str = DEFAULT_SPACE) -> None:
        self._connection = connection
        self._space = space
        try:
            config = url_to_node_config(connection.url, use_default_ports_for_scheme=True)
        except ValueError as error:
            raise EngineError(f"cannot use the Kibana at {connection.url}: {error}") from None
        changes: dict[str, Any] = {
            "headers": elastic_transport.HttpHeaders(self._headers()),
            "request_timeout": connection.request_timeout_seconds,
        }
        if connection.url.startswith("https:"):
            changes |= {"verify_certs": connection.verify_certificates, "ssl_show_warn": False}
            if connection.ca_file is not None:
                changes["ca_certs"] = str(connection.ca_file)
        try:
            self._node = elastic_transport.Urllib3HttpNode(config.replace(**changes))
        except (ValueError, OSError) as error:
            raise EngineError(f"cannot use the Kibana at {connection.url}: {error}") from None

    @property
    def url(self) -> str:
        """Kibana's URL, without credentials."""
        return self._connection.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._node.close()

    def check_space(self) -> None:
        """Raise NotFound if the space is not there: Kibana itself takes objects for any space."""
        if self._space == DEFAULT_SPACE:
            return
        try:
            self._send("GET", f"/api/spaces/space/{self._space}", {}, None, None)
        except NotFound as error:
            raise NotFound(
                f"kibana.space: the Kibana at {self.url} has no space {self._space!r}; make it there first",
                status=404,
                body=error.body,
            ) from None

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        params: Mapping[str, str | int | float | bool] | None = None,
        timeout_seconds: float | None = None,
    ) -> Any:
        """Send one request and return the parsed answer; a list for a file of objects.

        A body that is a list is sent as such a file, of one object a line. Raises EngineUnreachable,
        NotFound, Conflict, NotPermitted or RequestRefused, also for an import that was refused in part.
        """
        prefix = "" if self._space == DEFAULT_SPACE else f"/s/{self._space}"
        target = f"{prefix}{path}"
        if params:
            written = {
                key: str(value).lower() if isinstance(value, bool) else value for key, value in params.items()
            }
            target += f"?{urlencode(written)}"
        content: bytes | None = None
        headers: dict[str, str] = {}
        if isinstance(body, Mapping):
            content, headers = json.dumps(body).encode(), {"content-type": "application/json"}
        elif body is not None:
            content, headers = _as_file(body)
        answer = self._send(method, target, headers, content, timeout_seconds)
        if isinstance(answer, dict) and answer.get("success") is False:
            raise self._import_failed(f"{method} {path}", answer)
        return answer

    def _headers(self) -> dict[str, str]:
        # Kibana refuses requests without kbn-xsrf, so that no page of another site can make them.
        headers = {"kbn-xsrf": "httpmon", "accept": "application/json"}
        connection = self._connection
        if connection.api_key is not None:
            headers["authorization"] = f"ApiKey {connection.api_key}"
        elif connection.username is not None:
            headers["authorization"] = basic_auth_to_header((connection.username, connection.password or ""))
        return headers

    def _send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        content: bytes | None,
        timeout_seconds: float | None,
    ) -> Any:
        try:
            answer = self._node.perform_request(
                method,
                target,
                body=content,
                headers=elastic_transport.HttpHeaders({**self._headers(), **headers}),
                request_timeout=timeout_seconds or self._connection.request_timeout_seconds,
            )
        except elastic_transport.TransportError as error:
            raise EngineUnreachable(f"cannot reach Kibana at {self.url}: {self._cause(error)}") from None
        status = answer.meta.status
        media_type = answer.meta.mimetype or ""
        try:
            parsed = _parsed(answer.body, media_type)
        except ValueError:
            parsed = None
        what = f"{method} {target.partition('?')[0]}"
        if status in _UNAVAILABLE:
            raise EngineUnreachable(f"Kibana at {self.url} is not ready: it answers {status} to {what}")
        if status >= 300 or parsed is None:
            raise self._refused(what, status, parsed)
        return parsed

    def _cause(self, error: elastic_transport.TransportError) -> str:
        if isinstance(error, elastic_transport.ConnectionTimeout):
            return f"no answer within {self._connection.request_timeout_seconds:g} s"
        innermost = [cause for cause in error.errors if isinstance(cause, Exception)]
        text = str(innermost[-1] if innermost else error.message)
        if isinstance(error, elastic_transport.TlsError):
            return tls_failure(text, "kibana.ca_file")
        return text.rpartition(": ")[2]

    def _refused(self, what: str, status: int, parsed: Any) -> EngineError:
        message = str(parsed.get("message", "")) if isinstance(parsed, dict) else ""
        if status == 401:
            return NotPermitted(
                f"Kibana at {self.url} does not know who asks (401): set kibana.username and "
                "kibana.password, or kibana.api_key",
                status=status,
                body=parsed,
            )
        if status == 403:
            return NotPermitted(
                f"Kibana at {self.url} does not permit it (403): {message or what}; the user needs all "
                f"privileges of Saved Objects Management in the space {self._space}",
                status=status,
                body=parsed,
            )
        if not isinstance(parsed, dict) or "statusCode" not in parsed:
            return EngineError(f"{self.url} answers, but not as Kibana does; check kibana.url")
        kinds: dict[int, type[RequestRefused]] = {404: NotFound, 409: Conflict}
        kind = kinds.get(status, RequestRefused)
        return kind(f"{what}: {status} {message}", status=status, reason=message, body=parsed)

    def _import_failed(self, what: str, answer: Mapping[str, Any]) -> RequestRefused:
        errors = answer.get("errors") or [{}]
        first = errors[0]
        told = first.get("error", {})
        name = f"{first.get('type')} {first.get('id')}"
        reason = str(told.get("message") or told.get("type") or "no reason given")
        more = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
        return RequestRefused(f"{what}: {name}: {reason}{more}", status=200, reason=reason, body=answer)


def _as_file(objects: Sequence[Any]) -> tuple[bytes, dict[str, str]]:
    """The form with one file that Kibana's import takes; the file's name must end in ``.ndjson``."""
    boundary = uuid.uuid4().hex
    lines = "".join(json.dumps(one, separators=(",", ":")) + "\n" for one in objects)
    content = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="httpmon.ndjson"\r\n'
        f"Content-Type: application/ndjson\r\n\r\n{lines}\r\n--{boundary}--\r\n"
    )
    return content.encode(), {"content-type": f"multipart/form-data; boundary={boundary}"}


def _parsed(content: bytes, media_type: str) -> Any:
    if media_type == "application/ndjson":
        return [json.loads(line) for line in content.splitlines() if line.strip()]
    return json.loads(content) if content.strip() else {}
