"""Guards that rotated files are known by their names, in every way in which rotation names them."""

from __future__ import annotations

import pytest

from shipping.identity import is_rotated_name, may_hold_the_same

ROTATED = [
    "access.log.1",
    "access.log.0",
    "access.log.2.gz",
    "access.log.3.zst",
    "access.log.old",
    "access.log.bak",
    "access.log-20251125",  # logrotate's dateext
    "access.log-20251125.gz",
    "access.log-20251125-1764028800",
    "access.log-2025112510",
    "access.log_20251125",
    "access.log.2025-11-25",
    "access.log.2025-11-25-10_00",
    "access.log.20251125T101500Z",
    "access.log.2025-11-25T10:15:00+00:00",
    "access.log.1764028800",  # rotatelogs
    "access-20251125.log",  # logrotate's extension
    "access-20251125.log.gz",
    "access.2025-11-25.log",  # Log4j, Logback
    "access.1.log",
    "access_20251125.log",
]
OTHERS = [
    "access.log",
    "access.log9",
    "access.logA1",
    "access.log.swp",
    "access.log.tmp",
    "access.log.1.tmp",
    "access2.log",
    "access-api.log",
    "access.log.d1",
    "error.log.1",
    "20251125.log",
]


@pytest.mark.parametrize("name", ROTATED)
def test_names_that_rotation_gives(name: str) -> None:
    assert is_rotated_name(f"/var/log/{name}", "/var/log/access.log")
    assert not is_rotated_name(f"/var/log/old/{name}", "/var/log/access.log")


@pytest.mark.parametrize("name", OTHERS)
def test_names_of_other_files(name: str) -> None:
    assert not is_rotated_name(f"/var/log/{name}", "/var/log/access.log")


def test_a_log_without_a_suffix() -> None:
    assert is_rotated_name("/var/log/access_log-20251125", "/var/log/access_log")
    assert is_rotated_name("/var/log/access_log.1", "/var/log/access_log")
    assert not is_rotated_name("/var/log/access_log.api", "/var/log/access_log")


@pytest.mark.parametrize("name", [*ROTATED, "access.log.gz"])
def test_names_of_files_that_may_hold_the_same(name: str) -> None:
    assert may_hold_the_same(f"/var/log/{name}", "/var/log/access.log")
    assert may_hold_the_same(f"/var/log/{name}", "/var/log/access.log.18")
    assert not may_hold_the_same("/var/log/access.log", f"/var/log/{name}")
    assert not may_hold_the_same(f"/var/log/{name}", "/var/log/error.log")
    assert not may_hold_the_same(f"/var/log/{name}", "/srv/log/access.log")
