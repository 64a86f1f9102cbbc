"""Measures the executor of transforms on a running engine; run by hand, in a namespace of its own.

    python bench/transforms.py --url http://127.0.0.1:9200 --lines 1000000

prints how long the first checkpoint over all lines takes, compared with the bare composite searches alone,
and what a checkpoint with new lines costs once all are summarised. Run it with 1 and 10 million lines to see
that the cost of a checkpoint depends on what changed, not on how much there is.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from engine.client import Engine
from engine.connection import Connection
from provisioning.settings import EngineSettings, Settings
from scheduler.transforms.body import parse_body
from scheduler.transforms.pivot import GROUPS, groups_search
from scheduler.transforms.runner import TransformRunner
from scheduler.transforms.store import TransformStore
from tests.conftest import remove_namespace
from tests.node.summaries import install_summaries

LINES_A_SECOND = 400
SECTIONS = [f"/section{number}" for number in range(40)]
BATCH = 5000


def document(chance: random.Random, time: datetime, ingested: datetime) -> dict[str, Any]:
    return {
        "@timestamp": time.isoformat(),
        "event": {"kind": "event", "ingested": ingested.isoformat()},
        "http": {
            "response": {
                "status_code": chance.choice((200, 200, 200, 304, 404, 500)),
                "body": {"bytes": chance.randrange(100_000)},
            }
        },
        "httpmon": {"section": chance.choice(SECTIONS)},
        "source": {"address": f"192.0.{chance.randrange(50)}.{chance.randrange(256)}"},
        "url": {"path": f"/p{chance.randrange(5000)}"},
        "user_agent": {"original": f"agent {chance.randrange(50)}"},
    }


def send(engine: Engine, settings: Settings, documents: list[dict[str, Any]]) -> None:
    body = "".join(f'{{"create":{{}}}}\n{json.dumps(one)}\n' for one in documents).encode()
    answer = engine.bulk(
        body, target=settings.names.raw, params={"pipeline": "_none", "filter_path": "errors"}
    )
    if answer["errors"]:
        raise RuntimeError("documents were refused")


def fill(engine: Engine, settings: Settings, lines: int) -> datetime:
    """Send lines of the past, evenly spread; returns the time of the last."""
    begin = engine.now() - timedelta(seconds=lines / LINES_A_SECOND + 600)

    def batch(first: int) -> None:
        chance = random.Random(first)
        times = (
            begin + timedelta(seconds=at / LINES_A_SECOND) for at in range(first, min(first + BATCH, lines))
        )
        send(engine, settings, [document(chance, time, time) for time in times])

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(batch, range(0, lines, BATCH)))
    engine.request("POST", f"/{settings.names.raw}/_refresh")
    engine.request(
        "POST", f"/{settings.names.raw}/_forcemerge", params={"max_num_segments": 5}, timeout_seconds=900
    )
    return begin + timedelta(seconds=lines / LINES_A_SECOND)


def bare_searches(engine: Engine, body: Any, upper: int, size: int) -> tuple[float, int]:
    """The seconds and groups of composite searches one after the other, with nothing done about the
    answers."""
    began = time.perf_counter()
    groups, after = 0, None
    while True:
        request = groups_search(body, size=size, upper=upper)
        if after is not None:
            request["aggregations"][GROUPS]["composite"]["after"] = after
        header = {"index": body.indices[0], "request_cache": False}
        answer = engine.msearch([(header, request)])[0]["aggregations"][GROUPS]
        groups += len(answer["buckets"])
        after = answer.get("after_key")
        if after is None or len(answer["buckets"]) < size:
            return time.perf_counter() - began, groups


def drain(runner: TransformRunner, engine: Engine) -> float:
    began = time.perf_counter()
    now = int(engine.now().timestamp() * 1000)
    while runner.step(now):
        pass
    return time.perf_counter() - began


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--url", default="http://127.0.0.1:9200")
    arguments.add_argument("--lines", type=int, default=1_000_000)
    arguments.add_argument("--no-bare", dest="bare", action="store_false", help="leave the comparison out")
    arguments.add_argument("--rounds", type=int, default=15, help="checkpoints with new lines")
    given = arguments.parse_args()
    namespace = f"bench{uuid.uuid4().hex[:8]}"
    settings = Settings(namespace=namespace, engine=EngineSettings(url=given.url))
    engine = Engine(Connection(given.url, request_timeout_seconds=300))
    threads = ThreadPoolExecutor(2)
    try:
        install_summaries(engine, settings)
        began = time.perf_counter()
        fill(engine, settings, given.lines)
        print(f"{given.lines:,} lines indexed in {time.perf_counter() - began:.0f} s")
        store = TransformStore(engine, settings.names)
        bodies = {one.identifier: one.body for one in store.definitions()}
        for stem, sizes in (("sections", (1000, 10_000)), ("traffic", (500,))):
            identifier = f"{settings.names.of(stem)}-000001"
            for size in sizes if given.bare else ():
                # Each into a new index: to overwrite documents takes longer than to write them.
                content = {
                    **bodies[identifier],
                    "dest": {**bodies[identifier]["dest"], "index": f"{identifier}-{size}"},
                    "settings": {"max_page_search_size": size},
                }
                body = parse_body(identifier, content)
                seconds, groups = bare_searches(engine, body, int(engine.now().timestamp() * 1000), size)
                rate = given.lines / seconds
                told = f"bare pages of {size} take {seconds:.2f} s, {rate:,.0f} lines/s"
                print(f"{stem}: {groups:,} groups; {told}")
                store.forget(identifier)
                taken = drain(TransformRunner(engine, store, body, threads), engine)
                print(
                    f"{stem}: first checkpoint in such pages {taken:.2f} s, {taken / seconds:.2f} x of that"
                )
            store.forget(identifier)
            body = parse_body(identifier, bodies[identifier])
            first = TransformRunner(engine, store, body, threads)
            taken = drain(first, engine)
            print(f"{stem}: first checkpoint {taken:.2f} s, {given.lines / taken:,.0f} lines/s")
            costs = []
            chance = random.Random(7)
            for _ in range(given.rounds):
                now = engine.now()
                send(engine, settings, [document(chance, now, now) for _ in range(LINES_A_SECOND)])
                engine.request("POST", f"/{settings.names.raw}/_refresh")
                costs.append(drain(first, engine))
            print(
                f"{stem}: a checkpoint with {LINES_A_SECOND} new lines: median "
                f"{statistics.median(costs) * 1000:.0f} ms, most {max(costs) * 1000:.0f} ms"
            )
    finally:
        threads.shutdown()
        remove_namespace(engine, namespace)


if __name__ == "__main__":
    main()
