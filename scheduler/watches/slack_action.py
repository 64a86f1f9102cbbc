"""The ``slack`` action: messages by an incoming webhook."""

from __future__ import annotations

import json
from typing import Any

from engine.client import Engine
from provisioning.settings import NotifySettings
from scheduler.watches.actions import ActionFailed, Result, Send
from scheduler.watches.http_fields import http_request
from scheduler.watches.http_requests import RequestFailed, send
from scheduler.watches.message_fields import DynamicAttachments
from scheduler.watches.messages import chosen_account
from scheduler.watches.paths import value_at
from scheduler.watches.run import Run
from scheduler.watches.texts import TextFailed, render_models

_MOST_BODY = 1000


class Slack:
    """Tells channels and users of Slack."""

    def __init__(self, engine: Engine, accounts: NotifySettings) -> None:
        self._engine = engine
        self._accounts = accounts

    def __call__(
        self, action: dict[str, Any], run: Run, payload: dict[str, Any], simulate: bool
    ) -> Result | Send:
        """Make a rendered message, and what sends it to each of its receivers. Raises ActionFailed."""
        message = self._message(action["message"], run.context(payload))
        receivers = action["message"]["to"]
        if simulate:
            shown = message | ({"to": receivers} if receivers else {})
            return {"status": "simulated", "slack": {"message": shown}}
        name, account = chosen_account(
            "slack", self._accounts.slack, action.get("account"), self._accounts.slack_account
        )

        def send_all() -> Result:
            sent = [
                _sent(message, receiver, account.url.get_secret_value(), action.get("proxy"))
                for receiver in receivers or [None]
            ]
            failed = [one for one in sent if one["status"] == "failure"]
            result: Result = {"status": "success", "slack": {"account": name, "sent_messages": sent}}
            if failed:
                status = "failure" if len(failed) == len(sent) else "partial_failure"
                result |= {"status": status, "reason": failed[0]["reason"]}
            return result

        return send_all

    def _message(self, message: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
        """The message as Slack takes it, with the attachments that a list in the payload gives."""
        body: dict[str, Any] = {}
        for key, name in (("from", "username"), ("icon", "icon_url"), ("text", "text")):
            if message.get(key) is not None:
                body[name] = message[key]
        if str(body.get("icon_url", "")).startswith(":"):
            body["icon_emoji"] = body.pop("icon_url")
        attachments = message["attachments"] + self._dynamic(message.get("dynamic_attachments"), context)
        if attachments:
            body["attachments"] = attachments
        return body

    def _dynamic(self, dynamic: DynamicAttachments | None, context: dict[str, Any]) -> list[dict[str, Any]]:
        if dynamic is None:
            return []
        path = dynamic.list_path
        items = value_at(path, {"ctx": context})
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise ActionFailed(f"dynamic attachment could not be resolved: [{path}] is no list of objects")
        attachments = []
        for one in render_models(self._engine, dynamic.template, items):
            if isinstance(one, TextFailed):
                raise one
            attachments.append(one)
        return attachments


def _sent(message: dict[str, Any], receiver: str | None, url: str, proxy: Any) -> Result:
    body = message | ({"channel": receiver} if receiver else {})
    request = http_request({"url": url, "method": "post", "body": json.dumps(body)}, "url")
    if proxy:
        request["proxy"] = proxy
    entry: Result = {"status": "success", "message": message} | ({"to": receiver} if receiver else {})
    try:
        answer = send(request)
    except RequestFailed as error:
        return entry | {"status": "failure", "reason": str(error)}
    if not 200 <= answer.status < 300:
        reason = f"Slack answers {answer.status}: {answer.text()[:_MOST_BODY]}"
        return entry | {"status": "failure", "reason": reason}
    return entry
