"""How long ``httpmon --help`` takes, against its limit and against the bare interpreter, in the same run.

python bench/help_start.py
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

LIMIT_SECONDS = 0.25
RUNS = 15


def _best(*arguments: str) -> float:
    """The fastest of several runs: what the machine needs when nothing else runs."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True, cwd=ROOT)
        times.append(time.perf_counter() - start)
    return min(times)


ROOT = Path(__file__).parents[1]

if __name__ == "__main__":
    bare = _best("-c", "pass")
    helped = _best("-m", "httpmon", "--help")
    print(f"bare interpreter    {bare * 1000:6.0f} ms")
    print(f"httpmon --help      {helped * 1000:6.0f} ms   {helped / LIMIT_SECONDS:.2f} of the limit")
