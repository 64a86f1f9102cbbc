"""The typed model of Elastic's Java client, as a program; see ``java_process``.

For what the server parses in modules that no Maven repository has: watches and ingest processors. An answer
has ``refused``, the reason, or ``body``, what the model has understood. Where it drops a field without a
word, that is seen by comparing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jpype

from tests.contract.elastic.java_process import reasons, serve, start_jvm

# The request that carries each kind, and what it calls the name in its path.
_REQUESTS = {
    "pipeline": ("ingest.PutPipelineRequest", "id"),
    "transform": ("transform.PutTransformRequest", "transformId"),
    "watch": ("watcher.PutWatchRequest", "id"),
}


def understood(kind: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """The body after a way through the client's model; empty where that has no way back.

    Raises the model's exception where it refuses.
    """
    if kind == "pipeline":
        _refuse_unknown_processors(body)
    request, name_of_name = _REQUESTS[kind]
    builder = jpype.JClass(f"co.elastic.clients.elasticsearch.{request}$Builder")()
    getattr(builder, name_of_name)(name)
    builder.withJson(jpype.JClass("java.io.StringReader")(json.dumps(body)))
    mapper = jpype.JClass("co.elastic.clients.json.SimpleJsonpMapper").INSTANCE
    text = jpype.JClass("java.io.StringWriter")()
    generator = mapper.jsonProvider().createGenerator(text)
    try:
        builder.build().serialize(generator, mapper)
    except jpype.JClass("java.lang.NullPointerException"):
        return {}  # without what the model requires and Elasticsearch does not, it cannot be written again
    generator.close()
    return dict(json.loads(str(text.toString())))


def _refuse_unknown_processors(node: Any) -> None:
    """The model takes a processor of a type that it does not know for one of a plugin."""
    if isinstance(node, list):
        for child in node:
            _refuse_unknown_processors(child)
    if not isinstance(node, dict):
        return
    kinds = jpype.JClass("co.elastic.clients.elasticsearch.ingest.Processor$Kind").values()
    known = {str(kind.jsonValue()) for kind in kinds}
    for key in ("processors", "on_failure"):
        for processor in node.get(key) or ():
            unknown = processor.keys() - known
            if unknown:
                raise jpype.JClass("java.lang.IllegalArgumentException")(f"no processor: {unknown}")
    for child in node.values():
        _refuse_unknown_processors(child)


def answer(kind: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer to one request."""
    try:
        return {"refused": None, "body": understood(kind, name, body)}
    except jpype.JException as error:
        return {"refused": reasons(error)}


if __name__ == "__main__":
    start_jvm(Path(sys.argv[1]), sys.argv[2])
    # The model requires more than Elasticsearch does; only unknown fields are asked for here.
    jpype.JClass("co.elastic.clients.util.ApiTypeHelper").DANGEROUS_disableRequiredPropertiesCheck(True)
    serve(answer)
