"""The exact commands that findings give: httpmon's own and requests by curl. Pure; no secret is in any."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from provisioning.settings import EngineSettings


@dataclass(frozen=True, slots=True)
class Remedies:
    """Writes commands for one installation.

    Attributes:
        engine: where the cluster is and how to get in.
        options: the options before the command's name with which httpmon was called (``--url``, ...), which
            a further command needs, too.
    """

    engine: EngineSettings
    options: tuple[str, ...] = ()

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
        engine = self.engine
        words = ["curl", "-fsS"]
        if engine.ca_file is not None:
            words += ["--cacert", str(engine.ca_file)]
        elif engine.insecure:
            words.append("-k")
        if engine.username is not None:
            words += ["-u", engine.username]
        text = shlex.join(words)
        if engine.api_key is not None:
            text += ' -H "authorization: ApiKey $HTTPMON_ENGINE_API_KEY"'
        if method != "GET":
            text += f" -X {method}"
        text += " " + shlex.quote(engine.url.rstrip("/") + path)
        if body is not None:
            text += f" -H 'content-type: application/json' -d {shlex.quote(json.dumps(body))}"
        return text

    def certificate(self, *, of: str = "") -> str:
        """Shows the certificate that the cluster presents; ``of`` are further options for openssl x509."""
        place = urlsplit(self.engine.url)
        host, port = place.hostname or "localhost", place.port or 443
        connect = f"{host}:{port}" if ":" not in host else f"[{host}]:{port}"
        shown = f"openssl s_client -connect {shlex.quote(connect)} -servername {shlex.quote(host)} </dev/null"
        return f"{shown} | openssl x509 {of}".rstrip()
