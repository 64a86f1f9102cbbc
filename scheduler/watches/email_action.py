"""The ``email`` action: a mail by SMTP."""

from __future__ import annotations

import mimetypes
import smtplib
import ssl
import uuid
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from provisioning.accounts import EmailAccount
from provisioning.settings import NotifySettings, duration_seconds
from scheduler.watches.actions import ActionFailed, Result, Send
from scheduler.watches.email_message import Attachment, attach, data_attachment, email_of
from scheduler.watches.http_input import HttpLoader
from scheduler.watches.http_requests import place, send
from scheduler.watches.messages import chosen_account
from scheduler.watches.run import Run


class Mailer:
    """Tells by mail.

    Args:
        accounts: the SMTP accounts.
        requests: says which hosts ``http`` attachments may come from: those that http inputs may ask.
    """

    def __init__(self, accounts: NotifySettings, requests: HttpLoader) -> None:
        self._accounts = accounts
        self._requests = requests

    def __call__(
        self, action: dict[str, Any], run: Run, payload: dict[str, Any], simulate: bool
    ) -> Result | Send:
        """Make the mail of a rendered action, and what sends it. Raises ActionFailed."""
        now = datetime.now(UTC)
        identifier = f"{action.get('id') or run.id}_{uuid.uuid4().hex[:8]}"
        if simulate:
            _, shown = email_of(action, identifier, None, now)
            return {"status": "simulated", "email": {"message": shown}}
        name, account = chosen_account(
            "email", self._accounts.email, action.get("account"), self._accounts.email_account
        )
        mail, shown = email_of(action, identifier, account.sender or account.username, now)
        if "from" not in shown:
            raise ActionFailed(f"the mail has no sender; set notify.email.{name}.sender")
        context = run.context(payload)

        def send_mail() -> Result:
            attach(mail, [self._attachment(key, one, context) for key, one in action["attachments"].items()])
            _send(mail, name, account)
            return {"status": "success", "email": {"account": name, "message": shown}}

        return send_mail

    def _attachment(self, name: str, one: dict[str, Any], context: dict[str, Any]) -> Attachment:
        if "data" in one:
            return data_attachment(name, one["data"]["format"], context)
        request = one["http"]["request"]
        self._requests.check(request)
        answer = send(request)
        if not 200 <= answer.status < 300:
            raise ActionFailed(f"attachment {name}: {place(request)} answers {answer.status}")
        found = one["http"].get("content_type") or answer.header("content-type").partition(";")[0]
        kind = found or mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Attachment(name, kind, answer.body, inline=bool(one["http"].get("inline")))


def _send(mail: EmailMessage, name: str, account: EmailAccount) -> None:
    timeout = duration_seconds(account.timeout)
    place = f"{account.host}:{account.port}"
    try:
        trusted = ssl.create_default_context(cafile=account.ca_file)
        if account.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                account.host, account.port, timeout=timeout, context=trusted
            )
        else:
            server = smtplib.SMTP(account.host, account.port, timeout=timeout)
        with server:
            if account.security == "starttls":
                server.starttls(context=trusted)
            if account.username is not None and account.password is not None:
                server.login(account.username, account.password.get_secret_value())
            server.send_message(mail)
    except smtplib.SMTPAuthenticationError as error:
        raise ActionFailed(
            f"{place} does not let in the user of the email account {name} ({error.smtp_code})"
        ) from None
    except (smtplib.SMTPException, OSError) as error:
        raise ActionFailed(f"{place} does not take the mail: {error or type(error).__name__}") from None
