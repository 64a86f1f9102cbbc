"""Guards that no rotation between two of the reader's steps loses a line or brings it twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.shipping_races import Plan, run_trial

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    "plan",
    [
        Plan(1, ("copytruncate",), pauses=0.03),
        Plan(2, ("copytruncate", "pack"), crashes=2),
        Plan(3, ("rename", "pack"), crashes=2),
        Plan(4, crashes=1, header=True),
    ],
    ids=lambda plan: f"{'-'.join(plan.ways)}-{plan.seed}",
)
def test_every_line_once_whatever_comes_between(plan: Plan, tmp_path: Path) -> None:
    outcome = run_trial(tmp_path, plan)
    assert outcome.missing == []
    assert outcome.doubled == []
