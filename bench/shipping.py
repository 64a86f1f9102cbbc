"""How fast the shipper is, against its limits in the same run.

    python bench/shipping.py --url http://127.0.0.1:9200 [--lines 200000]

Three figures: what the engine takes when the same bodies, built before, are posted by a bare loop on as many
connections; what ``httpmon ship --once`` brings to the same engine; and what it reads, frames and sends to a
sink that answers at once. It makes two namespaces of its own and removes them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from engine.client import Engine  # noqa: E402 - the path is set first
from engine.connection import Connection  # noqa: E402
from provisioning.apply import apply_plan  # noqa: E402
from provisioning.installation import plan_removal, provision  # noqa: E402
from provisioning.settings import EngineSettings, Settings  # noqa: E402
from shipping.bulk_body import ANSWER_FIELDS, Origin, bulk_items  # noqa: E402
from shipping.framing import Block  # noqa: E402
from shipping.scenario import Phase, Tick  # noqa: E402
from shipping.traffic import TrafficGenerator  # noqa: E402

CONNECTIONS = 4
LINES_A_BODY = 1000
# The shipper alone must reach this on one core.
SINK_LIMIT = 150_000


def made_lines(count: int) -> bytes:
    return TrafficGenerator(1).lines(Tick(0.0, count, Phase(None, 1.0)), time.time())


def bare_loop(engine: Engine, target: str, content: bytes) -> float:
    """Seconds to post ready bodies; making them is not counted."""
    lines = content.splitlines(keepends=True)
    bodies, offset = [], 0
    for first in range(0, len(lines), LINES_A_BODY):
        part = b"".join(lines[first : first + LINES_A_BODY])
        bodies.append(
            b"".join(bulk_items(Block(offset, part, offset + len(part)), Origin("bench-bare12", "bench")))
        )
        offset += len(part)
    begun = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(
            pool.map(
                lambda body: engine.bulk(body, target=target, params={"filter_path": ANSWER_FIELDS}), bodies
            )
        )
    return time.perf_counter() - begun


def shipped(url: str, namespace: str, log: Path) -> float:
    """Seconds of a whole ``httpmon ship --once``, its start not counted."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HTTPMON_")}
    command = [
        sys.executable,
        "-m",
        "httpmon",
        "--url",
        url,
        "--namespace",
        namespace,
        "ship",
        "--once",
        "--registry",
    ]

    def run(file: Path) -> float:
        begun = time.perf_counter()
        subprocess.run(
            [*command, str(file.with_suffix(f".{namespace}")), str(file)],
            cwd=ROOT,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return time.perf_counter() - begun

    empty = log.with_name("empty.log")
    empty.write_bytes(b"")
    return run(log) - run(empty)


class Sink(BaseHTTPRequestHandler):
    """Takes every bulk request at once, and answers what the shipper asks before."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        count = body.count(b'{"create":')
        self._answer(b'{"errors":false,"items":[' + b",".join([b'{"create":{"status":201}}'] * count) + b"]}")

    def do_GET(self) -> None:
        if self.path == "/":
            answer: object = {
                "cluster_uuid": "sink",
                "version": {"number": "3.8.0", "distribution": "opensearch"},
            }
        else:
            answer = {"sink": {"settings": {"index": {"default_pipeline": "sink"}}}}
        self._answer(json.dumps(answer).encode())

    def _answer(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--url", default="http://127.0.0.1:9200")
    arguments.add_argument("--lines", type=int, default=200_000)
    given = arguments.parse_args()
    content = made_lines(given.lines)
    with (
        Engine(Connection(given.url, connections=CONNECTIONS)) as engine,
        tempfile.TemporaryDirectory() as folder,
    ):
        log = Path(folder) / "access.log"
        log.write_bytes(content)
        namespaces = [
            Settings(namespace=name, engine=EngineSettings(url=given.url))
            for name in ("bench_bare", "bench_ship")
        ]
        try:
            for settings in namespaces:
                provision(engine, settings)
            bare = given.lines / bare_loop(engine, namespaces[0].names.raw, content)
            ours = given.lines / shipped(given.url, namespaces[1].namespace, log)
        finally:
            for settings in namespaces:
                for _ in apply_plan(engine, plan_removal(engine, settings, data=True)):
                    pass
        sink = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        many = Path(folder) / "many.log"
        many.write_bytes(content * 5)
        alone = 5 * given.lines / shipped(f"http://127.0.0.1:{sink.server_port}", "sink", many)
        sink.shutdown()
    print(f"bare loop, ready bodies    {bare:9,.0f} lines/s")
    print(f"httpmon ship               {ours:9,.0f} lines/s   {ours / bare:.2f} of the bare loop")
    print(f"httpmon ship into a sink   {alone:9,.0f} lines/s   {alone / SINK_LIMIT:.2f} of {SINK_LIMIT:,}")


if __name__ == "__main__":
    main()
