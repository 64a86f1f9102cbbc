"""Writes the lists of jars beside it anew, after a change of VERSIONS.

``python -m tests.contract.elastic.lock``: a developer's tool, half a minute. The lists have the form of the
local node's, which fetches them.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from localnode.lock import closure, pinned

# What is parsed by: the oldest server that is supported, the last 8.x and a 9.x, and the typed client, which
# knows watches and ingest processors; and the Ruby in which Logstash 8.19 runs scripts. For each the Java
# that it is compiled for.
_SERVER = ("org.elasticsearch.plugin:x-pack-core:{version}", "org.elasticsearch:elasticsearch:{version}")
VERSIONS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "server-8.10": ("8.10.4", 17, _SERVER),
    "server-8": ("8.19.21", 17, _SERVER),
    "server-9": ("9.5.3", 21, _SERVER),
    "client": ("9.2.8", 17, ("co.elastic.clients:elasticsearch-java:{version}",)),
    "jruby": ("9.4.9.0", 8, ("org.jruby:jruby-complete:{version}",)),
}
# Asked for and never loaded: what no repository serves, directories, HTTP, other JSON libraries.
_LEFT_OUT = frozenset(
    {
        *("x-pack-template-resources", "unboundid-ldapsdk", "icu4j"),
        *("httpclient", "httpcore", "httpcore-nio", "httpasyncclient", "httpclient5", "httpcore5"),
        *("httpcore5-h2", "elasticsearch-rest5-client", "jackson-databind", "jackson-core"),
        *("jackson-annotations", "opentelemetry-api", "opentelemetry-context", "opentelemetry-semconv"),
    }
)


def main() -> None:
    """Write every list and say what is in it."""
    from jgo.maven import MavenContext, PythonResolver

    for name, (version, java, coordinates) in VERSIONS.items():
        with tempfile.TemporaryDirectory() as repository:
            context = MavenContext(resolver=PythonResolver(), repo_cache=Path(repository), timeout=60)
            found = closure(context, (each.format(version=version) for each in coordinates), _LEFT_OUT)
            jars = [json.dumps(pinned(artifact, "lib")) for artifact in found]
        head = json.dumps({"version": version, "java": java, "modules": []})[:-1]
        output = Path(__file__).with_name(f"{name}.json")
        output.write_text(head + ', "jars": [\n' + ",\n".join(jars) + "\n]}\n", encoding="utf-8")
        sys.stdout.write(f"{output}: {len(jars)} jars\n")


if __name__ == "__main__":
    main()
