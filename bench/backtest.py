"""How long a backtest of 24 hours takes: 8,640 runs of a built-in rule.

    python bench/backtest.py [--url URL] [RULE ...]

Makes an installation in a namespace of its own with a day of summaries, and removes it again.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from engine.client import Engine
from engine.connection import Connection
from provisioning.installation import provision
from provisioning.settings import EngineSettings, Settings
from scheduler.watches.backtest import backtest
from scheduler.watches.backtest_report import watch_to_try
from tests.conftest import remove_namespace

NAMESPACE = "benchbacktest"
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def write(engine: Engine, settings: Settings) -> None:
    """A summary for each 10 s of a day and the hours before it; the load changes each hour."""
    lines = []
    for second in range(-2 * 3600, 24 * 3600, 10):
        load = random.Random(second // 3600).randint(50, 400)
        counts = {"hits": load, "status": {"5xx": load // 30}, "top": {"clients": {"192.0.2.1": load // 2}}}
        moment = (BEGIN + timedelta(seconds=second)).isoformat()
        lines += [json.dumps({"index": {}}), json.dumps({"@timestamp": moment, "httpmon": counts})]
    body = ("\n".join(lines) + "\n").encode()
    engine.bulk(body, target=settings.names.traffic, params={"refresh": True})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:9200")
    parser.add_argument("rules", nargs="*", default=["high_traffic"])
    options = parser.parse_args()
    settings = Settings(namespace=NAMESPACE, engine=EngineSettings(url=options.url))
    with Engine(Connection(options.url)) as engine:
        try:
            provision(engine, settings)
            write(engine, settings)
            for rule in options.rules:
                watch = watch_to_try(engine, settings, rule, rule)
                begun = time.monotonic()
                done = backtest(engine, settings.names, watch, BEGIN, BEGIN + DAY)
                seconds = time.monotonic() - begun
                print(f"{rule}: {done.runs} runs, {len(done.documents)} events, {seconds:.1f} s", flush=True)
        finally:
            remove_namespace(engine, NAMESPACE)


if __name__ == "__main__":
    main()
