"""``httpmon demo``: the whole of httpmon on this machine, by the commands that a user would type."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

_SETTINGS = """\
# Written by `httpmon demo`.
namespace = "demo"

[parameters.high_traffic]
window = "{window}"
"""
_RATE = "4"
_NODE_VARIABLES = "HTTPMON_NODE_"


def command(
    log: Annotated[
        Path | None, typer.Option(help="Follow this log instead of generated traffic.", show_default=False)
    ] = None,
    burst: Annotated[
        str, typer.Option(help="When the generated traffic grows, as httpmon generate --burst has it.")
    ] = "20s+60s*10",
    window: Annotated[
        # Shorter than a real installation's, so that the alert fires and recovers while one looks.
        str, typer.Option(help="What the alert rule averages over.")
    ] = "30s",
) -> None:
    """Start a local node, provision it, ship traffic, and show tables and an alert; Ctrl-C ends it."""
    import os
    import signal

    from engine.errors import UsageError
    from localnode import default_home, running_url

    if log is not None and not log.is_file():
        raise UsageError(f"--log {log}: there is no such file")
    home = Path(os.environ.get(f"{_NODE_VARIABLES}HOME") or default_home())
    folder = home.parent / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "httpmon.toml").write_text(_SETTINGS.format(window=window), encoding="utf-8")
    # The demo has settings of its own; a cluster that the user's variables name is none of its business.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("HTTPMON_") or name.startswith(_NODE_VARIABLES)
    }
    # A supervisor that stops the demo sends SIGTERM; both end it in the same orderly way.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    demo = _Demo(folder, environment, node_was_running=running_url(home) is not None)
    traffic = str(log.resolve()) if log else f"generated: {_RATE} hits/s, with a burst of {burst}"
    typer.echo(
        "httpmon demo: a search engine of its own, access-log traffic, tables every 10 s, alerts.\n"
        f"  traffic  {traffic}\n"
        f"  alert    above 10 hits/s over {window} (elsewhere the default is 2m)\n"
        f"  files    {folder}\n"
        "  Ctrl-C   ends it and stops what it started\n"
    )
    try:
        demo.run(log.resolve() if log else None, burst)
    finally:
        demo.stop()


class _Demo:
    """The processes of one demo, and the order in which they start and stop."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *, node_was_running: bool) -> None:
        self._folder = folder
        self._environment = environment
        self._stop_node = not node_was_running
        self._background: list[tuple[str, subprocess.Popen[bytes]]] = []

    def run(self, log: Path | None, burst: str) -> None:
        """Start everything and show tables until interrupted, or until one of the parts ends by itself."""
        self._foreground("node", "start")
        self._foreground("provision")
        if log is None:
            log = self._folder / "access.log"
            log.unlink(missing_ok=True)
            log.touch()
            self._start("generate", str(log), "--rate", _RATE, "--burst", burst)
        self._start("scheduler")
        self._start("ship", str(log), "--registry", str(self._folder / "registry.json"))
        typer.echo("$ httpmon tail --plain")
        self._watch(self._spawn("tail", "--plain"))

    def stop(self) -> None:
        """Stop what was started, the sender of lines first, so that nothing is left half done."""
        import signal
        import subprocess

        # From here on a second Ctrl-C must not leave processes behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for _, process in self._background:
            process.terminate()
        for name, process in self._background:
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                typer.echo(f"httpmon demo: {name} did not stop; killing it", err=True)
                process.kill()
                process.wait()
        if self._stop_node:
            self._foreground("node", "stop")
        settings = self._folder / "httpmon.toml"
        typer.echo(
            f"\nThe data is kept in the local node. To look at it again:\n"
            f"  httpmon node start\n"
            f"  httpmon --config {settings} tail\n"
            f"and to remove it, while the node runs: httpmon --config {settings} deprovision --data"
        )

    def _command(self, *arguments: str) -> list[str]:
        import sys

        return [sys.executable, "-m", "httpmon", "--config", str(self._folder / "httpmon.toml"), *arguments]

    def _foreground(self, *arguments: str) -> None:
        from engine.errors import HttpmonError

        typer.echo(f"$ httpmon {' '.join(arguments)}")
        code = self._spawn(*arguments).wait()
        if code:
            raise HttpmonError(f"demo: httpmon {' '.join(arguments)} failed, see above")

    def _spawn(self, *arguments: str) -> subprocess.Popen[bytes]:
        import subprocess

        # Our own interpreter, and arguments from this file.
        return subprocess.Popen(self._command(*arguments), env=dict(self._environment))  # noqa: S603

    def _start(self, *arguments: str) -> None:
        import subprocess

        name = arguments[0]
        typer.echo(f"$ httpmon {' '.join(arguments)} &")
        with (self._folder / f"{name}.log").open("wb") as output:
            # In a session of its own: the terminal's Ctrl-C must reach only us, who stop the parts in order.
            process = subprocess.Popen(  # noqa: S603 - as above
                self._command(*arguments),
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._background.append((name, process))

    def _watch(self, tail: subprocess.Popen[bytes]) -> None:
        import subprocess

        from engine.errors import HttpmonError

        try:
            while True:
                try:
                    code = tail.wait(timeout=1)
                    break
                except subprocess.TimeoutExpired:
                    for name, process in self._background:
                        if process.poll() is not None:
                            log = self._folder / f"{name}.log"
                            raise HttpmonError(f"demo: {name} ended by itself; see {log}") from None
        finally:
            if tail.poll() is None:
                tail.terminate()
                tail.wait()
        if code:
            raise HttpmonError("demo: tail failed, see above")
