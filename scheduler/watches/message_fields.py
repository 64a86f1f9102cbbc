"""Reading the actions that tell somebody: ``email``, ``slack``, ``pagerduty``, ``notify``. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scheduler.watches import fields
from scheduler.watches.fields import WatchInvalid, at, joined
from scheduler.watches.http_fields import http_request, text_of
from scheduler.watches.mustache import Text, is_template

_EMAIL = (
    "id", "account", "from", "to", "cc", "bcc", "reply_to", "subject", "body", "priority", "attachments",
    "attach_data", "profile",
)  # fmt: skip
PRIORITIES = ("lowest", "low", "normal", "high", "highest")
_ATTACHMENTS = ("data", "http", "reporting")
_FORMATS = ("json", "yaml")
_SLACK_MESSAGE = ("from", "to", "icon", "text", "attachments", "dynamic_attachments")
_PAGERDUTY = (
    "account", "description", "event_type", "incident_key", "client", "client_url", "attach_payload",
    "contexts", "proxy",
)  # fmt: skip
EVENT_TYPES = ("trigger", "resolve", "acknowledge")
_NOTIFY = ("urls", "title", "body", "type")
# What Apprise calls the kinds of a notification.
_NOTIFY_TYPES = ("info", "success", "warning", "failure")


@dataclass(frozen=True)
class DynamicAttachments:
    """Attachments of a Slack message, one for each object of a list: what its template sees is the object.

    Attributes:
        list_path: where the list is, below ``ctx``.
        template: JSON.
    """

    list_path: str
    template: Any


def email(value: Any, path: str) -> dict[str, Any]:
    """Read an ``email`` action: addresses as lists of texts, the body as text and html."""
    body = dict(fields.the_object(value, path))
    fields.refuse_unknown(body, _EMAIL, path)
    for key in ("to", "cc", "bcc", "reply_to"):
        if key in body:
            body[key] = [
                _address(one, at(joined(path, key), index))
                for index, one in enumerate(fields.as_list(body[key]))
            ]
    if not any(body.get(key) for key in ("to", "cc", "bcc")):
        raise WatchInvalid(joined(path, "to"), "is missing")
    if body.get("from") is not None:
        body["from"] = _address(body["from"], joined(path, "from"))
    if body.get("subject") is not None:
        body["subject"] = text_of(body["subject"], joined(path, "subject"))
    body["body"] = _email_body(body.get("body"), joined(path, "body"))
    if body.get("priority") is not None:
        body["priority"] = text_of(body["priority"], joined(path, "priority"))
        _fixed_one_of(body["priority"], PRIORITIES, joined(path, "priority"))
    attachments = fields.the_object(body.get("attachments") or {}, joined(path, "attachments"))
    body["attachments"] = {
        name: _attachment(one, joined(joined(path, "attachments"), name)) for name, one in attachments.items()
    }
    attached = body.pop("attach_data", None)
    if attached:
        form = attached.get("format", "yaml") if isinstance(attached, dict) else "yaml"
        body["attachments"]["data"] = {"data": _data({"format": form}, joined(path, "attach_data"))}
    return body


def _address(value: Any, path: str) -> str | Text:
    if isinstance(value, dict) and "address" in value:
        fields.refuse_unknown(value, ("name", "address"), path)
        address = fields.text(value, "address", path)
        return f"{value['name']} <{address}>" if value.get("name") else address
    return text_of(value, path)


def _email_body(value: Any, path: str) -> dict[str, str | Text]:
    if value is None:
        return {}
    if isinstance(value, dict) and not value.keys() & {"source", "inline", "id"}:
        fields.refuse_unknown(value, ("text", "html"), path)
        return {key: text_of(one, joined(path, key)) for key, one in value.items()}
    return {"text": text_of(value, path)}


def _attachment(value: Any, path: str) -> dict[str, Any]:
    kind, body = fields.the_only_key(value, path, _ATTACHMENTS, "attachment")
    path = joined(path, kind)
    match kind:
        case "data":
            return {"data": _data(body or {}, path)}
        case "http":
            whole = dict(fields.the_object(body, path))
            fields.refuse_unknown(whole, ("request", "content_type", "inline"), path)
            return {"http": whole | {"request": http_request(whole.get("request"), joined(path, "request"))}}
        case _:
            raise WatchInvalid(path, "Kibana's reports cannot be attached; put a link to them into the body")


def _data(value: Any, path: str) -> dict[str, Any]:
    whole = fields.the_object(value, path)
    fields.refuse_unknown(whole, ("format",), path)
    fields.one_of(whole, "format", _FORMATS, path)
    return {"format": str(whole.get("format", "json")).lower()}


def slack(value: Any, path: str) -> dict[str, Any]:
    """Read a ``slack`` action; every text of its message may be a template."""
    body = dict(fields.the_object(value, path))
    fields.refuse_unknown(body, ("account", "message", "proxy"), path)
    message_path = joined(path, "message")
    message = dict(fields.the_object(body.get("message"), message_path))
    fields.refuse_unknown(message, _SLACK_MESSAGE, message_path)
    message["to"] = [
        text_of(one, at(joined(message_path, "to"), index))
        for index, one in enumerate(fields.as_list(message.get("to")))
    ]
    for key in ("from", "icon", "text"):
        if message.get(key) is not None:
            message[key] = text_of(message[key], joined(message_path, key))
    attachments = fields.as_list(message.get("attachments"))
    message["attachments"] = [
        _tree(fields.the_object(one, at(joined(message_path, "attachments"), index)))
        for index, one in enumerate(attachments)
    ]
    if message.get("dynamic_attachments") is not None:
        dynamic_path = joined(message_path, "dynamic_attachments")
        dynamic = dict(fields.the_object(message["dynamic_attachments"], dynamic_path))
        fields.refuse_unknown(dynamic, ("list_path", "attachment_template"), dynamic_path)
        fields.text(dynamic, "list_path", dynamic_path)
        template = fields.the_object(
            dynamic.get("attachment_template"), joined(dynamic_path, "attachment_template")
        )
        message["dynamic_attachments"] = DynamicAttachments(str(dynamic["list_path"]), _tree(template))
    return body | {"message": message}


def pagerduty(value: Any, path: str) -> dict[str, Any]:
    """Read a ``pagerduty`` action; every text of it may be a template."""
    body = dict(fields.the_object(value, path))
    fields.refuse_unknown(body, _PAGERDUTY, path)
    if body.get("description") is None:
        raise WatchInvalid(joined(path, "description"), "is missing")
    for key in ("description", "event_type", "incident_key", "client", "client_url"):
        if body.get(key) is not None:
            body[key] = text_of(body[key], joined(path, key))
    _fixed_one_of(body.get("event_type", "trigger"), EVENT_TYPES, joined(path, "event_type"))
    contexts = []
    for index, one in enumerate(fields.as_list(body.get("contexts"))):
        context_path = at(joined(path, "contexts"), index)
        context = fields.the_object(one, context_path)
        fields.refuse_unknown(context, ("type", "href", "text", "src"), context_path)
        if context.get("type") not in ("link", "image"):
            raise WatchInvalid(joined(context_path, "type"), "is link or image")
        wanted = "href" if context["type"] == "link" else "src"
        if not context.get(wanted):
            raise WatchInvalid(joined(context_path, wanted), "is missing")
        contexts.append(_tree(context))
    return body | {"contexts": contexts}


def notify(value: Any, path: str) -> dict[str, Any]:
    """Read a ``notify`` action, httpmon's own: where it goes, by Apprise's URLs, and what it says."""
    body = dict(fields.the_object(value, path))
    fields.refuse_unknown(body, _NOTIFY, path)
    urls = fields.as_list(body.get("urls"))
    if not urls and body.get("account") is None:
        raise WatchInvalid(path, 'needs "account" or "urls"')
    for index, url in enumerate(urls):
        if not isinstance(url, str) or "://" not in url:
            raise WatchInvalid(at(joined(path, "urls"), index), "is no URL of Apprise")
    body["urls"] = urls
    if body.get("body") is None:
        raise WatchInvalid(joined(path, "body"), "is missing")
    for key in ("title", "body"):
        if body.get(key) is not None:
            body[key] = text_of(body[key], joined(path, key))
    fields.one_of(body, "type", _NOTIFY_TYPES, path)
    return body


def _tree(value: Any) -> Any:
    """JSON in which a template may be given as an object wherever a text can stand."""
    if isinstance(value, Mapping):
        if value.keys() & {"source", "inline"}:
            return text_of(value, "")
        return {key: _tree(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_tree(one) for one in value]
    return value


def _fixed_one_of(value: str | Text, known: tuple[str, ...], path: str) -> None:
    """Refuse a value that is none of the known ones; a template is seen only when it is rendered."""
    if isinstance(value, str) and not is_template(value) and value.lower() not in known:
        raise WatchInvalid(path, f"{value!r} is none of {', '.join(known)}")
