"""Guards that what commands print fits a real terminal: no line is wider than it, at the usual two sizes."""

from __future__ import annotations

import contextlib
import sys
from datetime import timedelta

import pytest

from engine.client import Engine
from provisioning.settings import Settings
from tests.node.summaries import log_line, send_lines
from tests.node.terminal import Terminal

pytestmark = pytest.mark.node

COMMANDS = (
    "status",
    "doctor",
    "provision --plan",
    "watch list",
    "transform list",
    "alerts list",
    "alerts open",
    "alerts silence",
    "query list",
    "query run client-trail --param client=192.0.2.1 --from 1h",
    "render --parameters",
    "tail --once --plain",
)
SIZES = ((80, 24), (200, 50))


def test_no_line_is_wider_than_the_terminal(engine: Engine, provisioned: Settings) -> None:
    now = engine.now()
    paths = ["/a-section-with-quite-a-long-name-" + "x" * 60, "/short", "/short/" + "y" * 150]
    send_lines(engine, provisioned, [log_line(now - timedelta(seconds=30), path) for path in paths])
    httpmon = (
        f"{sys.executable} -m httpmon --url {provisioned.engine.url} --namespace {provisioned.namespace}"
    )
    session = "; ".join(f"echo '$ {command}'; {httpmon} {command}" for command in COMMANDS)
    with contextlib.ExitStack() as open_terminals:
        terminals = []
        for width, height in SIZES:
            terminal = Terminal(width, height, session)
            open_terminals.callback(terminal.close)
            terminals.append(terminal)
        for terminal, (width, _) in zip(terminals, SIZES, strict=True):
            terminal.wait(lambda screen: "ended with" in screen, seconds=240)
            printed = terminal.printed()
            said = [line for line in printed if line.startswith("$ ")]
            assert said == [f"$ {command}" for command in COMMANDS]
            assert not [line for line in printed if "Traceback" in line or line.startswith("Usage")]
            wide = [line for line in printed if len(line) > width]
            assert not wide, "\n".join(wide)
