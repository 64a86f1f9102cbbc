"""What should be in the cluster: the rendered templates, and what follows from them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.capabilities import Capabilities, Flavour
from engine.errors import TemplateError
from provisioning.executors import Executors, choose_executors
from provisioning.release import httpmon_version
from provisioning.rendering import Rendered
from provisioning.settings import Settings
from provisioning.stamp import ObjectKind, Stamp, checksum, stamped


@dataclass(frozen=True, slots=True)
class Wanted:
    """One object as it should be.

    Attributes:
        kind: the kind of object.
        name: its name; for an index the alias, for a transform what its versions' ids start with.
        body: as rendered, without httpmon's mark.
        source: the template file, for messages.
    """

    kind: ObjectKind
    name: str
    body: dict[str, Any]
    source: str = ""

    @property
    def checksum(self) -> str:
        """The checksum of the body, by which a later run knows it again."""
        return checksum(self.body)

    @property
    def only_expires(self) -> bool:
        """Whether it is a transform that writes nothing: it is there for its retention policy."""
        return bool(self.body.get("_meta", {}).get("only_expires"))


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything that should be in the cluster, and by whom it is marked and run."""

    objects: tuple[Wanted, ...]
    namespace: str
    version: str
    flavour: Flavour
    executors: Executors
    transform_store: str
    watch_store: str

    def of_kind(self, kind: ObjectKind) -> list[Wanted]:
        """The objects of one kind."""
        return [wanted for wanted in self.objects if wanted.kind == kind]

    def marked(self, wanted: Wanted, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The body to send: with httpmon's mark; ``body`` stands for the object's own where given."""
        stamp = Stamp(self.namespace, self.version, wanted.checksum)
        return stamped(wanted.kind, wanted.body if body is None else body, stamp, self.flavour)


def desired_state(rendered: Sequence[Rendered], settings: Settings, engine: Capabilities) -> Desired:
    """What the rendered templates ask for, data streams of their index templates included.

    Raises TemplateError when a transform writes an index that no template describes: the mapping that
    Elasticsearch deduces for such a destination has floats for counts, and no alias to read it by.
    """
    objects = [Wanted(one.kind, one.name, one.body, str(one.source)) for one in rendered]
    indices = {wanted.name for wanted in objects if wanted.kind == "index"}
    for wanted in objects:
        destination = wanted.body.get("dest", {}).get("index") if wanted.kind == "transform" else None
        if wanted.kind == "transform" and destination not in indices:
            raise TemplateError(
                f"{wanted.source}: its dest.index is {destination!r}, which no template describes; "
                "add indices/<name>.index.json.j2 with the mapping"
            )
    streams = [
        Wanted("data_stream", pattern, wanted.body, wanted.source)
        for wanted in objects
        if wanted.kind == "index_template" and "data_stream" in wanted.body
        for pattern in wanted.body.get("index_patterns", ())
        if "*" not in pattern
    ]
    return Desired(
        objects=(*objects, *streams),
        namespace=settings.namespace,
        version=httpmon_version(),
        flavour=engine.flavour,
        executors=choose_executors(settings.executor, engine),
        transform_store=settings.names.transform_store,
        watch_store=settings.names.watch_store,
    )
