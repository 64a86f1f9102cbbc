"""What the ingest pipeline costs a line, against pipelines of dissect and of grok that give fewer fields.

    python bench/parsing.py --url http://127.0.0.1:9200 [--rounds 20]

Ready bulk bodies go over one connection through each pipeline and one that does nothing; all end in ``drop``,
so that nothing is indexed. Each figure is the lower quartile of the bodies' times, less that of the pipeline
that does nothing. It puts pipelines of its own into the engine and removes them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from engine.client import Engine  # noqa: E402 - the path is set first
from engine.connection import Connection  # noqa: E402
from provisioning.rendering import render_all  # noqa: E402
from provisioning.settings import EngineSettings, Settings  # noqa: E402
from shipping.bulk_body import ANSWER_FIELDS, Origin, bulk_items  # noqa: E402
from shipping.framing import Block  # noqa: E402
from shipping.scenario import Phase, Tick  # noqa: E402
from shipping.traffic import TrafficGenerator  # noqa: E402

LINES_A_BODY = 1000
BODIES = 10
DISSECT = (
    "%{source.address} %{?ident} %{user.name} [%{time}] "
    '"%{http.request.method} %{url.original} HTTP/%{http.version}" '
    "%{http.response.status_code} %{http.response.body.bytes} "
    '"%{http.request.referrer}" "%{user_agent.original}"'
)
GROK = (
    r"^%{NOTSPACE:source.address} %{NOTSPACE} %{DATA:user.name} \[%{HTTPDATE:time}\] "
    r'"(?:%{WORD:http.request.method} %{NOTSPACE:url.original} HTTP/%{NUMBER:http.version}|%{DATA})" '
    r"%{INT:http.response.status_code} (?:%{INT:http.response.body.bytes}|-) "
    r'"%{DATA:http.request.referrer}" "%{DATA:user_agent.original}"$'
)
REST = """
if (ctx.user.name == '-') { ctx.remove('user'); }
if (ctx.http.request.referrer == '-') { ctx.http.request.remove('referrer'); }
ctx.source.ip = ctx.source.address;
String target = ctx.url.original;
int query = target.indexOf('?');
String path = query < 0 ? target : target.substring(0, query);
ctx.url.path = path;
if (query >= 0) { ctx.url.query = target.substring(query + 1); }
int end = path.indexOf('/', 1);
ctx.httpmon = ['section': end < 0 ? path : path.substring(0, end)];
ctx.event.kind = 'event';
ctx.event.outcome = ctx.http.response.status_code < 400 ? 'success' : 'failure';
"""


def of_processors(first: dict[str, Any]) -> list[dict[str, Any]]:
    """A pipeline of processors as people write them, for what this log has."""
    return [
        first,
        {"date": {"field": "time", "formats": ["dd/MMM/yyyy:HH:mm:ss Z"]}},
        {"remove": {"field": "time"}},
        {"convert": {"field": "http.response.status_code", "type": "long"}},
        {"convert": {"field": "http.response.body.bytes", "type": "long", "ignore_failure": True}},
        {"set": {"field": "event.ingested", "value": "{{{_ingest.timestamp}}}"}},
        {"script": {"source": REST}},
    ]


def bodies_of(content: bytes) -> list[bytes]:
    lines = content.splitlines(keepends=True)
    bodies, offset = [], 0
    for first in range(0, len(lines), LINES_A_BODY):
        part = b"".join(lines[first : first + LINES_A_BODY])
        block = Block(offset, part, offset + len(part))
        bodies.append(b"".join(bulk_items(block, Origin("bench-parse", "bench"))))
        offset += len(part)
    return bodies


def seconds(engine: Engine, pipeline: str, bodies: list[bytes]) -> list[float]:
    """What each body took."""
    taken = []
    for body in bodies:
        params = {"pipeline": pipeline, "filter_path": ANSWER_FIELDS}
        begun = time.perf_counter()
        answer = engine.bulk(body, target="logs-httpmon.bench_parsing-default", params=params)
        taken.append(time.perf_counter() - begun)
        if answer.get("errors"):
            raise SystemExit(f"{pipeline}: {json.dumps(answer)[:400]}")
    return taken


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--url", default="http://127.0.0.1:9200")
    arguments.add_argument("--rounds", type=int, default=20)
    given = arguments.parse_args()
    settings = Settings(namespace="bench_parsing", engine=EngineSettings(url=given.url))
    content = TrafficGenerator(1).lines(Tick(0.0, LINES_A_BODY * BODIES, Phase(None, 1.0)), time.time())
    bodies = bodies_of(content)
    with Engine(Connection(given.url)) as engine:
        rendered = {
            one.stem: one for one in render_all(settings, engine.capabilities()) if one.kind == "pipeline"
        }
        pipelines: dict[str, list[dict[str, Any]]] = {
            "nothing": [],
            "httpmon": rendered["access"].body["processors"],
            "httpmon, family": rendered["access_common"].body["processors"],
            "dissect": of_processors({"dissect": {"field": "event.original", "pattern": DISSECT}}),
            "grok": of_processors({"grok": {"field": "event.original", "patterns": [GROK]}}),
        }
        names = {title: f"httpmon-bench-parsing-{number}" for number, title in enumerate(pipelines)}
        try:
            for title, processors in pipelines.items():
                body = {"processors": [*processors, {"drop": {}}]}
                engine.request("PUT", f"/_ingest/pipeline/{names[title]}", body=body)
            for name in names.values():  # compile, and warm up
                for _ in range(3):
                    seconds(engine, name, bodies)
            taken: dict[str, list[float]] = {title: [] for title in names}
            for _ in range(given.rounds):
                for title, name in names.items():
                    taken[title] += seconds(engine, name, bodies)
        finally:
            for name in names.values():
                engine.request("DELETE", f"/_ingest/pipeline/{name}")
    typical = {title: statistics.quantiles(times, n=4)[0] for title, times in taken.items()}
    cost = {title: (one - typical["nothing"]) / LINES_A_BODY * 1e6 for title, one in typical.items()}
    for title in list(names)[1:]:
        print(f"{title:16} {cost[title]:6.1f} us a line   {cost[title] / cost['dissect']:.2f} of dissect")


if __name__ == "__main__":
    main()
