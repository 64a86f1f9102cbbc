"""Guards that a user's Painless and Mustache reach the engine with the meaning that they have in Watcher."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scheduler.watches.instants import document_text, java_text
from scheduler.watches.mustache import engine_template, one_text
from scheduler.watches.painless import Piece, assemble, fits_together, portable, split_functions


@pytest.mark.parametrize(
    ("text", "functions", "names"),
    [
        ("return true", "", set()),
        ("int f(int x) { return x + 1; } return f(1) == 2", "int f(int x) { return x + 1; }", {"f"}),
        ("String g() { return '}'; }\nreturn g()", "String g() { return '}'; }", {"g"}),
        (
            "def h() { if (true) { return 1; } return 2; } h()",
            "def h() { if (true) { return 1; } return 2; }",
            {"h"},
        ),
        ("// int f() {\nreturn 1", "", set()),
        (
            "def[] k(List l) { /* } */ return new def[] {1}; } return k(null)",
            "def[] k(List l) { /* } */ return new def[] {1}; }",
            {"k"},
        ),
        ("if (ctx.x > 1) { return true; } return false", "", set()),
        ("return new Foo() {", "", set()),
    ],
)
def test_functions_are_split_from_statements(text: str, functions: str, names: set[str]) -> None:
    source = split_functions(text)
    assert source.functions.strip() == functions
    assert source.names == names
    assert source.functions + source.body == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "return ctx.execution_time.getMillis() - t.getMillis( ) > 5",
            "return ctx.execution_time.toInstant().toEpochMilli() - t.toInstant().toEpochMilli() > 5",
        ),
        ("ctx.trigger.scheduled_time.millis", "ctx.trigger.scheduled_time.toInstant().toEpochMilli()"),
        ("ctx.payload.millis + ctx.execution_time.millisOfSecond", None),
        ("long getMillis() { return 1 } return getMillis()", None),
    ],
)
def test_times_in_milliseconds_are_said_as_every_engine_knows_them(text: str, expected: str | None) -> None:
    assert portable(text) == (text if expected is None else expected)


def test_two_scripts_with_a_function_of_one_name_do_not_fit_together() -> None:
    one, two = split_functions("int f() { return 1; } return f() == 1"), split_functions("return 2")
    assert fits_together(one, two)
    assert not fits_together(one, one)


def test_an_offset_tells_whose_script_it_lies_in() -> None:
    pieces = (
        Piece("condition", split_functions("return CONDITION")),
        Piece("transform", split_functions("return TRANSFORM")),
    )
    assembled = assemble(pieces)
    assert assembled.role_at(assembled.text.index("CONDITION")) == "condition"
    assert assembled.role_at(assembled.text.index("TRANSFORM")) == "transform"


@pytest.mark.parametrize(
    ("template", "engine"),
    [
        ("{{ctx.payload.x}}", "{{&ctx.payload.x}}"),
        ("{{{x}}} {{&y}}", "{{{x}}} {{&y}}"),
        (
            "{{#list}}{{name}}{{/list}}{{^list}}none{{/list}}",
            "{{#list}}{{&name}}{{/list}}{{^list}}none{{/list}}",
        ),
        ("{{! a comment }}{{x}}", "{{! a comment }}{{&x}}"),
        ("__json__::{{x}}", "{{x}}"),
        ("no template", "no template"),
    ],
)
def test_texts_are_not_escaped_unless_they_are_json(template: str, engine: str) -> None:
    assert engine_template(template) == engine


def test_a_search_body_is_one_text() -> None:
    assert one_text({"a": ["{{#list}}{{key}}", "{{/list}}"]}) == '{"a":["{{#list}}{{key}}","{{/list}}"]}'


@pytest.mark.parametrize(
    ("instant", "in_java", "in_a_document"),
    [
        (datetime(2024, 1, 1, 10, 20, tzinfo=UTC), "2024-01-01T10:20Z", "2024-01-01T10:20:00.000Z"),
        (
            datetime(2024, 1, 1, 10, 20, 30, 120000, tzinfo=UTC),
            "2024-01-01T10:20:30.120Z",
            "2024-01-01T10:20:30.120Z",
        ),
        (
            datetime(2024, 1, 1, 10, 20, 30, 123456, tzinfo=UTC),
            "2024-01-01T10:20:30.123456Z",
            "2024-01-01T10:20:30.123456Z",
        ),
        (datetime(2024, 1, 1, 10, 20, 30, tzinfo=UTC), "2024-01-01T10:20:30Z", "2024-01-01T10:20:30.000Z"),
    ],
)
def test_times_print_as_java_and_as_documents_have_them(
    instant: datetime, in_java: str, in_a_document: str
) -> None:
    assert java_text(instant) == in_java
    assert document_text(instant) == in_a_document
