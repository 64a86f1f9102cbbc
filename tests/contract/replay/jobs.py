"""The transforms and watches of a replayed cluster, as far as their states go: nothing runs."""

from __future__ import annotations

import copy
import fnmatch
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.contract.replay.answers import Answer, Answers, Body, error
from tests.contract.replay.indices import Indices
from tests.contract.replay.normal_forms import shown_transform, shown_watch

_VALIDATION = "validation_exception"


@dataclass
class Transform:
    """A transform; ``state`` is ``started``, ``stopped`` or ``failed``."""

    body: Body
    state: str = "stopped"


class Transforms:
    """The transforms by id.

    Those in ``started_meanwhile`` somebody else starts between one look and the next request.
    """

    def __init__(self, answers: Answers, indices: Indices) -> None:
        self._answers = answers
        self._indices = indices
        self.all: dict[str, Transform] = {}
        self.started_meanwhile: set[str] = set()

    def show(self, pattern: str) -> Answer:
        """``GET _transform/<pattern>``."""
        found = self._named(pattern)
        if not found and "*" not in pattern:
            return self._answers("transform_missing", pattern)
        shown = [
            shown_transform(one.body, self._answers.body("transform", name)["transforms"][0])
            for name, one in found.items()
        ]
        return Answer(200, {"count": len(shown), "transforms": shown})

    def stats(self, pattern: str) -> Answer:
        """``GET _transform/<pattern>/_stats``, as if each had just looked."""
        shown = [self._stats_of(name, one) for name, one in self._named(pattern).items()]
        return Answer(200, {"count": len(shown), "transforms": shown})

    def _stats_of(self, name: str, transform: Transform) -> Body:
        stats: Body = self._answers.body(f"transform_stats_{transform.state}", name)["transforms"][0]
        checkpointing = stats["checkpointing"]
        now = int(time.time() * 1000)
        for place, key in (
            (checkpointing, "last_search_time"),
            (checkpointing["last"], "timestamp_millis"),
            (checkpointing["last"], "time_upper_bound_millis"),
        ):
            if key in place:
                place[key] = now
        return stats

    def _named(self, pattern: str) -> Mapping[str, Transform]:
        return {name: one for name, one in self.all.items() if fnmatch.fnmatchcase(name, pattern)}

    def put(self, name: str, body: Body, *, validate: bool) -> Answer:
        """``PUT _transform/<id>``."""
        if name in self.all:
            return self._answers("transform_exists", name)
        if validate and (missing := self._missing_source(body)):
            return missing
        self.all[name] = Transform(copy.deepcopy(body))
        return self._answers("acknowledged")

    def _missing_source(self, body: Body) -> Answer | None:
        index = body["source"]["index"]
        for name in [index] if isinstance(index, str) else index:
            if not self._indices.named(name):
                reason = f"Validation Failed: 1: no such index [{name}];"
                return Answer(400, error(400, _VALIDATION, reason))
        return None

    def act(self, name: str, action: str, params: Mapping[str, str], body: Body | None) -> Answer:
        """``POST _transform/<id>/_<action>``."""
        if name not in self.all:
            return self._answers("transform_missing", name)
        transform = self.all[name]
        forced = params.get("force") == "true"
        if action == "_start":
            return self._start(name, transform)
        if action == "_stop":
            if transform.state == "failed" and not forced:
                reason = f"Unable to stop transform [{name}] as it is in a failed state. Use force stop"
                return Answer(409, error(409, "status_exception", reason))
            transform.state = "stopped"
        elif action == "_update":
            changes = body or {}
            if "pivot" in changes:
                return self._answers("transform_pivot_fixed", name)
            transform.body |= {key: value for key, value in changes.items() if value is not None}
            for key in [key for key, value in changes.items() if value is None]:
                transform.body.pop(key, None)
            return Answer(200, self.show(name).body["transforms"][0])
        elif transform.state == "started" and not forced:
            return self._answers("transform_runs_reset", name)
        return self._answers("acknowledged")

    def _start(self, name: str, transform: Transform) -> Answer:
        if name in self.started_meanwhile:
            transform.state = "started"
        if transform.state == "failed":
            reason = f"Unable to start transform [{name}] as it is in a failed state. Use force stop"
            return Answer(409, error(409, "status_exception", reason))
        if transform.state == "started":
            return self._answers("transform_started", name)
        if missing := self._missing_source(transform.body):
            return missing
        destination = transform.body["dest"]["index"]
        if self._indices.one(destination) is None:
            # Elasticsearch would make one, with a mapping that it guesses; here nobody may rely on that.
            reason = f"Validation Failed: 1: no destination [{destination}];"
            return Answer(400, error(400, _VALIDATION, reason))
        transform.state = "started"
        return self._answers("acknowledged")

    def delete(self, name: str, *, forced: bool) -> Answer:
        """``DELETE _transform/<id>``."""
        if name not in self.all:
            return self._answers("transform_missing", name)
        if self.all[name].state != "stopped" and not forced:
            return self._answers("transform_runs_delete", name)
        del self.all[name]
        return self._answers("acknowledged")


class Watches:
    """The watches by id: what was put, and whether it is active; acknowledged actions by watch."""

    def __init__(self, answers: Answers, *, licensed: bool) -> None:
        self._answers = answers
        self._licensed = licensed
        self.all: dict[str, tuple[Body, bool]] = {}
        self.acknowledged: dict[str, list[str]] = {}

    def query(self) -> Answer:
        """``POST _watcher/_query/watches``."""
        if not self._licensed:
            return self._answers("watch_not_licensed")
        shown = [self._shown(name) for name in self.all]
        watches = [{key: one[key] for key in ("_id", "watch", "status")} for one in shown]
        return Answer(200, {**self._answers.body("watches"), "count": len(watches), "watches": watches})

    def one(self, method: str, name: str, params: Mapping[str, str], body: Body | None) -> Answer:
        """``GET``, ``PUT`` or ``DELETE`` of ``_watcher/watch/<id>``."""
        if not self._licensed:
            return self._answers("watch_not_licensed")
        if method == "PUT":
            created = name not in self.all
            self.all[name] = (copy.deepcopy(body or {}), params.get("active") != "false")
            return Answer(
                201 if created else 200, {**self._answers.body("watch_put", name), "created": created}
            )
        if name not in self.all:
            return Answer(404, self._answers.body("watch_missing", name))
        if method == "DELETE":
            del self.all[name]
            return Answer(200, {"_id": name, "_version": 2, "found": True})
        return Answer(200, self._shown(name))

    def act(self, name: str, action: str, actions: str | None) -> Answer:
        """``_activate``, ``_deactivate``, ``_ack`` or ``_execute`` of ``_watcher/watch/<id>``."""
        if not self._licensed:
            return self._answers("watch_not_licensed")
        if name not in self.all:
            reason = f"Watch with id [{name}] does not exist"
            return Answer(404, error(404, "resource_not_found_exception", reason))
        body, active = self.all[name]
        if action == "_execute":
            return self._answers("watch_run", name)
        if action == "_ack":
            self.acknowledged[name] = sorted(actions.split(",") if actions else body["actions"])
        else:
            active = action == "_activate"
        self.all[name] = (body, active)
        return Answer(200, {"status": self._shown(name)["status"]})

    def _shown(self, name: str) -> Body:
        body, active = self.all[name]
        frame: Body = self._answers.body("watch", name)
        frame["status"]["state"]["active"] = active
        frame["status"]["last_checked"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        for action in self.acknowledged.get(name, ()):
            status = frame["status"].setdefault("actions", {}).setdefault(action, {})
            status["ack"] = {"timestamp": frame["status"]["last_checked"], "state": "acked"}
        return {**frame, "watch": shown_watch(body)}
