"""Rotations between any two steps of the reader: lines lost and doubled; needs no engine.

    python bench/shipping_races.py --seeds 0 200 [--crashes 3] [--ways rename copytruncate pack]

Exits with 1 where a line is missing that was not written between the copying and the emptying of its log, or
there twice. One seed may need several tries to do it again: what the system does in between is not in it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.e2e.shipping_races import WAYS, Plan, run_trial


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--seeds", type=int, nargs=2, default=(0, 100), metavar=("FIRST", "END"))
    arguments.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS, metavar="WAY")
    arguments.add_argument("--crashes", type=int, default=0, help="of the reader, in each trial")
    arguments.add_argument("--header", action="store_true", help="each log begins with the same line")
    arguments.add_argument("--pauses", type=float, default=0.1, help="chance of one at a step of the reader")
    given = arguments.parse_args()
    wrong = written = lost_in_gaps = 0
    for seed in range(*given.seeds):
        plan = Plan(seed, tuple(given.ways), given.crashes, given.header, given.pauses)
        with tempfile.TemporaryDirectory() as folder:
            outcome = run_trial(Path(folder), plan)
        written += outcome.written
        lost_in_gaps += outcome.lost_in_gaps
        if outcome.missing or outcome.doubled:
            wrong += 1
            print(f"seed {seed}: {len(outcome.missing)} missing {outcome.missing[:1]}", end="")
            print(f", {len(outcome.doubled)} doubled {outcome.doubled[:1]}", flush=True)
    trials = len(range(*given.seeds))
    print(f"{wrong} of {trials} trials wrong; {written:,} lines, {lost_in_gaps} lost in gaps of a copying")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
