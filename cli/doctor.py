"""``httpmon doctor``: what is wrong, why, and what to type."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def command(
    context: typer.Context,
    format: Annotated[str, typer.Option(help="text or json.")] = "text",  # noqa: A002
) -> None:
    """Find what is wrong and say how to mend it; changes nothing.

    Exits with 0 if nothing is wrong, 6 if degraded, 7 if broken, 4 if the engine cannot be reached, 5 if it
    lets nobody in.
    """
    import json
    import shutil

    from cli.context import loaded_settings, open_engine, open_kibana
    from engine.errors import UsageError
    from reading.doctor.diagnose import diagnose, exit_code
    from reading.doctor.gather import examine
    from reading.doctor.output import doctor_object, doctor_text
    from reading.doctor.remedies import Remedies

    if format not in ("text", "json"):
        raise UsageError(f"--format {format}: it is text or json")
    loaded = loaded_settings(context)
    settings = loaded.settings
    with open_engine(loaded) as engine, open_kibana(loaded) as kibana:
        findable = examine(settings, engine, kibana)
    remedies = Remedies(settings.engine, _given_options(context.obj), settings.kibana)
    found = diagnose(findable, remedies)
    code = exit_code(findable, found)
    if format == "json":
        typer.echo(json.dumps(doctor_object(found, code), indent=2))
    else:
        typer.echo(doctor_text(found, settings.engine.url, width=shutil.get_terminal_size().columns))
    raise typer.Exit(code)


def _given_options(given: dict[str, Any]) -> tuple[str, ...]:
    """The options before the command's name, as they were given: a further command needs them, too."""
    words: list[str] = []
    if given["config"] is not None:
        words += ["--config", str(given["config"])]
    for option, name in (("--url", "engine.url"), ("--namespace", "namespace")):
        if given["options"][name] is not None:
            words += [option, str(given["options"][name])]
    if given["options"]["engine.insecure"]:
        words.append("--insecure")
    return tuple(words)
