"""The answers of an Elasticsearch, by what they say: recorded ones, or made by hand in the same shape.

An answer is about one object; what that was called when it was recorded is its subject, which is put in anew.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Body = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What goes over the wire: a status and JSON."""

    status: int
    body: Any


class Answers:
    """Finds answers by name, and puts an object's name in."""

    def __init__(self, version: str, find: Callable[[str], tuple[str, Any]]) -> None:
        self.version = version
        self._find = find

    def body(self, name: str, subject: str = "") -> Any:
        """The JSON of an answer that is about ``subject``."""
        recorded_subject, body = self._find(name)
        if not subject or not recorded_subject:
            return copy.deepcopy(body)
        return json.loads(json.dumps(body).replace(recorded_subject, subject))

    def __call__(self, name: str, subject: str = "") -> Answer:
        """An answer that is about ``subject``; an error's status is in its body, as Elasticsearch has it."""
        body = self.body(name, subject)
        return Answer(body.get("status", 200) if "error" in body else 200, body)


# The file of each answer below the folder of recordings, and its subject.
_FILES: Mapping[str, tuple[str, str]] = {
    "acknowledged": ("transform/lifecycle/put.json", ""),
    "index_created": ("transform/recreate/pre_create.json", "pre-dest-000001"),
    "index_missing": ("transform/lifecycle/after_reset_dest.json", "life-dest"),
    "index_settings": ("transform/lifecycle/dest_settings.json", "life-dest"),
    "not_permitted": ("security/u0_put_transform.json", ""),
    "root": ("licence/root.json", ""),
    "transform": ("transform/lifecycle/get.json", "life"),
    "transform_exists": ("transform/lifecycle/put_again.json", "life"),
    "transform_missing": ("transform/lifecycle/get_missing.json", "nosuch"),
    "transform_pivot_fixed": ("transform/lifecycle/update_pivot.json", ""),
    "transform_runs_delete": ("transform/lifecycle/delete_started.json", "life"),
    "transform_runs_reset": ("transform/lifecycle/reset_started.json", "life"),
    "transform_started": ("transform/lifecycle/start_again.json", "life"),
    "transform_stats_failed": ("transform/failed/stats_started.json", "life"),
    "transform_stats_started": ("transform/lifecycle/stats_started.json", "life"),
    "transform_stats_stopped": ("transform/lifecycle/stats_after_stop.json", "life"),
    "watch": ("watch/get_watch_ok.json", "httpmon-high-traffic"),
    "watch_missing": ("licence/trial_get_watch_missing.json", "w1"),
    "watch_put": ("watch/put_watch.json", "httpmon-high-traffic"),
    "watch_not_licensed": ("licence/basic_put_watch.json", ""),
    "watch_run": ("watch/exec_stored_ignore_cond.json", "httpmon-high-traffic"),
    "watches": ("watch/query.json", ""),
    "xpack_basic": ("licence/basic_xpack.json", ""),
    "xpack_trial": ("licence/trial_xpack.json", ""),
}


def recorded(folder: Path) -> Answers:
    """The answers of the Elasticsearch that was recorded in a folder."""

    def find(name: str) -> tuple[str, Any]:
        file, subject = _FILES[name]
        return subject, json.loads((folder / file).read_text(encoding="utf-8"))

    return Answers(str(find("root")[1]["version"]["number"]), find)


def made(version: str) -> Answers:
    """Answers made by hand, of an Elasticsearch of this version."""
    bodies = _made_bodies(version)
    return Answers(version, lambda name: ("NAME", bodies[name]))


def error(status: int, kind: str, reason: str, **more: Any) -> Body:
    """The body of an error."""
    cause = {"type": kind, "reason": reason, **more}
    return {"error": {"root_cause": [cause], **cause}, "status": status}


def _made_bodies(version: str) -> Mapping[str, Body]:
    major = int(version.partition(".")[0])
    counts = {
        "pages_processed": 5,
        "documents_processed": 60,
        "documents_indexed": 4,
        "documents_deleted": 0,
        "trigger_count": 5,
        "search_failures": 0,
    }
    last = {"checkpoint": 2, "timestamp_millis": 1795572376223, "time_upper_bound_millis": 1795572375223}
    stats = {"id": "NAME", "state": "started", "stats": counts, "health": {"status": "green"}}
    searched = {"last": last, "last_search_time": 1795572378221}
    return {
        "acknowledged": {"acknowledged": True},
        "index_created": {"acknowledged": True, "shards_acknowledged": True, "index": "NAME"},
        "index_missing": error(
            404, "index_not_found_exception", "no such index [NAME]", index="NAME", index_uuid="_na_"
        ),
        "index_settings": {
            "NAME": {
                "settings": {
                    "index": {
                        "routing": {"allocation": {"include": {"_tier_preference": "data_content"}}},
                        "number_of_shards": "1",
                        "number_of_replicas": "0",
                        "provided_name": "NAME",
                        "creation_date": "1795572374537",
                        "uuid": "Rc-pdBg4R0OwLF6Cl6FSuA",
                        "version": {"created": f"{major}100499"},
                    }
                }
            }
        },
        "not_permitted": error(
            403,
            "security_exception",
            "action [cluster:admin/transform/put] is unauthorized for user [u0] with effective roles [r0], "
            "this action is granted by the cluster privileges [manage_transform,manage,all]",
        ),
        "root": {
            "name": "node-1",
            "cluster_name": "replayed",
            "cluster_uuid": "olbqAdrPR3mhE3ywalV6tg",
            "version": {"number": version, "build_flavor": "default", "lucene_version": "9.7.0"},
            "tagline": "You Know, for Search",
        },
        "transform": {
            "count": 1,
            "transforms": [
                {
                    "id": "NAME",
                    "version": "10.0.0",
                    "create_time": 1795572374343,
                    "source": {"index": ["a"]},
                    "dest": {"index": "b"},
                    "pivot": {},
                    "settings": {},
                }
            ],
        },
        "transform_exists": error(
            400, "resource_already_exists_exception", "Transform with id [NAME] already exists"
        ),
        "transform_missing": error(
            404, "resource_not_found_exception", "Transform with id [NAME] could not be found"
        ),
        "transform_pivot_fixed": error(
            400,
            "x_content_parse_exception",
            "[1:2] [data_frame_transform_config_update] unknown field [pivot]",
        ),
        "transform_runs_delete": error(
            409,
            "status_exception",
            "Cannot delete transform [NAME] as the task is running. Stop the task first",
        ),
        "transform_runs_reset": error(
            409,
            "status_exception",
            "Cannot reset transform [NAME] as the task is running. Stop the task first",
        ),
        "transform_started": error(
            409, "status_exception", "Cannot start transform [NAME] as it is already started."
        ),
        "transform_stats_failed": {
            "count": 1,
            "transforms": [
                {
                    **stats,
                    "state": "failed",
                    "reason": "Failed to index documents into destination index due to permanent error: "
                    "[failed to parse field [source.ip] of type [ip]]",
                    "checkpointing": searched,
                    "health": {"status": "red"},
                }
            ],
        },
        "transform_stats_started": {"count": 1, "transforms": [{**stats, "checkpointing": searched}]},
        "transform_stats_stopped": {
            "count": 1,
            "transforms": [{**stats, "state": "stopped", "checkpointing": {"last": last}}],
        },
        "watch": {
            "found": True,
            "_id": "NAME",
            "_version": 31,
            "status": {
                "state": {"active": True, "timestamp": "2026-11-25T02:13:43.227Z"},
                "last_checked": "2026-11-25T02:18:32.989Z",
                "execution_state": "execution_not_needed",
                "version": 31,
            },
            "watch": {},
        },
        "watch_missing": {"found": False, "_id": "NAME"},
        "watch_put": {"_id": "NAME", "_version": 1, "_seq_no": 4, "_primary_term": 1, "created": True},
        "watch_not_licensed": error(
            403,
            "security_exception",
            "current license is non-compliant for [watcher]",
            **{"license.expired.feature": "watcher"},
        ),
        "watch_run": {
            "_id": "NAME_ea12ada0",
            "watch_record": {
                "watch_id": "NAME",
                "state": "executed",
                "result": {"condition": {"type": "script", "met": True}, "actions": []},
            },
        },
        "watches": {"count": 0, "watches": []},
        "xpack_basic": _xpack("basic", watcher=False),
        "xpack_trial": _xpack("trial", watcher=True),
    }


def _xpack(licence: str, *, watcher: bool) -> Body:
    available = {"ilm": True, "security": True, "transform": True, "watcher": watcher}
    return {
        "license": {"type": licence, "mode": licence, "status": "active"},
        "features": {name: {"available": there, "enabled": True} for name, there in available.items()},
    }
