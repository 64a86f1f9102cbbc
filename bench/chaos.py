"""Two schedulers under a seeded schedule of kills, pauses and engine restarts; by hand, on a node of its own.

    python bench/chaos.py --seconds 300 --seed 1

The node is killed with ``kill -9`` and started again. What two schedulers leave is compared with what a plain
count of the lines says: the alert documents, one webhook for each, a record for each scheduled time, and the
sum of the summaries. Exits with 1 where something differs.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from engine.client import Engine
from engine.connection import Connection
from localnode.node import LocalNode
from provisioning.settings import EngineSettings, Settings
from tests.e2e.processes import Httpmon, await_that
from tests.node.chaos import Chaos
from tests.node.receivers import receiving


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--seconds", type=int, default=300, help="how long they are disturbed")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--past", type=int, default=3000, help="seconds of the past that are made up for")
    arguments.add_argument("--port", type=int, default=29450, help="of the node")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, receiving() as receiver:
        node = LocalNode(Path(folder) / "node", port=given.port)
        try:
            url = node.start()
            settings = Settings(namespace=f"chaos{uuid.uuid4().hex[:6]}", engine=EngineSettings(url=url))
            httpmon = Httpmon(url, settings.namespace, Path(folder))

            def restart(_: float) -> None:
                pid = node.status().pid
                if pid is not None:
                    os.kill(pid, signal.SIGKILL)
                    await_that(lambda: not node.status().running, "the killed node is gone")
                node.start()

            try:
                with Engine(Connection(url)) as engine:
                    result = Chaos(engine, settings, httpmon, receiver, restart).run(
                        seed=given.seed, seconds=given.seconds, past_seconds=given.past
                    )
            finally:
                httpmon.stop_all()
                for log in sorted(Path(folder).glob("scheduler-*.out")):
                    sys.stderr.write(
                        "".join(f"{log.stem}: {text}\n" for text in log.read_text().splitlines())
                    )
        finally:
            node.stop()
    disturbances = ", ".join(f"{count} x {kind}" for kind, count in sorted(result.disturbances.items()))
    print(f"{given.seconds} s, seed {given.seed}: {disturbances}; the lease was taken {result.terms} times")
    print(
        f"{len(result.events)} events of {len(result.expected)}, {sum(result.deliveries.values())} webhooks "
        f"({result.unknown} of unknown outcome), {len(result.runs)} runs of {len(result.expected_runs)}, "
        f"{result.hits} hits of {result.lines} lines"
    )
    for fault in result.faults():
        print(f"FAULT: {fault}")
    return 1 if result.faults() else 0


if __name__ == "__main__":
    sys.exit(main())
