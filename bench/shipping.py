"""How fast the shipper is, against its limits in the same run.

    python bench/shipping.py --url http://127.0.0.1:9200 [--lines 200000] [--rounds 3]
    python bench/shipping.py --url http://127.0.0.1:9200 --ids

Three figures: what the engine takes when the same bodies, built before, are posted by a bare loop on as many
connections; what ``httpmon ship --once`` brings to the same engine; and what it reads, frames and sends to a
sink that answers at once, a second and a second of its own processor time (the sink, in Python, needs a core
of its own). The first two take turns, each time into a new data stream; medians are told.

With ``--ids`` the bare loop posts the same lines with ids of several kinds: the shipper's, the engine's own,
and what one would take without thinking. It makes a namespace of its own and removes it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median

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
# As the shipper makes them.
BODY_BYTES = 1 << 18
# The shipper alone must reach this on one core.
SINK_LIMIT = 150_000


def made_lines(count: int) -> bytes:
    return TrafficGenerator(1).lines(Tick(0.0, count, Phase(None, 1.0)), time.time())


def ready_bodies(content: bytes) -> list[bytes]:
    """The bodies that the shipper would send."""
    bodies, offset = [], 0
    # A file of its own each time: the same ids again would be conflicts.
    origin = Origin(secrets.token_urlsafe(9), "bench")
    while offset < len(content):
        end = content.rfind(b"\n", offset, offset + BODY_BYTES) + 1
        bodies.append(b"".join(bulk_items(Block(offset, content[offset:end], end), origin)))
        offset = end
    return bodies


def bare_loop(engine: Engine, target: str, bodies: list[bytes]) -> float:
    """Seconds to post ready bodies; making them is not counted."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(
            pool.map(
                lambda body: engine.bulk(body, target=target, params={"filter_path": ANSWER_FIELDS}), bodies
            )
        )
    return time.perf_counter() - begun


IDS: dict[str, Callable[[bytes], bytes]] = {
    "the shipper's": lambda own: own,
    "the engine's own": lambda _: b"",
    "uuid4": lambda _: str(uuid.uuid4()).encode(),
    "sha1 of file and offset": lambda own: hashlib.sha1(own, usedforsecurity=False).hexdigest().encode(),
}


def with_ids(bodies: list[bytes], kind: str) -> list[bytes]:
    """The same bodies with ids of another kind."""
    make = IDS[kind]

    def other(match: re.Match[bytes]) -> bytes:
        made = make(match[1])
        return b'{"create":{"_id":"%s"}}' % made if made else b'{"create":{}}'

    return [re.sub(rb'\{"create":\{"_id":"([^"]+)"\}\}', other, body) for body in bodies]


def shipped(url: str, namespace: str, log: Path) -> tuple[float, float]:
    """Seconds of a whole ``httpmon ship --once``, its start not counted, and of processor time."""
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

    def run(file: Path) -> tuple[float, float]:
        begun, used = time.perf_counter(), _used_by_children()
        subprocess.run(
            [*command, str(file.with_suffix(f".{namespace}")), str(file)],
            cwd=ROOT,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return time.perf_counter() - begun, _used_by_children() - used

    empty = log.with_name("empty.log")
    empty.write_bytes(b"")
    seconds, used = run(log)
    start_seconds, start_used = run(empty)
    return seconds - start_seconds, used - start_used


def _used_by_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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


def start_over(engine: Engine, target: str) -> None:
    """Have the data stream begin anew with the next document, with nothing left to merge."""
    engine.request("DELETE", f"/_data_stream/{target}")
    time.sleep(1.0)


def compare_ids(engine: Engine, target: str, content: bytes, rounds: int) -> None:
    """Print lines a second for each kind of ids."""
    lines = content.count(b"\n")
    rates: dict[str, list[float]] = {kind: [] for kind in IDS}
    for _ in range(rounds):
        for kind in IDS:
            bodies = with_ids(ready_bodies(content), kind)
            start_over(engine, target)
            rates[kind].append(lines / bare_loop(engine, target, bodies))
    for kind, measured in rates.items():
        print(f"ids: {kind:26} {median(measured):9,.0f} lines/s   {told(measured)}")


def compare_with_bare_loop(engine: Engine, settings: Settings, log: Path, rounds: int) -> None:
    """Print lines a second of both, and the ratio of their medians."""
    content = log.read_bytes()
    lines = content.count(b"\n")
    bare, ours = [], []
    for number in range(rounds):
        start_over(engine, settings.names.raw)
        bare.append(lines / bare_loop(engine, settings.names.raw, ready_bodies(content)))
        start_over(engine, settings.names.raw)
        # Another file by its first line, or all its lines would be there.
        again = log.with_name(f"access{number}.log")
        again.write_bytes(b"%s\n" % secrets.token_hex(8).encode() + content)
        ours.append(lines / shipped(settings.engine.url, settings.namespace, again)[0])
        again.unlink()
    print(f"bare loop, ready bodies    {median(bare):9,.0f} lines/s   {told(bare)}")
    ratio = median(ours) / median(bare)
    print(f"httpmon ship               {median(ours):9,.0f} lines/s   {told(ours)}")
    print(f"httpmon ship               {ratio:9.3f} of the bare loop")


def told(measured: list[float]) -> str:
    """All runs, to the user."""
    return ", ".join(f"{rate:,.0f}" for rate in measured)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--url", default="http://127.0.0.1:9200")
    arguments.add_argument("--lines", type=int, default=200_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--ids", action="store_true", help="compare kinds of ids")
    given = arguments.parse_args()
    content = made_lines(given.lines)
    settings = Settings(namespace="bench_ship", engine=EngineSettings(url=given.url))
    with (
        Engine(Connection(given.url, connections=CONNECTIONS)) as engine,
        tempfile.TemporaryDirectory() as folder,
    ):
        log = Path(folder) / "access.log"
        log.write_bytes(content)
        try:
            provision(engine, settings)
            # The data stream comes with its first document; and Java is warm then.
            bare_loop(engine, settings.names.raw, ready_bodies(content)[:40])
            if given.ids:
                compare_ids(engine, settings.names.raw, content, given.rounds)
                return
            compare_with_bare_loop(engine, settings, log, given.rounds)
        finally:
            for _ in apply_plan(engine, plan_removal(engine, settings, data=True)):
                pass
        sink = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        many = Path(folder) / "many.log"
        many.write_bytes(content * 5)
        seconds, used = shipped(f"http://127.0.0.1:{sink.server_port}", "sink", many)
        sink.shutdown()
    for name, rate in ("", 5 * given.lines / seconds), (", of processor time", 5 * given.lines / used):
        ratio = f"{rate / SINK_LIMIT:.2f} of {SINK_LIMIT:,}"
        print(f"httpmon ship into a sink   {rate:9,.0f} lines/s{name}   {ratio}")


if __name__ == "__main__":
    main()
