"""The ``httpmon`` command: registers every command and turns exceptions into one line and an exit code.

Importing a command module costs nothing but Typer: what a command needs, it imports when it runs. So
``httpmon --help`` answers at once. A command is made when it is asked for: making all of them, with every
option, takes longer than many a command.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cli.examples import examples_text
from engine.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, HttpmonError, UsageError

# Each command: its module in this package, in the order of the help page. A module has `app` (a group of
# commands, added under the module's name) or `command` (one command).
COMMANDS = (
    "demo",
    "ship",
    "replay",
    "generate",
    "tail",
    "alerts",
    "metrics",
    "query",
    "report",
    "kibana",
    "render",
    "provision",
    "status",
    "doctor",
    "deprovision",
    "keys",
    "scheduler",
    "node",
    "transform",
    "watch",
    "reconcile",
    "config",
)


# What the system says where standard output cannot be written: no room, or a fault of the disk.
_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class _Commands(TyperGroup):
    """The commands, each made when it is asked for first."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is Typer's
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        # Of a name that is no command, the closest of all is told: so all have to be there.
        for name in (cmd_name,) if cmd_name in COMMANDS else COMMANDS:
            if name not in self.commands:
                self.commands[name] = _made(name)
        return self.commands.get(cmd_name)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader of our output went away (`httpmon ... | head`), which Typer would call a failure.
            sys.stdout = None  # flushing at exit would complain again
            raise typer.Exit(EXIT_DONE) from None


def _made(name: str) -> Any:
    module = importlib.import_module(f"cli.{name}")
    parent = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    if hasattr(module, "app"):
        parent.add_typer(module.app, name=name)
    else:
        parent.command(name)(module.command)
    return _with_examples(typer.main.get_group(parent).commands[name], name)


def _with_examples(command: Any, words: str) -> Any:
    command.epilog = examples_text(words)
    for name, below in getattr(command, "commands", {}).items():
        _with_examples(below, f"{words} {name}")
    return command


app = typer.Typer(
    name="httpmon",
    cls=_Commands,
    help="Watch HTTP access logs with Elasticsearch or OpenSearch.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _global_options(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="Settings file instead of ./httpmon.toml.", show_default=False)
    ] = None,
    url: Annotated[str | None, typer.Option(help="URL of the cluster.", show_default=False)] = None,
    namespace: Annotated[
        str | None, typer.Option(help="Which installation in the cluster.", show_default=False)
    ] = None,
    insecure: Annotated[
        bool | None, typer.Option("--insecure", help="Accept any certificate.", show_default=False)
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    log_level: Annotated[
        str, typer.Option(help="What is told on standard error: debug, info, warning or error.")
    ] = "info",
    log_format: Annotated[
        str, typer.Option(help="How it is told: text or json (an object a line).")
    ] = "text",
) -> None:
    from cli.logs import LEVELS, configure_logging

    if log_level not in LEVELS:
        raise UsageError(f"--log-level {log_level}: it is {', '.join(LEVELS)}")
    if log_format not in ("text", "json"):
        raise UsageError(f"--log-format {log_format}: it is text or json")
    configure_logging(log_level, "json" if log_format == "json" else "text")
    context.obj = {
        "config": config,
        "options": {"engine.url": url, "namespace": namespace, "engine.insecure": insecure or None},
        "debug": debug,
    }


def run() -> int:
    """Run the command line of this process and return its exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started us (`>&-`)
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - to the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A log has any letters, and a terminal of another age not all of them: as standard error has it.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _exit_code()
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        if error.errno not in _CANNOT_WRITE or error.filename is not None:
            raise
        from cli.logs import tell

        sys.stdout = None
        tell(f"cannot write the output: {error.strerror}", level=40)
        return EXIT_FAILED
    return code


def _exit_code() -> int:
    try:
        app(standalone_mode=True)
    except HttpmonError as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        from cli.logs import tell

        tell(str(error), level=40)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else EXIT_DONE
    return EXIT_DONE
