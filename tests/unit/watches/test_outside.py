"""Guards what watches may do outside the cluster: whom http inputs ask, what stands in mails and records."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.client import Engine
from engine.connection import Connection
from engine.errors import SchedulerError
from provisioning.accounts import SlackAccount
from scheduler.watches.actions import ActionFailed
from scheduler.watches.definition import HttpInput
from scheduler.watches.email_message import email_of
from scheduler.watches.history import redacted
from scheduler.watches.html import plain, sanitized
from scheduler.watches.http_fields import http_request
from scheduler.watches.http_input import HttpLoader, NotAllowed, payload_of
from scheduler.watches.http_requests import Answer
from scheduler.watches.messages import chosen_account

# Nothing is asked of it.
ENGINE = Engine(Connection("http://127.0.0.1:1"))


def answer(body: bytes, content_type: str = "", status: int = 200) -> Answer:
    return Answer(status, {"content-type": [content_type]} if content_type else {}, body)


def http_input(**fields: Any) -> HttpInput:
    request = http_request({"host": "status.example.org", "port": 80}, "request")
    return HttpInput(request, fields.get("extract", ()), fields.get("response_content_type"))


@pytest.mark.parametrize(
    ("allowed", "host", "port", "may"),
    [
        ((), "127.0.0.1", 80, False),
        (("status.example.org",), "status.example.org", 8080, True),
        (("Status.Example.org",), "STATUS.example.org", 80, True),
        (("status.example.org:80",), "status.example.org", 81, False),
        (("example.org",), "status.example.org", 80, False),
        (("*",), "169.254.169.254", 80, True),
    ],
)
def test_only_hosts_that_the_settings_name_are_asked(
    allowed: tuple[str, ...], host: str, port: int, may: bool
) -> None:
    request = {"host": host, "port": port}
    if may:
        HttpLoader(ENGINE, allowed).check(request)
        return
    with pytest.raises(NotAllowed, match=r"not allowed; name the host in the setting scheduler"):
        HttpLoader(ENGINE, allowed).check(request)


def test_a_proxy_must_be_allowed_too() -> None:
    request = {"host": "status.example.org", "port": 80, "proxy": {"host": "10.0.0.1", "port": 3128}}
    with pytest.raises(NotAllowed, match=r"10\.0\.0\.1:3128"):
        HttpLoader(ENGINE, ("status.example.org",)).check(request)


@pytest.mark.parametrize(
    ("found", "one", "payload"),
    [
        (answer(b'{"a": 1}', "application/json"), http_input(), {"a": 1}),
        (answer(b"[1]", "application/json; charset=utf-8"), http_input(), {"data": [1]}),
        (answer(b"[1]", "text/plain"), http_input(), {"_value": "[1]"}),
        (answer(b"[1]", "text/plain"), http_input(response_content_type="json"), {"data": [1]}),
        (answer(b'{"a": 1}'), http_input(), {"a": 1}),
        (answer(b"a: 1"), http_input(), {"_value": "a: 1"}),
        (answer(b"", "application/json"), http_input(), {}),
        (answer(b"{}", "application/json"), http_input(response_content_type="text"), {"_value": "{}"}),
        (answer(b'{"a": {"b": 1, "c": 2}}', "text/json"), http_input(extract=("a.b", "x")), {"a": {"b": 1}}),
    ],
)
def test_an_answer_as_a_payload(found: Answer, one: HttpInput, payload: dict[str, Any]) -> None:
    assert payload_of(found, one) == payload | {"_status_code": 200, "_headers": found.headers}


@pytest.mark.parametrize(
    ("found", "one"),
    [
        (answer(b"{", "application/json"), http_input()),
        (answer(b"[1]", "application/json"), http_input(extract=("a",))),
        (answer(b"a: [", "application/yaml"), http_input()),
    ],
)
def test_an_answer_that_is_not_of_its_type(found: Answer, one: HttpInput) -> None:
    with pytest.raises(SchedulerError):
        payload_of(found, one)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("<b>a</b> &lt;x&gt;", "<b>a</b> &lt;x&gt;"),
        ("<p onclick='x'>a<script>alert(1)</script></p>", "<p>a</p>"),
        ('<a href=" JavaScript:x">a</a>', "<a>a</a>"),
        ('<a href="https://example.org/?a=1&b=2">a</a>', '<a href="https://example.org/?a=1&amp;b=2">a</a>'),
        ('<img src="http://spy/x.png"><img src="cid:graph.png">', '<img><img src="cid:graph.png">'),
        ('<form action="/x"><input name="password">a</form>', "a"),
        ('<div style="color: red">a</div>', '<div style="color: red">a</div>'),
        ('<div style="background: url(http://spy)">a</div>', "<div>a</div>"),
        ("<style>p {}</style><br>a<b", "<br>a&lt;b"),
    ],
)
def test_html_is_made_harmless(given: str, kept: str) -> None:
    assert sanitized(given) == kept


def test_html_has_a_text_for_readers_without_it() -> None:
    assert plain("<h1>Title</h1>\n<p>a &amp; b<br>c</p>") == "Title\na & b\nc"


def mail(**fields: Any) -> Any:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return email_of({"to": ["a@example.org"], **fields}, "w_1", "me@example.org", now)


def test_a_subject_makes_no_header_of_its_own() -> None:
    made, shown = mail(subject="a\r\nBcc: b@example.org")
    assert made["Subject"] == shown["subject"] == "a Bcc: b@example.org"
    assert made["Bcc"] is None


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"to": [""]}, "nobody to go to"),
        ({"priority": "urgent"}, "priority 'urgent' is none of"),
        ({"to": ["a b c"]}, "no mail address|nobody"),
    ],
)
def test_a_mail_that_cannot_be_made(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ActionFailed, match=problem):
        mail(**fields)


def test_the_account_of_an_action() -> None:
    one = SlackAccount(url="https://a")  # type: ignore[arg-type]  # pydantic makes a secret of it
    two = SlackAccount(url="https://b")  # type: ignore[arg-type]
    assert chosen_account("slack", {"a": one}, None, None) == ("a", one)
    assert chosen_account("slack", {"a": one, "b": two}, None, "b") == ("b", two)
    assert chosen_account("slack", {"a": one, "b": two}, "a", "b") == ("a", one)
    with pytest.raises(ActionFailed, match=r"several slack accounts \(a, b\)"):
        chosen_account("slack", {"a": one, "b": two}, None, None)
    with pytest.raises(ActionFailed, match=r"set one up in notify.slack"):
        chosen_account("slack", {}, None, None)


def test_passwords_stand_in_no_record() -> None:
    shown = json.dumps(
        redacted(
            {
                "auth": {"basic": {"username": "me", "password": "secret1"}},
                "headers": [{"Authorization": "secret2", "X-Api-Key": "secret3"}],
            }
        )
    )
    assert "secret" not in shown
    assert "me" in shown
