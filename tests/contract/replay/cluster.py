"""A replayed Elasticsearch: keeps what it is given, and answers as a real one answered, or would.

It runs nothing and finds nothing: no transform writes, no search has hits. What is asked here is what is
sent, in which order, and what is made of the answers.
"""

from __future__ import annotations

import copy
import fnmatch
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from tests.contract.replay.answers import Answer, Answers, Body, error
from tests.contract.replay.indices import Indices
from tests.contract.replay.jobs import Transforms, Watches
from tests.contract.replay.normal_forms import shown_role, shown_template

_ILLEGAL = "illegal_argument_exception"
Params = Mapping[str, str]


class Cluster:
    """One cluster under one licence.

    Attributes:
        faults: what to answer instead, once, to the request of a method and path that begins so.
    """

    def __init__(self, answers: Answers, licence: str = "trial") -> None:
        self.answers = answers
        self.faults: dict[str, Answer] = {}
        self._licence = licence
        self.objects: dict[str, dict[str, Body]] = {
            kind: {}
            for kind in (
                "_component_template",
                "_index_template",
                "_ingest/pipeline",
                "_ilm/policy",
                "_security/role",
                "_scripts",
            )
        }
        self.indices = Indices(answers, self.objects["_index_template"], self.objects["_component_template"])
        self.transforms = Transforms(answers, self.indices)
        self.watches = Watches(answers, licensed=licence != "basic")

    def answer(self, method: str, path: str, params: Params, body: Any) -> Answer:
        """The answer to one request; 400 in Elasticsearch's words to one that it has no handler for."""
        for start, fault in list(self.faults.items()):
            if f"{method} {path}".startswith(start):
                del self.faults[start]
                return fault
        for pattern, handle in self._routes():
            match = re.fullmatch(pattern, f"{method} {path}")
            if match:
                return handle(*match.groups(), params=params, body=body)
        return Answer(
            400, {"error": f"no handler found for uri [{path}] and method [{method}]", "status": 400}
        )

    def _routes(self) -> list[tuple[str, Callable[..., Answer]]]:
        indices, transforms, watches = self.indices, self.transforms, self.watches
        kinds = "|".join(self.objects)
        names = r"(\.?[a-z][^/]*)"
        return [
            (r"GET /", lambda **_: self.answers("root")),
            (r"GET /_xpack", lambda **_: self.answers(f"xpack_{self._licence}")),
            (r"POST /_security/user/_has_privileges", lambda body, **_: _may_do_all(body)),
            (r"GET /_security/role", lambda **_: self._show_object("_security/role", "*")),
            (rf"GET /({kinds})/([^/]+)", self._show_object),
            (rf"PUT /({kinds})/([^/]+)", self._put_object),
            (rf"DELETE /({kinds})/([^/]+)", self._delete_object),
            (r"POST /_ingest/pipeline/_simulate", lambda **_: _clock()),
            (r"GET /_cluster/state/metadata", lambda **_: self._stored_scripts()),
            (r"GET /_cluster/health/.*", lambda **_: Answer(200, {"status": "green", "timed_out": False})),
            (r"POST /_msearch", lambda body, **_: indices.search_many(body)),
            (r"POST /_aliases", lambda body, **_: indices.change_aliases(body)),
            (r"POST /_reindex", lambda **_: Answer(200, {"took": 1, "total": 0, "failures": []})),
            (r"PUT /_data_stream/([^/]+)", lambda name, **_: indices.create_stream(name)),
            (r"GET /_data_stream/([^/]+)", lambda name, **_: indices.show_streams(name)),
            (
                r"(?:PUT|DELETE) /_data_stream/([^/]+)/_lifecycle",
                lambda name, body, **_: indices.put_lifecycle(name, body),
            ),
            (r"DELETE /_data_stream/([^/]+)", lambda name, **_: indices.delete_stream(name)),
            (r"GET /_transform/([^/]+)/_stats", lambda name, **_: transforms.stats(name)),
            (r"GET /_transform/([^/]+)", lambda name, **_: transforms.show(name)),
            (r"PUT /_transform/([^/]+)", self._put_transform),
            (
                r"DELETE /_transform/([^/]+)",
                lambda name, params, **_: transforms.delete(name, forced=params.get("force") == "true"),
            ),
            (r"POST /_transform/([^/]+)/(_start|_stop|_reset|_update)", transforms.act),
            (r"POST /_watcher/_query/watches", lambda **_: watches.query()),
            (r"(GET|PUT|DELETE) /_watcher/watch/([^/]+)", watches.one),
            (
                r"(?:PUT|POST) /_watcher/watch/([^/]+)/(_activate|_deactivate|_execute|_ack)(?:/([^/]+))?",
                lambda *way, **_: watches.act(*way),
            ),
            (
                rf"(GET|PUT|DELETE) /{names}/_doc/([^/]+)",
                lambda method, name, identifier, body, **_: indices.document(method, name, identifier, body),
            ),
            (rf"POST /{names}/_search", lambda name, body, **_: indices.search(name, body)),
            (rf"POST /{names}/_rollover", lambda name, **_: indices.roll_over(name)),
            (rf"PUT /{names}/_settings", lambda name, body, **_: indices.put_settings(name, body)),
            (
                rf"GET /{names}/_settings/([^/]+)",
                lambda name, setting, **_: indices.show_setting(name, setting),
            ),
            (
                rf"POST /{names}/_field_caps",
                lambda name, params, **_: indices.field_types(name, params["fields"]),
            ),
            (rf"GET /{names}/_mapping", lambda name, **_: indices.show_mappings(name)),
            (rf"PUT /{names}/_mapping", lambda name, body, **_: indices.put_mapping(name, body)),
            (rf"GET /{names}/_stats/.*", lambda name, **_: indices.stats(name)),
            (rf"GET /{names}", lambda name, **_: indices.show(name)),
            (rf"PUT /{names}", lambda name, body, **_: indices.create(name, body)),
            (rf"DELETE /{names}", lambda name, **_: indices.delete(name)),
        ]

    # -- objects that are only kept --------------------------------------------------------------------

    def _show_object(self, kind: str, name: str, **_: Any) -> Answer:
        found = {one: body for one, body in self.objects[kind].items() if fnmatch.fnmatchcase(one, name)}
        if not found and "*" not in name:
            if kind in ("_ingest/pipeline", "_security/role"):
                return Answer(404, {})
            return Answer(404, error(404, "resource_not_found_exception", f"{kind} [{name}] not found"))
        if kind in ("_component_template", "_index_template"):
            key = kind.removeprefix("_")
            shown = [
                {"name": one, key: shown_template(body, is_index_template=kind == "_index_template")}
                for one, body in found.items()
            ]
            return Answer(200, {f"{key}s": shown})
        if kind == "_ilm/policy":
            frame = {"version": 1, "modified_date": "2026-11-25T02:13:43.227Z", "in_use_by": {}}
            return Answer(200, {one: {**frame, "policy": body["policy"]} for one, body in found.items()})
        if kind == "_security/role":
            return Answer(200, {one: shown_role(body) for one, body in found.items()})
        return Answer(200, copy.deepcopy(found))

    def _put_object(self, kind: str, name: str, *, body: Body, **_: Any) -> Answer:
        if kind == "_index_template":
            unknown = [
                one for one in body.get("composed_of", ()) if one not in self.objects["_component_template"]
            ]
            if unknown:
                reason = f"index template [{name}] specifies component templates {unknown} that do not exist"
                return Answer(400, error(400, "invalid_index_template_exception", reason))
            body = {"composed_of": [], **body}
        self.objects[kind][name] = copy.deepcopy(body)
        return self.answers("acknowledged")

    def _delete_object(self, kind: str, name: str, **_: Any) -> Answer:
        if name not in self.objects[kind]:
            return Answer(404, error(404, "resource_not_found_exception", f"{kind} [{name}] not found"))
        users = list(self._users(kind, name))
        if users:
            reason = f"{kind} [{name}] cannot be deleted because it is in use by {users}"
            return Answer(400, error(400, _ILLEGAL, reason))
        del self.objects[kind][name]
        return self.answers("acknowledged")

    def _users(self, kind: str, name: str) -> list[str]:
        """What still needs an object, so that Elasticsearch keeps it."""
        templates = self.objects["_index_template"]
        indices = self.indices.all
        if kind == "_component_template":
            return [one for one, body in templates.items() if name in body["composed_of"]]
        if kind == "_index_template":
            patterns = templates[name]["index_patterns"]
            streams = {index.data_stream for index in indices.values() if index.data_stream}
            return [one for one in streams if any(fnmatch.fnmatch(one, pattern) for pattern in patterns)]
        setting = {"_ingest/pipeline": "index.default_pipeline", "_ilm/policy": "index.lifecycle.name"}
        return [one for one, index in indices.items() if index.settings.get(setting.get(kind, "")) == name]

    def _stored_scripts(self) -> Answer:
        scripts = {name: body["script"] for name, body in self.objects["_scripts"].items()}
        return Answer(200, {"metadata": {"stored_scripts": copy.deepcopy(scripts)}} if scripts else {})

    def _put_transform(self, name: str, *, params: Params, body: Body) -> Answer:
        return self.transforms.put(name, body, validate=params.get("defer_validation") != "true")


def _may_do_all(asked: Body) -> Answer:
    held = {
        "cluster": dict.fromkeys(asked.get("cluster", ()), True),
        "index": {
            name: dict.fromkeys(one["privileges"], True)
            for one in asked.get("index", ())
            for name in one["names"]
        },
    }
    return Answer(200, {"username": "admin", "has_all_requested": True, **held, "application": {}})


def _clock() -> Answer:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return Answer(200, {"docs": [{"doc": {"_source": {}, "_ingest": {"timestamp": now}}}]})
