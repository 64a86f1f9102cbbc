"""How long ``httpmon provision`` takes, the first time and with nothing to do, against its limits.

    python bench/provision.py --url http://127.0.0.1:9200

Installs the built-in pack in a namespace of its own, which it removes in the end.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIRST_LIMIT_SECONDS = 5.0
AGAIN_LIMIT_SECONDS = 1.0


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--url", default="http://127.0.0.1:9200")
    arguments.add_argument("--runs", type=int, default=15, help="with nothing to do")
    options = arguments.parse_args()
    namespace = f"bench{uuid.uuid4().hex[:8]}"
    httpmon = [sys.executable, "-m", "httpmon", "--url", options.url, "--namespace", namespace]

    def seconds(expected: str) -> float:
        started = time.perf_counter()
        told = subprocess.run([*httpmon, "provision"], cwd=ROOT, capture_output=True, text=True, check=True)
        taken = time.perf_counter() - started
        if expected not in told.stdout:
            raise SystemExit(f"not as expected: {told.stdout[-300:]}{told.stderr[-300:]}")
        return taken

    try:
        first = seconds("objects changed")
        again = [seconds("nothing to do") for _ in range(options.runs)]
    finally:
        subprocess.run([*httpmon, "deprovision", "--data", "-y"], cwd=ROOT, capture_output=True, check=True)
    print(f"first run       {first:.2f} s   {first / FIRST_LIMIT_SECONDS:.2f} of the limit")
    median = statistics.median(again)
    print(
        f"nothing to do   {median:.2f} s   {median / AGAIN_LIMIT_SECONDS:.2f} of the limit "
        f"(median of {len(again)}; {min(again):.2f} to {max(again):.2f} s)"
    )


if __name__ == "__main__":
    main()
