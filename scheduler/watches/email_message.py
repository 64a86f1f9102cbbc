"""Making a mail of an ``email`` action. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, formataddr, getaddresses
from typing import Any

from scheduler.watches.actions import ActionFailed
from scheduler.watches.html import sanitized
from scheduler.watches.instants import for_documents, millisecond_text
from scheduler.watches.message_fields import PRIORITIES

# X-Priority, which mail programs read: 1 is the highest.
_X_PRIORITY = {name: 5 - place for place, name in enumerate(PRIORITIES)}


class Attachment:
    """A file of a mail: its name, its type and its content."""

    def __init__(self, name: str, content_type: str, content: bytes, *, inline: bool = False) -> None:
        self.name = name
        self.content_type = content_type
        self.content = content
        self.inline = inline


def email_of(
    action: Mapping[str, Any], identifier: str, sender: str | None, at: datetime
) -> tuple[EmailMessage, dict[str, Any]]:
    """The mail of a rendered action without its attachments, and how a watch record shows it.

    Args:
        action: rendered.
        identifier: of the mail.
        sender: who it is from, where the action does not say.
        at: when it is sent.

    Raises:
        ActionFailed: an address or the priority is none; there is nobody to send it to.
    """
    mail = EmailMessage()
    shown: dict[str, Any] = {"id": identifier, "sent_date": millisecond_text(at)}
    source = action.get("from") or sender
    if source:
        shown["from"] = _header(mail, "From", [source])[0]
    for key, header in (("to", "To"), ("cc", "Cc"), ("bcc", "Bcc"), ("reply_to", "Reply-To")):
        if action.get(key):
            shown[key] = _header(mail, header, action[key])
    if not any(shown.get(key) for key in ("to", "cc", "bcc")):
        raise ActionFailed("the mail has nobody to go to")
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<{_id_part(identifier)}@httpmon>"
    if action.get("subject"):
        # A subject is one line: whoever can write into a log must not be able to write headers.
        mail["Subject"] = shown["subject"] = " ".join(str(action["subject"]).split())
    if action.get("priority"):
        priority = str(action["priority"]).lower()
        if priority not in _X_PRIORITY:
            raise ActionFailed(f"priority {priority!r} is none of {', '.join(PRIORITIES)}")
        mail["X-Priority"] = str(_X_PRIORITY[priority])
        shown["priority"] = priority
    body = dict(action.get("body") or {})
    if "html" in body:
        body["html"] = sanitized(body["html"])
    if body:
        shown["body"] = body
    mail.set_content(body.get("text", "") if body.get("text") or "html" not in body else _as_text(body))
    if "html" in body:
        mail.add_alternative(body["html"], subtype="html")
    return mail, shown


def attach(mail: EmailMessage, attachments: Sequence[Attachment]) -> None:
    """Add files to a mail."""
    for one in attachments:
        main, _, sub = one.content_type.partition("/")
        mail.add_attachment(
            one.content,
            maintype=main,
            subtype=sub or "octet-stream",
            filename=one.name,
            disposition="inline" if one.inline else "attachment",
            cid=f"<{one.name}>",
        )


def data_attachment(name: str, form: str, context: dict[str, Any]) -> Attachment:
    """What a watch knows as a file: ``ctx`` as JSON or YAML."""
    tree = {"ctx": for_documents(context)}
    if form == "json":
        return Attachment(name, "application/json", json.dumps(tree, ensure_ascii=False).encode())
    try:
        import yaml
    except ImportError:
        raise ActionFailed("YAML attachments need the package pyyaml: install httpmon[notify]") from None
    return Attachment(name, "application/yaml", yaml.safe_dump(tree, allow_unicode=True).encode())


def _header(mail: EmailMessage, header: str, texts: Sequence[str]) -> list[str]:
    pairs = [pair for pair in getaddresses(list(texts)) if pair[1]]
    addresses = []
    for name, address in pairs:
        try:
            addresses.append(Address(display_name=name, addr_spec=address))
        except (ValueError, IndexError):
            raise ActionFailed(f"{address!r} is no mail address") from None
    if addresses:
        mail[header] = addresses
    return [formataddr(pair) for pair in pairs]


def _id_part(text: str) -> str:
    return "".join(character if character.isalnum() or character in "-_." else "-" for character in text)


def _as_text(body: Mapping[str, Any]) -> str:
    """What readers without HTML get: the text between the tags."""
    from scheduler.watches.html import plain

    return plain(str(body["html"]))
