"""``httpmon node``: the embedded engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from localnode.node import LocalNode

app = typer.Typer(help="Run an OpenSearch node on this machine, without Docker.", no_args_is_help=True)


@app.command()
def start(
    context: typer.Context,
    port: Annotated[
        int | None, typer.Option(help="HTTP port to try first.", min=1, max=65535, show_default=False)
    ] = None,
    heap: Annotated[str | None, typer.Option(help="Java heap, as 512m or 2g.", show_default=False)] = None,
) -> None:
    """Install what is missing, start the node and print its URL."""
    from cli.progress import shown_progress
    from localnode.running import running_url

    node = _node(context, port=port, heap=heap)
    url = running_url(node.folders.home)
    if url is not None:
        typer.echo(f"The local node runs already at {url}")
        return
    with shown_progress() as report:
        url = node.start(report)
    typer.echo(f"The local node runs at {url}")


@app.command()
def stop(context: typer.Context) -> None:
    """Stop the node and wait until it is gone; its data stays."""
    stopped = _node(context).stop()
    typer.echo("The local node is stopped" if stopped else "The local node does not run")


@app.command()
def status(context: typer.Context) -> None:
    """Tell whether the node runs and where its files are; exit code 0 if it runs, 1 if not."""
    from tabulate import tabulate

    state = _node(context).status()
    rows = [
        ("state", ("running" if state.url else "starting") if state.running else "not running"),
        ("url", state.url or "-"),
        ("pid", state.pid or "-"),
        ("home", state.home),
        ("data", f"{state.data_bytes / 1_000_000:.1f} MB"),
        ("log", state.log_file),
    ]
    typer.echo(tabulate(rows, tablefmt="plain", disable_numparse=True))
    raise typer.Exit(0 if state.running else 1)


@app.command()
def logs(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines are written.")] = False,
    lines: Annotated[int, typer.Option(help="How many of the last lines.", min=0)] = 50,
) -> None:
    """Print the end of the node's log."""
    from localnode.logs import follow as followed
    from localnode.logs import is_there, last_lines

    log_file = _node(context).folders.log_file
    if not is_there(log_file):
        typer.echo(f"{log_file}: nothing was logged yet", err=True)
    for line in followed(log_file, lines) if follow else last_lines(log_file, lines):
        typer.echo(line)


def _node(context: typer.Context, *, port: int | None = None, heap: str | None = None) -> LocalNode:
    from cli.context import loaded_settings
    from localnode.folders import default_home
    from localnode.node import LocalNode

    settings = loaded_settings(context, node__port=port, node__heap=heap).settings.node
    return LocalNode(
        settings.home or default_home(), port=settings.port, heap=settings.heap, java_home=settings.java_home
    )
