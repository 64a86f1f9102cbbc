"""Lets ``elasticsearch-py`` 8.x talk to OpenSearch.

Two things differ on the wire: OpenSearch does not know the ``application/vnd.elasticsearch+json`` media types
(it answers 406), and it does not send ``x-elastic-product``, which the client checks on every answer. The
node class below adapts both at the transport's edge. On Elasticsearch it must not be used: there the media
type asks for version-8 behaviour, and the product check is wanted.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from elastic_transport import HttpHeaders, Urllib3HttpNode
from elastic_transport._node import NodeApiResponse
from elastic_transport.client_utils import DEFAULT, DefaultType

_VENDOR_MEDIA_TYPE = re.compile(r"application/vnd\.elasticsearch\+([\w.-]+)\s*;\s*compatible-with=\d+")


class OpenSearchHttpNode(Urllib3HttpNode):
    """A transport node that speaks plain media types and supplies the product header."""

    def perform_request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: HttpHeaders | None = None,
        request_timeout: DefaultType | float | None = DEFAULT,
    ) -> NodeApiResponse:
        """Send one request; raises what ``Urllib3HttpNode`` raises."""
        answer = super().perform_request(
            method, target, body=body, headers=_plain_media_types(headers), request_timeout=request_timeout
        )
        answer_headers: Any = HttpHeaders(answer.meta.headers)
        answer_headers["x-elastic-product"] = "Elasticsearch"
        return NodeApiResponse(dataclasses.replace(answer.meta, headers=answer_headers), answer.body)


def _plain_media_types(headers: HttpHeaders | None) -> HttpHeaders | None:
    if headers is None:
        return None
    plain = HttpHeaders(headers)
    for name in ("accept", "content-type"):
        if name in plain:
            plain[name] = _VENDOR_MEDIA_TYPE.sub(r"application/\1", plain[name])
    return plain
