"""The client: every request to the cluster goes through ``Engine``.

Built on ``elasticsearch-py`` 8.x, whose connection pool, TLS, authentication and retries are used as is.
Requests are given by method and path, as the engines' own documentation gives them: so a plan is data,
and one client serves both families.
"""

from __future__ import annotations

import json
import re
import threading
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import elastic_transport
from elastic_transport.client_utils import basic_auth_to_header
from elasticsearch import ApiError, Elasticsearch, ElasticsearchWarning, UnsupportedProductError

from engine.capabilities import (
    Capabilities,
    deduce_capabilities,
    features_of_licence,
    flavour_and_version,
)
from engine.connection import Connection, tls_failure
from engine.errors import (
    Conflict,
    EngineError,
    EngineUnreachable,
    EngineUntrusted,
    NotFound,
    NotPermitted,
    RequestRefused,
)
from engine.opensearch import OpenSearchHttpNode
from engine.privileges import missing_privilege

_JSON = {"accept": "application/json", "content-type": "application/json"}
_NDJSON = {"accept": "application/json", "content-type": "application/x-ndjson"}
# What the engine says of overload and of a node that is not ready yet, after all retries.
_UNAVAILABLE = frozenset({429, 502, 503, 504})
# What a node calls its cluster until it has recovered the cluster's state.
_UNKNOWN_CLUSTER = "_na_"

Params = Mapping[str, str | int | float | bool]


class Engine(AbstractContextManager["Engine"]):
    """One cluster, Elasticsearch 8/9 or OpenSearch 2/3; safe to share between threads.

    The first request asks what the engine is; nothing is sent before.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._client: Elasticsearch | None = None
        self._root: dict[str, Any] = {}
        self._capabilities: Capabilities | None = None

    @property
    def url(self) -> str:
        """The cluster's URL, without credentials."""
        return self._connection.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; a later request opens them again."""
        # Without the lock: who has it may wait for an engine that never answers what it is.
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        params: Params | None = None,
        timeout_seconds: float | None = None,
    ) -> Any:
        """Send one JSON request and return the parsed answer.

        Raises EngineUnreachable, NotFound, Conflict, NotPermitted or RequestRefused.
        """
        return self._send(method, path, _JSON, body, params, timeout_seconds)

    def bulk(
        self,
        body: bytes,
        *,
        target: str | None = None,
        params: Params | None = None,
        timeout_seconds: float | None = None,
    ) -> Any:
        """Post a ready NDJSON body to ``_bulk`` and return the parsed answer, whose items may hold errors.

        ``target`` is the index or data stream for actions that name none. Raises as ``request`` does.
        """
        path = f"/{target}/_bulk" if target else "/_bulk"
        return self._send("POST", path, _NDJSON, body, params, timeout_seconds)

    def msearch(
        self,
        searches: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]],
        *,
        templates: bool = False,
        params: Params | None = None,
        timeout_seconds: float | None = None,
    ) -> list[dict[str, Any]]:
        """Run (header, body) pairs in one round trip; the answers in the same order, errors among them.

        An answer that failed carries ``error`` and ``status`` instead of hits: see ``raise_for_error``. With
        ``templates`` a body is a search template, ``{"source" or "id", "params"}``, which the engine renders.
        """
        path = "/_msearch/template" if templates else "/_msearch"
        lines = [json.dumps(part, separators=(",", ":")) for pair in searches for part in pair]
        answer = self._send(
            "POST", path, _NDJSON, ("\n".join(lines) + "\n").encode(), params, timeout_seconds
        )
        return list(answer["responses"])

    def capabilities(self) -> Capabilities:
        """What the engine can run by itself; asked once, then remembered."""
        if self._capabilities is None:
            self._connected()
            xpack = None
            if flavour_and_version(self._root)[0] == "elasticsearch":
                xpack = self._ask_features()
            self._capabilities = deduce_capabilities(self._root, xpack)
        return self._capabilities

    def _ask_features(self) -> dict[str, Any]:
        try:
            answer = self.request("GET", "/_xpack", params={"categories": "license,features"})
        except NotPermitted:
            raise
        except RequestRefused:
            # It asks every module of the distribution, and fails as a whole where one was left out.
            answer = features_of_licence(self.request("GET", "/_license"))
        return dict(answer)

    def cluster_uuid(self) -> str:
        """What tells this cluster from every other one, also behind the same URL; asked each time.

        Raises EngineUnreachable while a node that was just started does not know yet what it holds: it
        answers, and says of every index that it is not there.
        """
        uuid = str(self.request("GET", "/").get("cluster_uuid", ""))
        if uuid == _UNKNOWN_CLUSTER:
            raise EngineUnreachable(f"the engine at {self.url} has not recovered its state yet")
        return uuid

    def now(self) -> datetime:
        """The clock of the engine, the one that stamps ``event.ingested``: UTC, microseconds.

        Where no node has the role ingest, that of a node: UTC, milliseconds.
        """
        try:
            answer = self.request("POST", "/_ingest/pipeline/_simulate", body=_CLOCK)
        except RequestRefused as refused:
            # Elasticsearch simulates pipelines on ingest nodes only (seen on 8.10.4).
            if "no ingest nodes" not in refused.reason:
                raise
            return self._clock_of_a_node()
        stamp: str = answer["docs"][0]["doc"]["_ingest"]["timestamp"]
        return datetime.fromisoformat(stamp).astimezone(UTC)

    def _clock_of_a_node(self) -> datetime:
        params = {"filter_path": "nodes.*.timestamp"}
        nodes = self.request("GET", "/_nodes/_local/stats/process", params=params)["nodes"]
        (node,) = nodes.values()
        return datetime.fromtimestamp(node["timestamp"] / 1000, UTC)

    # -- below: the transport's edge ---------------------------------------------------------------------

    def _connected(self) -> Elasticsearch:
        with self._lock:
            client = self._client
            if client is None:
                self._root = self._ask_root()
                opensearch = flavour_and_version(self._root)[0] == "opensearch"
                node_class = OpenSearchHttpNode if opensearch else elastic_transport.Urllib3HttpNode
                client = self._client = self._new_client(node_class)
            return client

    def _ask_root(self) -> dict[str, Any]:
        # OpenSearch's node class also reaches Elasticsearch: it only leaves the vendor media type out.
        with self._new_client(OpenSearchHttpNode) as probe:
            root = self._call(probe, "GET", "/", _JSON, None, None)
        try:
            flavour_and_version(root if isinstance(root, dict) else {})
        except ValueError as error:
            raise EngineError(
                f"{self.url} answers, but not as Elasticsearch or OpenSearch do: {error}; check engine.url"
            ) from None
        return dict(root)

    def _new_client(self, node_class: type[elastic_transport.BaseNode]) -> Elasticsearch:
        connection = self._connection
        options: dict[str, Any] = {
            "node_class": node_class,
            "request_timeout": connection.request_timeout_seconds,
            "max_retries": connection.max_retries,
            "retry_on_timeout": False,
            "retry_on_status": tuple(_UNAVAILABLE),
            "connections_per_node": connection.connections,
            "http_compress": connection.compress,
        }
        if connection.api_key is not None:
            options["api_key"] = connection.api_key
        elif connection.username is not None:
            # The client's own way takes ASCII only.
            given = basic_auth_to_header((connection.username, connection.password or ""))
            options["headers"] = {"authorization": given}
        if connection.url.startswith("https:"):
            options["verify_certs"] = connection.verify_certificates
            options["ssl_show_warn"] = False
            if connection.ca_file is not None:
                options["ca_certs"] = str(connection.ca_file)
        try:
            return Elasticsearch(connection.url, **options)
        except (ValueError, OSError) as error:
            raise EngineError(f"cannot use the engine at {connection.url}: {error}") from None

    def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Any,
        params: Params | None,
        timeout_seconds: float | None,
    ) -> Any:
        client = self._connected()
        if timeout_seconds is not None:
            client = client.options(request_timeout=timeout_seconds)
        return self._call(client, method, path, headers, body, params)

    def _call(
        self,
        client: Elasticsearch,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Any,
        params: Params | None,
    ) -> Any:
        sent = dict(headers)
        if body is None:
            del sent["content-type"]
        try:
            with warnings.catch_warnings():
                # Deprecation headers are the provisioner's concern, not the reader's of a terminal.
                warnings.simplefilter("ignore", ElasticsearchWarning)
                answer = client.perform_request(
                    method, path, params=dict(params) if params else None, headers=sent, body=body
                )
        except UnsupportedProductError:  # an ApiError too, so it comes first
            raise EngineError(f"{self.url} is no Elasticsearch or OpenSearch; check engine.url") from None
        except ApiError as error:
            raise self._refused(method, path, error.meta.status, error.body) from None
        except elastic_transport.TransportError as error:
            raise self._unreachable(error) from None
        return answer.body

    def _unreachable(self, error: elastic_transport.TransportError) -> EngineUnreachable:
        if isinstance(error, elastic_transport.ConnectionTimeout):
            cause = f"no answer within {self._connection.request_timeout_seconds:g} s"
        elif isinstance(error, elastic_transport.TlsError):
            cause = tls_failure(_innermost(error), "engine.ca_file")
            return EngineUntrusted(f"cannot reach the engine at {self.url}: {cause}")
        else:
            cause = _innermost(error)
        return EngineUnreachable(f"cannot reach the engine at {self.url}: {cause}")

    def _refused(self, method: str, path: str, status: int, body: Any) -> EngineError:
        return refusal(f"{method} {path}", status, body, where=self.url)


def refusal(what: str, status: int, body: Any, *, where: str) -> EngineError:
    """Turn an engine's error answer into an exception that names ``what`` was asked of ``where``."""
    error_type, reason = _error_of(body)
    if status in _UNAVAILABLE:
        return EngineUnreachable(
            f"the engine at {where} answers {status} to {what}: {reason or 'overloaded'}"
        )
    kind = RequestRefused
    if status == 404:
        kind = NotFound
    elif status == 409:
        kind = Conflict
    elif status in (401, 403):
        kind = NotPermitted
    told = reason or error_type or "no reason given"
    if status == 401:
        told = f"{told}; engine.username and engine.password, or engine.api_key, say who asks"
    if status == 403:
        told = missing_privilege(reason) or told
    return kind(f"{what}: {status} {told}", status=status, error_type=error_type, reason=reason, body=body)


def raise_for_error(what: str, answer: Mapping[str, Any], *, where: str) -> None:
    """Raise what an answer inside ``_msearch`` (or a bulk item) holds as an error; do nothing without one."""
    if "error" in answer:
        raise refusal(what, int(answer.get("status", 500)), answer, where=where)


_CLOCK = {"pipeline": {"processors": []}, "docs": [{"_source": {}}]}


def _error_of(body: Any) -> tuple[str, str]:
    """The type and the most telling reason of an error body; engines nest them differently."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return "", str(error or "")[:500]
    reason = str(error.get("reason") or "")
    cause = error.get("caused_by") or _first_failure(error)
    while isinstance(cause, dict):
        deeper = str(cause.get("reason") or "")
        if deeper and deeper not in reason:
            reason = f"{reason}: {deeper}" if reason else deeper
        cause = cause.get("caused_by")
    return str(error.get("type") or ""), reason


def _first_failure(error: Mapping[str, Any]) -> Any:
    """What the first shard says; Elasticsearch repeats it as ``caused_by`` for some errors only."""
    failed = error.get("failed_shards")
    first = failed[0] if isinstance(failed, list) and failed else None
    return first.get("reason") if isinstance(first, dict) else None


def _innermost(error: elastic_transport.TransportError) -> str:
    causes = [cause for cause in error.errors if isinstance(cause, Exception)]
    text = str(getattr(causes[-1] if causes else error, "message", causes[-1] if causes else error))
    # urllib3 puts the connection object first: "HTTPConnection(host=..., port=...): Failed to ..."
    return re.sub(r"^\S*Connection(\(.*?\)| object at \S+): ", "", text)
