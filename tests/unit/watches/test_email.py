"""Guards that mail goes to a real SMTP server encrypted and logged in as the account says, or not at all."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
import trustme

from engine.client import Engine
from engine.connection import Connection
from provisioning.accounts import EmailAccount
from provisioning.settings import NotifySettings
from scheduler.watches.actions import ActionFailed, Result
from scheduler.watches.definition import parse_watch
from scheduler.watches.email_action import Mailer
from scheduler.watches.http_input import HttpLoader
from scheduler.watches.run import Run
from scheduler.watches.status import new_status
from tests.node.receivers import receiving_mail

NOW = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_side(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return file


def send(port: int, **settings: Any) -> Result:
    """Send the mail of a watch's action by an account at a port."""
    email = {"to": "ops@example.org", "subject": "Errors", "body": {"text": "3 errors"}}
    body = {"trigger": {"schedule": {"interval": "1m"}}, "actions": {"mail": {"email": email}}}
    watch = parse_watch("w", body)
    run = Run(watch, "w_1", new_status(watch, NOW), NOW, NOW, NOW)
    account = EmailAccount(host="127.0.0.1", port=port, sender="httpmon@example.org", **settings)
    nowhere = HttpLoader(Engine(Connection("http://127.0.0.1:9")), ())
    prepared = Mailer(NotifySettings(email={"work": account}), nowhere)(watch.actions[0].body, run, {}, False)
    assert callable(prepared)
    return prepared()


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_it_encrypts_and_logs_in(
    server_side: ssl.SSLContext, ca_file: Path, security: Literal["starttls", "tls"]
) -> None:
    with receiving_mail(security, server_side) as (mails, port):
        result = send(port, security=security, ca_file=ca_file, username="user", password="password")
    assert result["status"] == "success"
    assert mails.users == ["user"]
    assert mails.recipients == [["ops@example.org"]]
    assert (mails.mails[0]["From"], mails.mails[0]["Subject"]) == ("httpmon@example.org", "Errors")


def test_a_wrong_password_is_told_without_it(server_side: ssl.SSLContext, ca_file: Path) -> None:
    with (
        receiving_mail("starttls", server_side) as (mails, port),
        pytest.raises(
            ActionFailed, match=r"does not let in the user of the email account work \(535\)"
        ) as told,
    ):
        send(port, ca_file=ca_file, username="user", password="wrong")
    assert "wrong" not in str(told.value)
    assert not mails.mails


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_of_an_unknown_authority_is_refused(
    server_side: ssl.SSLContext, security: Literal["starttls", "tls"]
) -> None:
    with (
        receiving_mail(security, server_side) as (mails, port),
        pytest.raises(ActionFailed, match=r"does not take the mail: .*CERTIFICATE_VERIFY_FAILED"),
    ):
        send(port, security=security, username="user", password="password")
    assert not mails.users
    assert not mails.mails


def test_a_server_without_encryption_gets_neither_password_nor_mail() -> None:
    with receiving_mail() as (mails, port), pytest.raises(ActionFailed, match="STARTTLS"):
        send(port, username="user", password="password")
    assert not mails.users
    assert not mails.mails
