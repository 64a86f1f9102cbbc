"""The indices, data streams, aliases and documents of a replayed cluster."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.contract.replay.answers import Answer, Answers, Body, error
from tests.contract.replay.normal_forms import flat, merged, shown_mapping, shown_settings
from tests.contract.replay.searches import nothing_found

_ILLEGAL = "illegal_argument_exception"


@dataclass
class Index:
    """One index; ``settings`` by their full names, documents by id."""

    settings: Body
    mappings: Body
    aliases: Body = field(default_factory=dict)
    data_stream: str | None = None
    documents: dict[str, Body] = field(default_factory=dict)


class Indices:
    """What lies in the cluster, by index name; and the lifecycle of each data stream, None for none."""

    def __init__(
        self, answers: Answers, templates: Mapping[str, Body], components: Mapping[str, Body]
    ) -> None:
        self._answers = answers
        self._templates = templates
        self._components = components
        self.all: dict[str, Index] = {}
        self.lifecycles: dict[str, Body | None] = {}

    def named(self, expression: str) -> dict[str, Index]:
        """The indices that names, aliases, data streams and patterns mean."""
        wanted = expression.split(",")
        return {
            name: index
            for name, index in self.all.items()
            if any(
                fnmatch.fnmatchcase(known, pattern)
                for pattern in wanted
                for known in (name, *index.aliases, index.data_stream or name)
            )
        }

    def one(self, name: str) -> tuple[str, Index] | None:
        """The one index that a name or alias means, as far as there is one."""
        return next(iter(self.named(name).items()), None)

    def show(self, expression: str) -> Answer:
        """``GET /<indices>``, unavailable ones left out."""
        return Answer(200, {name: self._shown(name, one) for name, one in self.named(expression).items()})

    def _shown(self, name: str, index: Index) -> Body:
        frame = self._answers.body("index_settings", name)[name]["settings"]
        shown: Body = {
            "aliases": index.aliases,
            "mappings": shown_mapping(index.mappings),
            "settings": merged(frame, shown_settings(index.settings)),
        }
        if index.data_stream:
            shown["data_stream"] = index.data_stream
        return shown

    def create(self, name: str, body: Body) -> Answer:
        """``PUT /<index>``."""
        if name in self.all:
            reason = f"index [{name}/uuid] already exists"
            return Answer(400, error(400, "resource_already_exists_exception", reason))
        self.all[name] = Index(
            flat(body.get("settings", {})), body.get("mappings", {}), body.get("aliases", {})
        )
        return self._answers("index_created", name)

    def delete(self, name: str) -> Answer:
        """``DELETE /<index>``, of a concrete one."""
        if name not in self.all:
            return self._answers("index_missing", name)
        del self.all[name]
        return self._answers("acknowledged")

    def create_stream(self, name: str) -> Answer:
        """``PUT /_data_stream/<name>``."""
        if self.named(name):
            reason = f"data_stream [{name}] already exists"
            return Answer(400, error(400, "resource_already_exists_exception", reason))
        return self._add_backing_index(name, 1)

    def roll_over(self, name: str) -> Answer:
        """``POST /<data stream>/_rollover``."""
        return self._add_backing_index(name, len(self.named(name)) + 1)

    def show_streams(self, expression: str) -> Answer:
        """``GET /_data_stream/<names>``."""
        found = [name for name in self.lifecycles if name in expression.split(",")]
        missing = set(expression.split(",")) - set(found)
        if missing:
            return self._answers("index_missing", missing.pop())
        return Answer(200, {"data_streams": [self._shown_stream(name) for name in found]})

    def _shown_stream(self, name: str) -> Body:
        backing = [{"index_name": one} for one in self.named(name)]
        shown: Body = {"name": name, "timestamp_field": {"name": "@timestamp"}, "indices": backing}
        lifecycle = self.lifecycles[name]
        return shown if lifecycle is None else {**shown, "lifecycle": {"enabled": True, **lifecycle}}

    def put_lifecycle(self, name: str, body: Body | None) -> Answer:
        """``PUT`` or, without a body, ``DELETE`` of ``/_data_stream/<name>/_lifecycle``."""
        if name not in self.lifecycles:
            return self._answers("index_missing", name)
        self.lifecycles[name] = body
        return self._answers("acknowledged")

    def delete_stream(self, name: str) -> Answer:
        """``DELETE /_data_stream/<name>``."""
        backing = [one for one, index in self.all.items() if index.data_stream == name]
        for one in backing:
            del self.all[one]
        self.lifecycles.pop(name, None)
        return self._answers("acknowledged") if backing else self._answers("index_missing", name)

    def _add_backing_index(self, name: str, generation: int) -> Answer:
        template = next(
            (
                body
                for body in self._templates.values()
                if "data_stream" in body and any(fnmatch.fnmatch(name, one) for one in body["index_patterns"])
            ),
            None,
        )
        if template is None:
            reason = f"no matching index template found for data stream [{name}]"
            return Answer(400, error(400, _ILLEGAL, reason))
        content: Body = {}
        for part in [*(self._components[one] for one in template["composed_of"]), template]:
            content = merged(content, part.get("template", {}))
        self.lifecycles.setdefault(name, content.get("lifecycle"))
        self.all[f".ds-{name}-2026.11.25-{generation:06}"] = Index(
            {
                "index.hidden": "true",
                "index.routing.allocation.include._tier_preference": "data_hot",
                **flat(content.get("settings", {})),
            },
            {**content.get("mappings", {}), "_data_stream_timestamp": {"enabled": True}},
            data_stream=name,
        )
        return self._answers("acknowledged")

    def put_settings(self, expression: str, body: Body) -> Answer:
        """``PUT /<indices>/_settings``."""
        for index in self.named(expression).values():
            index.settings |= flat(body)
            for setting in [name for name, value in body.items() if value is None]:
                index.settings.pop(setting, None)  # the default is back
        return self._answers("acknowledged")

    def show_setting(self, expression: str, setting: str) -> Answer:
        """``GET /<indices>/_settings/<setting>?flat_settings``; an index that has it not is left out."""
        return Answer(
            200,
            {
                name: {"settings": {setting: index.settings[setting]}}
                for name, index in self.named(expression).items()
                if setting in index.settings
            },
        )

    def field_types(self, expression: str, wanted: str) -> Answer:
        """``POST /<indices>/_field_caps?fields=<one, or *>``."""
        found = self.named(expression)
        if not found:
            return self._answers("index_missing", expression)
        fields: dict[str, Body] = {}
        for index in found.values():
            for name, kind in _types(index.mappings.get("properties", {})):
                if wanted in ("*", name):
                    fields.setdefault(name, {})[kind] = {"type": kind, "searchable": True}
        return Answer(200, {"indices": list(found), "fields": fields})

    def show_mappings(self, expression: str) -> Answer:
        """``GET /<indices>/_mapping``."""
        return Answer(
            200,
            {name: {"mappings": shown_mapping(one.mappings)} for name, one in self.named(expression).items()},
        )

    def put_mapping(self, expression: str, body: Body) -> Answer:
        """``PUT /<indices>/_mapping``."""
        for index in self.named(expression).values():
            index.mappings = {**merged(index.mappings, body), "_meta": body.get("_meta", {})}
        return self._answers("acknowledged")

    def change_aliases(self, body: Body) -> Answer:
        """``POST /_aliases``: all actions or none."""
        for action in body["actions"]:
            ((kind, options),) = action.items()
            if options["index"] not in self.all:
                return self._answers("index_missing", options["index"])
            aliases = self.all[options["index"]].aliases
            if kind == "remove":
                aliases.pop(options["alias"], None)
            else:
                more = {key: value for key, value in options.items() if key not in ("index", "alias")}
                aliases[options["alias"]] = more
        return self._answers("acknowledged")

    def stats(self, expression: str) -> Answer:
        """``GET /<indices>/_stats/docs,store``."""
        each = {"docs": {"count": 0, "deleted": 0}, "store": {"size_in_bytes": 226}}
        indices = {name: {"primaries": each, "total": each} for name in self.named(expression)}
        return Answer(200, {"_shards": {"total": len(indices)}, "_all": {}, "indices": indices})

    # -- documents ---------------------------------------------------------------------------------------

    def document(self, method: str, index_name: str, identifier: str, body: Body | None) -> Answer:
        """``GET``, ``PUT`` or ``DELETE`` of ``/<index>/_doc/<id>``."""
        found = self.one(index_name)
        if found is None:
            return self._answers("index_missing", index_name)
        name, index = found
        frame = {"_index": name, "_id": identifier}
        if method == "PUT":
            known = identifier in index.documents
            index.documents[identifier] = body or {}
            return Answer(200 if known else 201, {**frame, "result": "updated" if known else "created"})
        if identifier not in index.documents:
            return Answer(404, {**frame, "found": False, "result": "not_found"})
        if method == "DELETE":
            del index.documents[identifier]
            return Answer(200, {**frame, "result": "deleted"})
        return Answer(200, {**frame, "found": True, "_source": index.documents[identifier]})

    def search(self, expression: str, body: Body) -> Answer:
        """``POST /<indices>/_search``: every document, whatever the query."""
        hits = [
            {"_index": name, "_id": identifier, "_source": document}
            for name, index in self.named(expression).items()
            for identifier, document in index.documents.items()
        ]
        return Answer(200, nothing_found(body, hits))

    def search_many(self, lines: list[Body]) -> Answer:
        """``POST /_msearch``: nothing found; an error where there is no index and there must be one."""
        return Answer(200, {"took": 1, "responses": list(self._responses(lines))})

    def _responses(self, lines: list[Body]) -> Iterator[Body]:
        for header, search in zip(lines[::2], lines[1::2], strict=True):
            names = header["index"]
            names = names if isinstance(names, str) else ",".join(names)
            if self.named(names) or header.get("ignore_unavailable"):
                yield {**nothing_found(search), "status": 200}
            else:
                yield self._answers("index_missing", names).body


def _types(properties: Body, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Each field and object by its dotted name, with its type."""
    for name, content in properties.items():
        yield prefix + name, content.get("type", "object")
        yield from _types(content.get("properties", {}), f"{prefix}{name}.")
