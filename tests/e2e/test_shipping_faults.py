"""Guards that the engine holds exactly the lines, once each, through all that can happen on their way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.shipping_faults import run_trial

pytestmark = pytest.mark.e2e


def test_every_line_is_there_once(tmp_path: Path) -> None:
    outcome = run_trial(
        tmp_path,
        port=29460,
        lines=12_000,
        seed=3,
        chance=0.5,
        lines_a_second=4000,
        always=("kill shipper", "rename", "kill node", "copytruncate", "outage", "kill shipper"),
    )
    assert (outcome.missing, outcome.doubled, outcome.foreign, outcome.exit_code) == ([], [], [], 0)
    assert outcome.events["kill shipper"] >= 2
    assert outcome.events["kill node"] >= 1
    assert sum(outcome.faults.values()) > 0
