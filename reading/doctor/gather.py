"""Asks the engine everything that the doctor looks at; what cannot be asked leaves a gap, no error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from engine.capabilities import Capabilities
from engine.client import Engine
from engine.errors import (
    EngineError,
    EngineUnreachable,
    EngineUntrusted,
    NotFound,
    NotPermitted,
    RequestRefused,
)
from engine.kibana import Kibana
from provisioning.desired import desired_state
from provisioning.facts import gather_facts
from provisioning.names import Names
from provisioning.plan import build_plan
from provisioning.queries import stored_queries
from provisioning.rendering import render_all
from provisioning.retention import retention_for
from provisioning.setting_types import duration_seconds
from provisioning.settings import Settings
from reading.doctor import answers
from reading.doctor.facts import Claim, Contact, Expiry, Findable, LostShard, Uncounted
from reading.doctor.objects import executed_twice, newer_version, rendered_otherwise
from reading.gather import read_installation, read_kibana

T = TypeVar("T")

# Only so many lost shards are asked about; they mostly have one cause.
_MOST_EXPLAINED = 3
# A hit so far ahead of the engine's clock is no matter of a slow clock.
_FUTURE = timedelta(minutes=2)
_PROBE_SECONDS = 5.0


def examine(
    settings: Settings,
    engine: Engine,
    kibana: Kibana | None = None,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Findable:
    """Find out everything; some two dozen requests, none of which changes anything.

    Args:
        settings: which installation.
        engine: the cluster.
        kibana: Kibana, where one is set; it is not asked while the engine does not answer.
        clock: this host's, UTC.

    Raises:
        SettingsError, TemplateError: what should be installed cannot be rendered.
    """
    contact, trouble, capabilities = _meet(settings, engine)
    if capabilities is None:
        return Findable(clock(), contact, trouble)
    found = _Examination(settings, engine, capabilities, clock).findable()
    return found if kibana is None else replace(found, kibana=read_kibana(kibana, settings))


def _meet(settings: Settings, engine: Engine) -> tuple[Contact, str, Capabilities | None]:
    try:
        return "answers", "", engine.capabilities()
    except EngineUntrusted as error:
        return "untrusted", str(error), None
    except EngineUnreachable as error:
        contact: Contact = "speaks_tls" if _speaks_tls(settings) else "unreachable"
        return contact, str(error), None
    except NotPermitted as error:
        return "unknown_account", str(error), None
    except RequestRefused as error:
        return "no_engine", str(error), None
    except EngineError as error:
        return "no_engine", str(error), None


def _speaks_tls(settings: Settings) -> bool:
    """Whether somebody answers at the same place by https."""
    connection = settings.engine.connection()
    if not connection.url.startswith("http:"):
        return False
    probe = replace(
        connection,
        url="https:" + connection.url.removeprefix("http:"),
        verify_certificates=False,
        ca_file=None,
        request_timeout_seconds=_PROBE_SECONDS,
        max_retries=0,
        # Whoever answers is not known to be the one whose password this is.
        username=None,
        password=None,
        api_key=None,
    )
    with Engine(probe) as engine:
        try:
            engine.capabilities()
        except EngineUnreachable:
            return False
        except EngineError:
            return True
    return True


class _Writers(NamedTuple):
    """What the objects tell of those who wrote them."""

    foreign: tuple[Claim, ...]
    otherwise: tuple[str, ...]
    newer: str
    twice: tuple[str, ...]


class _Examination:
    """One look at one installation: what it is not allowed to ask, it notes."""

    def __init__(
        self, settings: Settings, engine: Engine, capabilities: Capabilities, clock: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._names: Names = settings.names
        self._engine = engine
        self._capabilities = capabilities
        self._clock = clock
        self._refused: list[str] = []

    def findable(self) -> Findable:
        names, engine = self._names, self._engine
        nobody = _Writers((), (), "", ())
        own = self._try(self._own_indices, frozenset[str]())
        writers = self._try(self._writers, nobody)
        raw, dead = f"/{names.raw}/_search", f"/{names.dead}/_search"
        newest = self._try(lambda: answers.read_newest(self._ask(raw, answers.newest_search())), None)
        now = self._try(engine.now, None)
        return Findable(
            read_at=self._clock(),
            capabilities=self._capabilities,
            lacking=self._try(self._lacking, {}),
            licence=self._try(self._licence, None),
            clock_skew=self._try(self._clock_skew, None),
            disks=self._try(self._disks, ()),
            watermarks=self._try(self._watermarks, ()),
            blocks=self._try(lambda: self._blocks(own), {}),
            lost=self._try(lambda: self._lost(own), ()),
            yellow=self._try(lambda: self._yellow(own), ()),
            conflicts=self._try(self._conflicts, {}),
            lines=self._try(lambda: answers.read_lines(self._ask(raw, answers.lines_search())), None),
            refused_lines=self._try(
                lambda: answers.read_refused(self._ask(dead, answers.refused_search())), ()
            ),
            uncounted=self._try(self._uncounted, None),
            future_hit=newest if newest and now and newest - now > _FUTURE else None,
            expiries=self._try(self._expiries, ()),
            foreign=writers.foreign,
            otherwise=writers.otherwise,
            newer=writers.newer,
            twice=writers.twice,
            installation=self._try(lambda: read_installation(engine, self._settings), None),
            # Last: every question above may have been refused.
            refused=tuple(dict.fromkeys(self._refused)),
        )

    def _try(self, ask: Callable[[], T], otherwise: T) -> T:
        try:
            return ask()
        except NotPermitted as error:
            self._refused.append(str(error))
        except EngineError:
            # Not there, not known to this engine, or a shard is lost: another question tells.
            pass
        return otherwise

    def _ask(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._engine.request(
            "POST", path, body=body, params={"ignore_unavailable": True, "allow_partial_search_results": True}
        )
        return answer

    @property
    def _patterns(self) -> str:
        names = self._names
        return f"{names.prefix}-*,.{names.prefix}-*,{names.raw},{names.dead}"

    def _own_indices(self) -> frozenset[str]:
        """The indices of this installation: those of its data streams, and those that bear its mark."""
        hidden: dict[str, str | bool] = {"expand_wildcards": "all", "ignore_unavailable": True}
        answer = self._engine.request("GET", f"/{self._patterns}", params=hidden)
        own = []
        for index, one in answer.items():
            meta: Mapping[str, Any] = (one.get("mappings") or {}).get("_meta") or {}
            if "data_stream" in one or meta.get("namespace") == self._settings.namespace:
                own.append(index)
        return frozenset(own)

    def _writers(self) -> _Writers:
        rendered = [*render_all(self._settings, self._capabilities), *stored_queries(self._settings)]
        desired = desired_state(rendered, self._settings, self._capabilities)
        facts = gather_facts(self._engine, self._names)
        refused = build_plan(facts, desired).refused
        return _Writers(
            tuple(Claim(one.kind, one.name, one.why) for one in refused),
            rendered_otherwise(facts, desired),
            newer_version(facts, desired),
            executed_twice(facts),
        )

    def _lacking(self) -> dict[str, tuple[str, ...]]:
        if not self._capabilities.security:
            return {}
        tasks = privileges_of_tasks(self._names, self._capabilities)
        by_index: dict[str, set[str]] = {}
        for needed in tasks.values():
            for name, privileges in needed["index"].items():
                by_index.setdefault(name, set()).update(privileges)
        body = {
            "cluster": sorted({one for needed in tasks.values() for one in needed["cluster"]}),
            "index": [
                {"names": [name], "privileges": sorted(privileges), "allow_restricted_indices": False}
                for name, privileges in by_index.items()
            ],
        }
        answer = self._engine.request("POST", "/_security/user/_has_privileges", body=body)
        return answers.read_lacking(answer, tasks)

    def _licence(self) -> Any:
        if self._capabilities.flavour != "elasticsearch":
            return None
        return answers.read_licence(self._engine.request("GET", "/_license"))

    def _clock_skew(self) -> tuple[float, float]:
        before = self._clock()
        theirs = self._engine.now()
        unsure = (self._clock() - before) / 2
        return (theirs - (before + unsure)).total_seconds(), unsure.total_seconds()

    def _disks(self) -> Any:
        params = {"format": "json", "bytes": "b"}
        return answers.read_disks(self._engine.request("GET", "/_cat/allocation", params=params))

    def _watermarks(self) -> Any:
        params = {"include_defaults": True, "flat_settings": True}
        return answers.read_watermarks(self._engine.request("GET", "/_cluster/settings", params=params))

    def _blocks(self, own: frozenset[str]) -> dict[str, tuple[str, ...]]:
        params: dict[str, str | bool] = {
            "expand_wildcards": "all",
            "ignore_unavailable": True,
            "flat_settings": True,
        }
        path = f"/{self._patterns}/_settings/index.blocks.*"
        return answers.read_blocks(self._engine.request("GET", path, params=params), own)

    def _health(self) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._engine.request(
            "GET",
            f"/_cluster/health/{self._names.prefix}-*,.{self._names.prefix}-*,"
            f".ds-{self._names.raw}-*,.ds-{self._names.dead}-*",
            params={"level": "shards", "timeout": "1s", "expand_wildcards": "all"},
        )
        return answer

    def _lost(self, own: frozenset[str]) -> tuple[LostShard, ...]:
        red = answers.indices_of_health(self._health(), "red")
        shards = [(index, shard) for index in red if index in own for shard in red[index]]
        return tuple(
            self._explained(index, shard) if number < _MOST_EXPLAINED else LostShard(index, shard)
            for number, (index, shard) in enumerate(shards)
        )

    def _explained(self, index: str, shard: int) -> LostShard:
        body = {"index": index, "shard": shard, "primary": True}
        found = answers.read_lost_shard(
            index,
            shard,
            self._try(lambda: self._engine.request("POST", "/_cluster/allocation/explain", body=body), {}),
        )
        if found.decider != "filter":
            return found
        path = f"/{index}/_settings/index.routing.allocation.*"
        nothing: dict[str, Any] = {}
        settings = self._try(
            lambda: self._engine.request("GET", path, params={"flat_settings": True}), nothing
        )
        names = settings.get(index, {}).get("settings") or {}
        chosen = [
            name
            for name in names
            if name.startswith(
                tuple(f"index.routing.allocation.{word}." for word in ("require", "include", "exclude"))
            )
            and not name.endswith("._tier_preference")
        ]
        return replace(found, filters=tuple(sorted(chosen)))

    def _yellow(self, own: frozenset[str]) -> tuple[str, ...]:
        return tuple(index for index in answers.indices_of_health(self._health(), "yellow") if index in own)

    def _conflicts(self) -> dict[tuple[str, str], dict[str, tuple[str, ...]]]:
        names = self._names
        found: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}
        for group in (names.raw, names.sections, names.traffic, names.alerts):
            try:
                answer = self._engine.request(
                    "GET", f"/{group}/_field_caps", params={"fields": "*", "ignore_unavailable": True}
                )
            except NotFound:
                continue
            found |= {(group, field): types for field, types in answers.read_conflicts(answer).items()}
        return found

    def _uncounted(self) -> Uncounted | None:
        """Only where transforms group by the field, because of what Elasticsearch's own get wrong."""
        if not self._capabilities.transforms:
            return None
        raw = self._names.raw
        return answers.read_uncounted(raw, self._ask(f"/{raw}/_search", answers.uncounted_search()))

    def _expiries(self) -> tuple[Expiry, ...]:
        retention = retention_for(self._settings.retention, self._capabilities)
        if self._capabilities.data_stream_lifecycle:
            by = "lifecycle"
        else:
            by = "ilm" if self._capabilities.index_lifecycle else "scheduler"
        found = []
        for stream, kept in ((self._names.raw, retention.raw), (self._names.dead, retention.dead)):
            if kept is None:
                continue
            indices = self._engine.request("GET", f"/{stream}", params={"expand_wildcards": "all"})
            stats = self._engine.request("GET", f"/{stream}/_stats/docs")
            found.append(
                Expiry(stream, kept, duration_seconds(kept), by, answers.read_backing(indices, stats))
            )
        return tuple(found)


def privileges_of_tasks(names: Names, capabilities: Capabilities) -> dict[str, Mapping[str, Any]]:
    """What an account of Elasticsearch needs for each task (Elastic's list of security privileges)."""
    objects = f"{names.prefix}-*"
    provision = ["manage_index_templates", "manage_ingest_pipelines", "monitor"]
    if capabilities.transforms:
        provision.append("manage_transform")
    if capabilities.watcher:
        provision.append("manage_watcher")
    return {
        "read": {"cluster": [], "index": {names.raw: ["read"], objects: ["read"]}},
        "ship": {"cluster": [], "index": {names.raw: ["create_doc"], names.dead: ["create_doc"]}},
        "provision": {
            "cluster": provision,
            "index": {names.raw: ["read", "manage"], objects: ["read", "index", "delete", "manage"]},
        },
    }
