"""``httpmon keys``: API keys that may do what one of httpmon's roles may."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    help="Make, list and revoke API keys for shippers, readers and others.", no_args_is_help=True
)


@app.command()
def create(
    context: typer.Context,
    role: Annotated[str, typer.Argument(help="provisioner, writer, reader or scheduler.")],
    name: Annotated[
        str | None, typer.Option(help="What to call it; by its role if left out.", show_default=False)
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="Worth nothing after this time, as 90d; never if left out.")
    ] = None,
) -> None:
    """Make a key and print it, alone, on standard output: it is shown this once."""
    from cli.context import loaded_settings, open_engine
    from cli.logs import tell
    from engine.errors import UsageError
    from provisioning.keys import create_key
    from provisioning.settings import duration_seconds

    if expires is not None:
        try:
            duration_seconds(expires)
        except ValueError as error:
            raise UsageError(f"--expires: {error}") from None
    loaded = loaded_settings(context)
    with open_engine(loaded) as engine:
        made = create_key(engine, loaded.settings, role, name=name, expires=expires)
    tell(f"{made.name} (id {made.identifier}); give it as HTTPMON_ENGINE_API_KEY; it cannot be shown again")
    typer.echo(made.encoded)


@app.command("list")
def list_(context: typer.Context) -> None:
    """List the keys that are worth something, without their secrets."""
    from cli.context import loaded_settings, open_engine
    from cli.terminal import output_width
    from provisioning.keys import list_keys
    from reading.tables import table_text

    loaded = loaded_settings(context)
    with open_engine(loaded) as engine:
        keys = list_keys(engine, loaded.settings)
    rows = [
        (
            key.name,
            key.role,
            key.identifier,
            key.owner,
            f"{key.created_at:%Y-%m-%d %H:%M}",
            f"{key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else "never",
        )
        for key in keys
    ]
    headers = ("name", "role", "id", "owner", "made (UTC)", "expires (UTC)")
    typer.echo(table_text(rows, headers, width=output_width(), flexible=(0, 3, 2)))


@app.command()
def revoke(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A key's name or id; by name, all keys that bear it.")],
) -> None:
    """Make keys worthless, at once."""
    from cli.context import loaded_settings, open_engine
    from provisioning.keys import revoke_keys

    loaded = loaded_settings(context)
    with open_engine(loaded) as engine:
        for key in revoke_keys(engine, loaded.settings, name):
            typer.echo(f"revoked {key.name} (id {key.identifier})")
