"""Guards that one who scans for a million names does not make a million summaries, and that every hit
counts."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from engine.client import Engine
from provisioning.settings import EngineSettings, Settings
from scheduler.transforms.service import TransformService
from tests.node.summaries import QuickClock, install_summaries, log_line, send_lines, settle, summaries

pytestmark = pytest.mark.node

BUCKET = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SCAN = [f"/{number:08x}-backup.zip" for number in range(200)]
SCAN += [f"/s{number}" for number in range(5000, 5200)]
SCAN += [f"/a{number % 10}b{number // 10 % 10}c{number // 100}.php" for number in range(200)]
ORDINARY = ["/wp-login.php", "/apple-touch-icon-120x120-precomposed.png", "/phpMyAdmin2", "/x86_64", "/"]


def sections(engine: Engine, settings: Settings) -> Counter[str]:
    install_summaries(engine, settings)
    lines = [log_line(BUCKET, path, status=404) for path in SCAN + ORDINARY]
    lines += [log_line(BUCKET, "/report2024/a"), log_line(BUCKET, "/report2024/b", status=404)]
    send_lines(engine, settings, lines)
    settle(engine, TransformService(engine, settings.names, monotonic=QuickClock()))
    documents = summaries(engine, settings.names.sections)
    return Counter({one["httpmon"]["section"]: one["httpmon"]["hits"] for one in documents})


def test_made_up_names_that_were_not_found_count_together(engine: Engine, settings: Settings) -> None:
    assert sections(engine, settings) == {
        "(not found)": len(SCAN) + 1,
        "/report2024": 1,
        **dict.fromkeys(ORDINARY, 1),
    }


def test_all_names_that_were_not_found_count_together(
    engine: Engine, engine_url: str, namespace: str
) -> None:
    settings = Settings(
        namespace=namespace,
        engine=EngineSettings(url=engine_url),
        parameters={"access": {"unknown_sections": "all"}},
    )
    assert sections(engine, settings) == {"(not found)": len(SCAN) + len(ORDINARY), "/": 1, "/report2024": 1}
