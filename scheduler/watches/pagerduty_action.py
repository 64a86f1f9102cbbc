"""The ``pagerduty`` action: an event of PagerDuty's Events API, version 2."""

from __future__ import annotations

import json
from typing import Any

from provisioning.settings import NotifySettings
from scheduler.watches.actions import ActionFailed, Result, Send
from scheduler.watches.http_fields import http_request
from scheduler.watches.http_requests import send
from scheduler.watches.instants import for_documents
from scheduler.watches.message_fields import EVENT_TYPES
from scheduler.watches.messages import chosen_account
from scheduler.watches.run import Run

_MOST_BODY = 1000
# The Events API's own limit of a summary.
_MOST_SUMMARY = 1024


class PagerDuty:
    """Triggers, acknowledges and resolves incidents."""

    def __init__(self, accounts: NotifySettings) -> None:
        self._accounts = accounts

    def __call__(
        self, action: dict[str, Any], run: Run, payload: dict[str, Any], simulate: bool
    ) -> Result | Send:
        """Make the event of a rendered action, and what sends it. Raises ActionFailed."""
        event = event_of(action, run, payload)
        if simulate:
            return {"status": "simulated", "pagerduty": {"event": event}}
        name, account = chosen_account(
            "pagerduty", self._accounts.pagerduty, action.get("account"), self._accounts.pagerduty_account
        )
        body = event | {"routing_key": account.service_api_key.get_secret_value()}
        headers = {"Content-Type": "application/json"}
        request = http_request(
            {"url": account.url, "method": "post", "headers": headers, "body": json.dumps(body)}, "url"
        )
        if action.get("proxy"):
            request["proxy"] = action["proxy"]

        def send_event() -> Result:
            answer = send(request)
            sent = {"account": name, "event": event, "response": {"status": answer.status}}
            if not 200 <= answer.status < 300:
                reason = f"PagerDuty answers {answer.status}: {answer.text()[:_MOST_BODY]}"
                return {"status": "failure", "reason": reason, "pagerduty": {"sent_event": sent}}
            return {"status": "success", "pagerduty": {"sent_event": sent}}

        return send_event


def event_of(action: dict[str, Any], run: Run, payload: dict[str, Any]) -> dict[str, Any]:
    """The event, without the key that says whose it is. Raises ActionFailed for an unknown type."""
    kind = str(action.get("event_type") or "trigger").lower()
    if kind not in EVENT_TYPES:
        raise ActionFailed(f"event_type {kind!r} is none of {', '.join(EVENT_TYPES)}")
    details: dict[str, Any] = {
        "summary": str(action["description"])[:_MOST_SUMMARY],
        "source": run.watch.id,
        "severity": "critical",
    }
    if action.get("attach_payload") in (True, "true"):
        details["custom_details"] = {"payload": for_documents(payload)}
    event: dict[str, Any] = {
        "event_action": kind,
        # One incident for a watch, unless it says otherwise: later events join it, or resolve it.
        "dedup_key": action.get("incident_key") or run.watch.id,
        "payload": details,
    }
    for key in ("client", "client_url"):
        if action.get(key):
            event[key] = action[key]
    links = [_without_type(one) for one in action["contexts"] if one["type"] == "link"]
    images = [_without_type(one) for one in action["contexts"] if one["type"] == "image"]
    return event | ({"links": links} if links else {}) | ({"images": images} if images else {})


def _without_type(context: dict[str, Any]) -> dict[str, Any]:
    return {
        ("alt" if key == "text" and "src" in context else key): value
        for key, value in context.items()
        if key != "type"
    }
