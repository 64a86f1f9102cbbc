"""A small Kibana: it keeps saved objects and answers as a real one (8.3.3) was seen to.

Exports, imports, single deletes, rules and spaces are what httpmon uses. ``sent`` has each ``METHOD /path``.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_READS = ("POST /api/saved_objects/_export", "GET ")


class KibanaServer:
    """Listens on a port of its own while it is entered.

    Attributes:
        objects: by type and id, per space.
        rules: by id, per space.
        spaces: the ids of the spaces that are there.
        user: what the authorization header must be; None lets everybody in.
        forbidden: whether the user may do nothing.
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.rules: dict[tuple[str, str], dict[str, Any]] = {}
        self.spaces = {"default", "ops"}
        self.user: str | None = None
        self.forbidden = False
        self.ready = True
        self.sent: list[str] = []
        self.changed = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def writes(self) -> list[str]:
        return [one for one in self.sent if not one.startswith(_READS) and "_export" not in one]

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def now(self) -> str:
        """The time of the next change: each one is later than the one before."""
        self.changed += 1
        return f"2026-01-01T00:{self.changed // 60:02}:{self.changed % 60:02}.000Z"

    def change(self, kind: str, identity: str, space: str = "default", **attributes: Any) -> None:
        """Change attributes of an object as somebody would by the API."""
        one = self.objects[space, kind, identity]
        one["attributes"] |= attributes
        one["updated_at"] = self.now()

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        space = "default"
        if match := re.fullmatch(r"/s/([^/]+)(/.*)", path):
            space, path = match.groups()
        if not self.ready:
            return 503, "Kibana server is not ready yet."
        if self.user is not None and headers.get("authorization") != self.user:
            return _error(401, "Unauthorized", "[security_exception]: unable to authenticate user")
        if method != "GET" and "kbn-xsrf" not in headers:
            return _error(400, "Bad Request", "Request must contain a kbn-xsrf header.")
        if path.startswith("/api/spaces/space/"):
            known = path.rpartition("/")[2] in self.spaces
            return (200, {"id": space}) if known else _error(404, "Not Found", "Not Found")
        if self.forbidden:
            return _error(403, "Forbidden", "Unable to bulk_create dashboard")
        if path.startswith("/api/alerting/"):
            return self._alerting(method, space, path, body)
        if method == "DELETE" and path.startswith("/api/actions/connector/"):
            gone = self.objects.pop((space, "action", path.rpartition("/")[2]), None)
            return (204, {}) if gone else _error(404, "Not Found", "Not Found")
        if path == "/api/saved_objects/_export":
            return self._export(space, json.loads(body))
        if path == "/api/saved_objects/_import":
            return self._import(space, headers["content-type"], body)
        if method == "DELETE" and path.startswith("/api/saved_objects/"):
            kind, identity = path.split("/")[-2:]
            gone = self.objects.pop((space, kind, identity), None)
            missing = f"Saved object [{kind}/{identity}] not found"
            return (200, {}) if gone else _error(404, "Not Found", missing)
        return _error(404, "Not Found", "Not Found")

    def _alerting(self, method: str, space: str, path: str, body: bytes) -> tuple[int, Any]:
        identity = path.rpartition("/")[2]
        there = self.rules.get((space, identity))
        if identity == "_find":  # by its tags; the caller sees to it that no others are taken
            found = [rule for key, rule in self.rules.items() if key[0] == space]
            return 200, {"page": 1, "total": len(found), "data": found}
        if method == "POST":
            rule = {**json.loads(body), "id": identity, "mute_all": False}
            if there or not _UUID.fullmatch(identity) or "notify_when" not in rule:
                return _error(400, "Bad Request", "the rule is refused")
            rule["params"] |= {"excludeHitsFromPreviousRun": True}  # newer ones add to what was given
            self.rules[space, identity] = rule
            return 200, rule
        if there is None:
            return _error(404, "Not Found", f"Saved object [alert/{identity}] not found")
        if method == "PUT":
            there |= json.loads(body)
        if method == "DELETE":
            del self.rules[space, identity]
            return 204, {}
        return 200, there

    def _export(self, space: str, asked: Mapping[str, Any]) -> tuple[int, Any]:
        if "objects" in asked:
            keys = [(space, one["type"], one["id"]) for one in asked["objects"]]
            if missing := [key for key in keys if key not in self.objects]:
                status, told = _error(400, "Bad Request", "Error fetching objects to export")
                told["attributes"] = {
                    "objects": [
                        {"type": kind, "id": identity, "error": {"statusCode": 404}}
                        for _, kind, identity in missing
                    ]
                }
                return status, told
        else:
            target = (asked["hasReference"]["type"], asked["hasReference"]["id"])
            keys = [
                key
                for key, one in self.objects.items()
                if key[0] == space
                and key[1] in asked["type"]
                and target in {(each["type"], each["id"]) for each in one["references"]}
            ]
            if asked["includeReferencesDeep"] and keys and (space, *target) in self.objects:
                keys = [(space, *target), *keys]
        return 200, [self.objects[key] for key in keys]

    def _import(self, space: str, content_type: str, body: bytes) -> tuple[int, Any]:
        form = message_from_bytes(b"content-type: " + content_type.encode() + b"\r\n\r\n" + body)
        part = form.get_payload()[0]
        assert str(part.get_filename()).endswith(".ndjson")  # type: ignore[union-attr]
        lines = part.get_payload(decode=True).decode().splitlines()  # type: ignore[union-attr]
        objects = [json.loads(line) for line in lines if line]
        if any(one["type"] == "action" and not _UUID.fullmatch(one["id"]) for one in objects):
            return _error(400, "Bad Request", "Predefined IDs are not allowed unless the ID is a UUID.")
        there = {key[1:] for key in self.objects if key[0] == space}
        there |= {(one["type"], one["id"]) for one in objects}
        errors = [
            {"type": one["type"], "id": one["id"], "error": {"type": "missing_references"}}
            for one in objects
            for each in one["references"]
            if each["type"] in ("index-pattern", "search") and (each["type"], each["id"]) not in there
        ]
        if errors:
            return 200, {"success": False, "successCount": 0, "errors": errors}
        time = self.now()
        for one in objects:
            self.objects[space, one["type"], one["id"]] = {**one, "updated_at": time}
        return 200, {"success": True, "successCount": len(objects)}


def _error(status: int, error: str, message: str) -> tuple[int, dict[str, Any]]:
    return status, {"statusCode": status, "error": error, "message": message}


def _handler(kibana: KibanaServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            path = self.path.partition("?")[0]
            kibana.sent.append(f"{self.command} {path}")
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer = kibana.answer(self.command, path, headers, body)
            if isinstance(answer, list):
                media_type, content = "application/ndjson", "\n".join(map(json.dumps, answer))
            elif isinstance(answer, str):
                media_type, content = "text/html", answer
            else:
                media_type, content = "application/json", json.dumps(answer)
            self.send_response(status)
            self.send_header("content-type", f"{media_type}; charset=utf-8")
            self.send_header("content-length", str(len(content.encode())))
            self.end_headers()
            self.wfile.write(content.encode())

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    return Handler
