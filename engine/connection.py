"""Where the cluster is and how to get in: plain values, made by the settings, used by the client."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Connection:
    """What is needed to reach one cluster.

    Attributes:
        url: ``http(s)://host:port[/path]``, without credentials.
        username, password: for basic authentication; both or neither.
        api_key: Elasticsearch API key in its encoded form; instead of a password.
        ca_file: PEM file of the authority that signed the cluster's certificate.
        verify_certificates: False accepts any certificate (``--insecure``).
        request_timeout_seconds: for one request, one attempt.
        max_retries: further attempts after a connection error or a 429, 502, 503, 504.
        connections: how many requests may be under way at once.
        compress: gzip request bodies.
    """

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    verify_certificates: bool = True
    request_timeout_seconds: float = 30.0
    max_retries: int = 3
    connections: int = 10
    compress: bool = False


def tls_failure(said: str, ca_file: str) -> str:
    """What TLS said went wrong, with the way out; ``ca_file`` is the setting that names an authority."""
    plain = "wrong version number" in said.lower()
    way = "is it http instead of https?" if plain else f"{ca_file} names a private authority"
    return f"TLS failed: {said} ({way})"
