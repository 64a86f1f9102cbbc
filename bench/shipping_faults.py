"""A log under rotations, kills of shipper and node, and a proxy that lets requests fail; own node.

    python bench/shipping_faults.py --lines 200000 --seed 1

Prints what was done and whether the engine holds exactly the lines that were written, once each. Exits with 1
where it does not.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.e2e.shipping_faults import Outcome, run_trial


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--lines", type=int, default=200_000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--rate", type=float, default=3000, help="lines a second that are written")
    arguments.add_argument("--chance", type=float, default=0.1, help="that a bulk request goes wrong")
    arguments.add_argument("--port", type=int, default=29470, help="of the node")
    arguments.add_argument("--keep", type=Path, help="where to keep log, registry and outputs if not exact")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outcome = run_trial(
            folder,
            port=given.port,
            heap="1g",
            lines=given.lines,
            seed=given.seed,
            chance=given.chance,
            lines_a_second=given.rate,
        )
        if not outcome.exact and given.keep is not None:
            shutil.copytree(folder, given.keep, ignore=shutil.ignore_patterns("node"), dirs_exist_ok=True)
    show(given.seed, outcome)
    return 0 if outcome.exact else 1


def show(seed: int, outcome: Outcome) -> None:
    print(f"seed {seed}: {outcome.written:,} lines in {outcome.seconds:.0f} s")
    print(f"done: {listed(outcome.events)}")
    print(f"requests that went wrong: {listed(outcome.faults)}")
    print(
        f"{len(outcome.missing)} lines missing, {len(outcome.doubled)} more than once, "
        f"{len(outcome.foreign)} that were never written; the shipper ended with {outcome.exit_code}"
    )
    for line in (*outcome.missing[:5], *outcome.doubled[:5], *outcome.foreign[:5]):
        print(f"  {line}")


def listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} x {what}" for what, count in sorted(counts.items()))


if __name__ == "__main__":
    sys.exit(main())
