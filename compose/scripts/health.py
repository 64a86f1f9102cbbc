"""Says whether a scheduler executes, or this host's shipper goes on: `health.py scheduler`, `health.py ship`.

For health checks of containers. Asks `httpmon status`, so it needs what that needs.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

# A lease that stands still for so long is another one's by now; a shipper reports every ten seconds.
SILENT_SECONDS = 60.0


def trouble(part: str, status: dict[str, Any], host: str, now: datetime) -> str:
    """Why that part is not healthy; "" if it is."""
    if part == "scheduler":
        schedulers = status["schedulers"]
        if schedulers is None:
            return ""  # the engine executes everything itself
        leader = schedulers["leader"]
        if leader is None or leader["silent_seconds"] > SILENT_SECONDS:
            return "no scheduler executes"
        return ""
    reports = [one for one in status["shippers"] if one["host"] == host and one["state"] == "running"]
    if not reports:
        return f"no shipper on {host} reports"
    newest = max(datetime.fromisoformat(one["reported_at"]) for one in reports)
    silent = (now - newest).total_seconds()
    return f"the shipper was heard of {silent:.0f} s ago" if silent > SILENT_SECONDS else ""


def main(arguments: list[str]) -> int:
    """Ask, and say what is wrong; the exit code of the check."""
    if arguments not in (["scheduler"], ["ship"]):
        sys.stderr.write("usage: health.py scheduler|ship\n")
        return 2
    done = subprocess.run(
        [sys.executable, "-m", "httpmon", "status", "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        status = json.loads(done.stdout)
    except ValueError:
        sys.stderr.write(done.stderr.strip() or "httpmon status said nothing")
        return 1
    found = trouble(arguments[0], status, socket.gethostname(), datetime.now(UTC))
    if found:
        sys.stderr.write(f"{found}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
