"""Lets ``elasticsearch-py`` 8.x talk to OpenSearch, at little cost for each request.

Two things differ on the wire: OpenSearch does not know the ``application/vnd.elasticsearch+json`` media types
(it answers 406), and it does not send ``x-elastic-product``, which the client checks on every answer. The
node class below adapts both at the transport's edge. On Elasticsearch it must not be used: there the media
type asks for version-8 behaviour, and the product check is wanted.

A scheduler sends some 20 requests a second, so what a request costs is what a scheduler costs: headers are
prepared once, and of an answer's headers only the content type is looked at.
"""

from __future__ import annotations

import gzip
import re
import ssl
import time
from collections.abc import Mapping

import elastic_transport
import urllib3
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig, TransportError, Urllib3HttpNode
from elastic_transport._node import NodeApiResponse
from elastic_transport.client_utils import DEFAULT, DefaultType
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError
from urllib3.exceptions import SSLError as UrllibSslError

_VENDOR_MEDIA_TYPE = re.compile(r"application/vnd\.elasticsearch\+([\w.-]+)\s*;\s*compatible-with=\d+")
# The transport retries, so that the connection pool must not.
_NO_RETRIES = urllib3.Retry(False)


class OpenSearchHttpNode(Urllib3HttpNode):
    """A transport node that speaks plain media types and supplies the product header."""

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        # By what the client gave: it gives the same few sets of headers again and again.
        self._prepared: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}

    def perform_request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: HttpHeaders | None = None,
        request_timeout: DefaultType | float | None = DEFAULT,
    ) -> NodeApiResponse:
        """Send one request. Raises elastic_transport's ConnectionError, ConnectionTimeout and TlsError."""
        begun = time.time()
        sent: Mapping[str, str] = self._plain(headers)
        if body and self._http_compress:
            body, sent = gzip.compress(body), {**sent, "content-encoding": "gzip"}
        timeout = self.pool.timeout if isinstance(request_timeout, DefaultType) else request_timeout
        try:
            answer = self.pool.urlopen(
                method,
                f"{self.path_prefix}{target}",
                body=body or None,
                headers=sent,
                retries=_NO_RETRIES,
                timeout=timeout,
            )
            content = answer.data
        except (HTTPError, OSError) as error:
            raise _as_transport_error(error) from error
        told = HttpHeaders({"x-elastic-product": "Elasticsearch"})
        content_type = answer.headers.get("content-type")
        if content_type is not None:
            told["content-type"] = content_type
        meta = ApiResponseMeta(
            node=self.config,
            duration=time.time() - begun,
            http_version="1.1",
            status=answer.status,
            headers=told,
        )
        return NodeApiResponse(meta, content)

    def _plain(self, headers: HttpHeaders | None) -> dict[str, str]:
        given = tuple(headers.items()) if headers else ()
        prepared = self._prepared.get(given)
        if prepared is None:
            together = HttpHeaders(self._headers)
            together.update(given)
            for name in ("accept", "content-type"):
                if name in together:
                    together[name] = _VENDOR_MEDIA_TYPE.sub(r"application/\1", together[name])
            prepared = self._prepared[given] = dict(together.items())
        return prepared


def _as_transport_error(error: Exception) -> TransportError:
    if isinstance(error, NewConnectionError):
        return elastic_transport.ConnectionError(str(error), errors=(error,))
    if isinstance(error, ConnectTimeoutError | ReadTimeoutError | TimeoutError):
        return elastic_transport.ConnectionTimeout("Connection timed out during request", errors=(error,))
    if isinstance(error, ssl.SSLError | UrllibSslError):
        return elastic_transport.TlsError(str(error), errors=(error,))
    return elastic_transport.ConnectionError(str(error), errors=(error,))
