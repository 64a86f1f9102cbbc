"""Rendering: templates and settings in, the bodies that the engine takes out. No cluster is needed.

Templates are sandboxed Jinja with strict undefined names, and their output must be JSON. A template declares
its parameters where it uses them, ``parameter("threshold", 10.0, help="...", unit="hits/s", minimum=0)``, and
nothing else can be set: a name that no template asks for is refused with the closest that one does. With
``of="access"``, the value is that of another template, which declares the same.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from engine.capabilities import Capabilities
from engine.errors import SettingsError, TemplateError
from engine.spelling import closest_hint
from provisioning.compilation import compiled
from provisioning.executors import choose_executors
from provisioning.names import Names
from provisioning.retention import retention_for, rollover_age
from provisioning.settings import Settings, duration_seconds
from provisioning.templates import BUILT_IN_PACK, Kind, Template, find_descriptions, find_templates


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that a template declared while it was rendered."""

    name: str
    value: Any
    default: Any
    help: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One object as it should be in the cluster.

    Attributes:
        kind: the kind of object.
        stem: the template's stem (``high_traffic``).
        name: what the object is called in the cluster; for an index or a transform that writes one, the
            alias under which it is read.
        body: the body of the request that makes it.
        source: the template file.
        parameters: what the template declared, with the values in force.
        overrides: the file of an earlier pack that ``source`` takes the place of.
    """

    kind: Kind
    stem: str
    name: str
    body: dict[str, Any]
    source: Path
    parameters: tuple[Parameter, ...] = ()
    overrides: Path | None = None


def render_all(settings: Settings, engine: Capabilities) -> list[Rendered]:
    """Render every template of every pack, in the order in which the objects depend on one another.

    Left out are stores, the scheduler's own indices, where the engine runs everything itself; roles where the
    engine has none of Elasticsearch's kind; pipelines where Logstash parses, since Elasticsearch takes none
    without a node with the role ingest; and templates whose output is empty.
    Raises TemplateError, or SettingsError for parameters that no template declares.
    """
    templates = find_templates(settings.packs)
    if not choose_executors(settings.executor, engine).scheduler_needed:
        templates = [template for template in templates if template.kind != "store"]
    if engine.flavour != "elasticsearch":
        templates = [template for template in templates if template.kind != "role"]
    rendered = [_render(template, settings, engine) for template in templates]
    _refuse_unknown_parameters(settings.parameters, rendered)
    for one in rendered:
        if one.kind == "transform":
            _refuse_short_delay(one, settings)
    no_pipelines = settings.parsing == "logstash"
    return [one for one in rendered if one.body and not (no_pipelines and one.kind == "pipeline")]


def _refuse_short_delay(transform: Rendered, settings: Settings) -> None:
    """The same rule as that of the settings, for the transforms of packs, which may write their own delay.

    What else is no sound transform is said by the one who runs it.
    """
    match transform.body:
        case {"sync": {"time": {"delay": str(delay)}}}:
            pass
        case _:
            return
    refresh = settings.summaries.refresh_interval
    with suppress(ValueError):
        if duration_seconds(delay) < 2 * duration_seconds(refresh):
            raise TemplateError(
                f"{transform.source}: sync.time.delay {delay} is less than twice the refresh interval "
                f"({refresh}); documents would be lost: use at least {{ settings.summaries.delay | tojson }}"
            )


# Descriptions are the same for every engine, so what they see is an engine of no cluster.
_NO_ENGINE = Capabilities(flavour="opensearch", version=(0, 0, 0), version_text="0.0.0")


def render_queries(settings: Settings) -> list[Rendered]:
    """Render every saved query of every pack. Raises TemplateError."""
    return _render_descriptions("query", settings)


def render_kibana(settings: Settings) -> tuple[list[Rendered], list[Rendered]]:
    """Render the descriptions of Kibana's data views and of its dashboards, of every pack.

    They see ``threshold``, that of the high-traffic rule. Raises TemplateError or SettingsError.
    """
    watch = render_one(settings, _NO_ENGINE, "watch", "high_traffic")
    threshold = ({} if watch is None else watch.body.get("metadata") or {}).get("threshold", 10.0)
    return (
        _render_descriptions("data_views", settings, threshold=threshold),
        _render_descriptions("dashboard", settings, threshold=threshold),
    )


def render_rules(settings: Settings, connector: str) -> list[Rendered]:
    """Render the rules that Kibana is to run, of every pack. They see ``connector``, its id.

    Raises TemplateError or SettingsError.
    """
    return _render_descriptions("rule", settings, connector=connector)


def _render_descriptions(kind: Kind, settings: Settings, **variables: Any) -> list[Rendered]:
    return [
        _render(template, settings, _NO_ENGINE, **variables)
        for template in find_descriptions(kind, settings.packs)
    ]


def render_one(settings: Settings, engine: Capabilities, kind: Kind, stem: str) -> Rendered | None:
    """Render one template; None if there is none of this kind and stem. Raises as ``render_all`` does."""
    for template in find_templates(settings.packs):
        if (template.kind, template.stem) == (kind, stem):
            return _render(template, settings, engine)
    return None


def object_name(kind: Kind, stem: str, names: Names) -> str:
    """What the object of a template is called in the cluster. Raises TemplateError for an unknown store."""
    if kind == "role":
        return names.role(stem)
    if kind != "store":
        return names.of(stem)
    stores = {
        "transforms": names.transform_store,
        "watches": names.watch_store,
        "watch_history": names.watch_history,
    }
    if stem not in stores:
        raise TemplateError(f"indices/{stem}.store.json.j2: the scheduler's stores are {', '.join(stores)}")
    return stores[stem]


def _render(
    template: Template,
    settings: Settings,
    engine: Capabilities,
    **variables: Any,
) -> Rendered:
    name = object_name(template.kind, template.stem, settings.names)
    retention = retention_for(settings.retention, engine)
    declared: dict[str, Parameter] = {}

    def parameter(
        parameter_name: str,
        default: Any,
        *,
        of: str = template.stem,
        help: str = "",  # noqa: A002
        unit: str = "",
        minimum: float | None = None,
        maximum: float | None = None,
    ) -> Any:
        value = settings.parameters.get(of, {}).get(parameter_name, default)
        problem = _unfit(value, default, minimum, maximum)
        if problem:
            raise SettingsError(f"parameters.{of}.{parameter_name}: {value!r} {problem}")
        if isinstance(default, float):
            value = float(value)
        if of != template.stem:
            return value  # another template's own, which declares it
        declared[parameter_name] = Parameter(parameter_name, value, default, help, unit)
        return value

    source = template.path.relative_to(template.pack).as_posix()
    try:
        text = compiled(template, settings.packs).render(
            names=settings.names,
            engine=engine,
            settings=settings,
            retention=retention,
            rollover_age=rollover_age,
            name=name,
            parameter=parameter,
            **variables,
        )
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"{error.filename or template.path}:{error.lineno}: {error.message}") from None
    except jinja2.TemplateNotFound as error:
        raise TemplateError(f"{template.path}: includes {error.name}, which is in no pack") from None
    except (jinja2.TemplateError, ValueError, TypeError) as error:
        raise TemplateError(f"{template.path}{_line_of(error, template.path)}: {error}") from None
    except OSError as error:
        raise TemplateError(f"{template.path}: cannot be read: {error.strerror}") from None
    return Rendered(
        kind=template.kind,
        stem=template.stem,
        name=name,
        # Empty on purpose, of a template that says something; an empty file is a mistake.
        body={} if not text.strip() and not _is_empty(template.path) else _parse(text, template.path),
        source=Path(source) if template.pack == BUILT_IN_PACK else template.path,
        parameters=tuple(declared.values()),
        overrides=template.overrides,
    )


def _unfit(value: Any, default: Any, minimum: float | None, maximum: float | None) -> str | None:
    """Why a value cannot stand where the default stands; None if it can."""
    if default is None:
        return None
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "is not true or false"
    if isinstance(default, int | float):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "is no number"
        if isinstance(default, int) and not float(value).is_integer():
            return "is no whole number"
        if minimum is not None and value < minimum:
            return f"is below {minimum:g}"
        if maximum is not None and value > maximum:
            return f"is above {maximum:g}"
        return None
    if not isinstance(value, type(default)):
        return f"is not like the default, {default!r}"
    if isinstance(default, str) and _is_duration(default) and not _is_duration(value):
        return "is no duration; write it as 500ms, 10s, 2m, 1h or 7d"
    return None


def _is_duration(text: str) -> bool:
    try:
        duration_seconds(text)
    except ValueError:
        return False
    return True


def _is_empty(path: Path) -> bool:
    return not path.read_text(encoding="utf-8").strip()


def _line_of(error: BaseException, path: Path) -> str:
    """``:12`` for the template's line in which an error arose; Jinja puts it into the traceback."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    return f":{lines[-1]}" if lines else ""


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        body = json.loads(text, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as error:
        line = text.splitlines()[error.lineno - 1].strip() if text.strip() else ""
        place = f"line {error.lineno}, column {error.colno}"
        raise TemplateError(f"{path}: its output is not JSON: {error.msg} at {place}: {line[:80]}") from None
    except ValueError as error:
        raise TemplateError(f"{path}: its output is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise TemplateError(f"{path}: its output is no JSON object")
    return body


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return unique


def _refuse_unknown_parameters(given: Mapping[str, Mapping[str, Any]], rendered: Sequence[Rendered]) -> None:
    known: dict[str, set[str]] = {}
    for one in rendered:
        known.setdefault(one.stem, set()).update(parameter.name for parameter in one.parameters)
    for stem, parameters in given.items():
        if stem not in known:
            raise SettingsError(f"parameters.{stem}: there is no such template{closest_hint(stem, known)}")
        for name in parameters:
            if name not in known[stem]:
                there = ", ".join(sorted(known[stem]))
                hint = closest_hint(name, known[stem], f"; it has {there}" if there else "")
                raise SettingsError(f"parameters.{stem}.{name}: {stem} has no such parameter{hint}")
