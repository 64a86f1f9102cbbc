"""The exact commands that findings give: httpmon's own and requests by curl. Pure; no secret is in any."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from provisioning.access import AccessSettings, KibanaSettings
from provisioning.settings import EngineSettings


@dataclass(frozen=True, slots=True)
class Remedies:
    """Writes commands for one installation.

    Attributes:
        engine: where the cluster is and how to get in.
        options: the options before the command's name with which httpmon was called (``--url``, ...), which
            a further command needs, too.
        kibana: where Kibana is and how to get in.
    """

    engine: EngineSettings
    options: tuple[str, ...] = ()
    kibana: KibanaSettings = field(default_factory=KibanaSettings)

    def httpmon(self, *arguments: str) -> str:
        """A command of httpmon's."""
        return shlex.join(["httpmon", *self.options, *arguments])

    def elsewhere(self, *arguments: str) -> str:
        """A command of httpmon's under another namespace, whose name is still to be found."""
        kept = [*self.options]
        if "--namespace" in kept:
            place = kept.index("--namespace")
            del kept[place : place + 2]
        return shlex.join(["httpmon", *kept, "--namespace", "OTHER", *arguments])

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> str:
        """A request to the cluster; curl asks for a password, and an API key is taken from its variable."""
        text = _curl(self.engine, "HTTPMON_ENGINE_API_KEY")
        if method != "GET":
            text += f" -X {method}"
        text += " " + shlex.quote(self.engine.url.rstrip("/") + path)
        if body is not None:
            text += f" -H 'content-type: application/json' -d {shlex.quote(json.dumps(body))}"
        return text

    def ask_kibana(self, path: str) -> str:
        """A question to Kibana, as ``request`` asks the cluster."""
        url = shlex.quote((self.kibana.url or "").rstrip("/") + path)
        return f"{_curl(self.kibana, 'HTTPMON_KIBANA_API_KEY')} {url}"

    def certificate(self, *, of: str = "") -> str:
        """Shows the certificate that the cluster presents; ``of`` are further options for openssl x509."""
        place = urlsplit(self.engine.url)
        host, port = place.hostname or "localhost", place.port or 443
        connect = f"{host}:{port}" if ":" not in host else f"[{host}]:{port}"
        shown = f"openssl s_client -connect {shlex.quote(connect)} -servername {shlex.quote(host)} </dev/null"
        return f"{shown} | openssl x509 {of}".rstrip()


def _curl(access: AccessSettings, key_variable: str) -> str:
    """Curl with the way in, before the request itself."""
    words = ["curl", "-fsS"]
    if access.ca_file is not None:
        words += ["--cacert", str(access.ca_file)]
    elif access.insecure:
        words.append("-k")
    if access.username is not None:
        words += ["-u", access.username]
    text = shlex.join(words)
    if access.api_key is not None:
        text += f' -H "authorization: ApiKey ${key_variable}"'
    return text
