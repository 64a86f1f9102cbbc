"""A watch as Watcher's JSON defines it, read into frozen objects. Pure; errors name the path."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scheduler.watches import fields
from scheduler.watches.conditions import OPERATORS, QUANTIFIERS
from scheduler.watches.fields import WatchInvalid, at, joined
from scheduler.watches.mustache import one_text
from scheduler.watches.schedule import Schedule, parse_trigger

_WATCH = (
    "trigger", "input", "condition", "transform", "actions", "metadata", "throttle_period",
    "throttle_period_in_millis", "status",
)  # fmt: skip
_SEARCH_TYPES = ("query_then_fetch", "dfs_query_then_fetch")
_INDICES_OPTIONS = ("expand_wildcards", "ignore_unavailable", "allow_no_indices", "ignore_throttled")
_INPUTS = ("simple", "search", "http", "chain", "none", "transform")
# Watcher's default for every watch and action (xpack.watcher.throttle.period.default_period).
DEFAULT_THROTTLE_SECONDS = 5.0
# Watcher's default of foreach (its documentation, "Executing an action for every element of an array").
DEFAULT_MAX_ITERATIONS = 100


@dataclass(frozen=True, slots=True)
class Script:
    """A Painless script: its source or, stored in the cluster, its id."""

    source: str | None
    id: str | None = None
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What a search input or transform asks. Exactly one of ``body`` and a template is in use.

    Attributes:
        indices: empty for all.
        body: the query, templated as one text.
        template_source, template_id, template_params: a Mustache template instead of a body.
        indices_options: as the engines' search takes them.
    """

    indices: tuple[str, ...]
    search_type: str
    body: dict[str, Any] | None
    template_source: str | None
    template_id: str | None
    template_params: dict[str, Any]
    indices_options: dict[str, Any]
    total_hits_as_int: bool


@dataclass(frozen=True, slots=True)
class SimpleInput:
    """A payload that stands in the watch itself."""

    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SearchInput:
    """The answer to a search."""

    request: SearchRequest
    extract: tuple[str, ...]
    timeout_seconds: float | None


@dataclass(frozen=True, slots=True)
class HttpInput:
    """The answer of a web service."""

    request: dict[str, Any]
    extract: tuple[str, ...]
    response_content_type: str | None


@dataclass(frozen=True, slots=True)
class NoneInput:
    """An empty payload."""


@dataclass(frozen=True, slots=True)
class ChainInput:
    """Several inputs by name; each sees what those before it loaded."""

    inputs: tuple[tuple[str, Input], ...]


@dataclass(frozen=True, slots=True)
class TransformInput:
    """What a transform makes of the payload so far; of use within a chain."""

    transform: Transform


Input = SimpleInput | SearchInput | HttpInput | NoneInput | ChainInput | TransformInput


@dataclass(frozen=True, slots=True)
class ConstantCondition:
    """``always`` or ``never``."""

    met: bool


@dataclass(frozen=True, slots=True)
class CompareCondition:
    """One value against another."""

    path: str
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class ArrayCompareCondition:
    """The items of a list against a value."""

    array_path: str
    path: str
    operator: str
    quantifier: str
    value: Any


@dataclass(frozen=True, slots=True)
class ScriptCondition:
    """What a script returns."""

    script: Script


Condition = ConstantCondition | CompareCondition | ArrayCompareCondition | ScriptCondition


@dataclass(frozen=True, slots=True)
class ScriptTransform:
    """The payload becomes what a script returns."""

    script: Script


@dataclass(frozen=True, slots=True)
class SearchTransform:
    """The payload becomes the answer to a search."""

    request: SearchRequest
    timeout_seconds: float | None


@dataclass(frozen=True, slots=True)
class ChainTransform:
    """One transform after the other."""

    transforms: tuple[Transform, ...]


Transform = ScriptTransform | SearchTransform | ChainTransform


@dataclass(frozen=True, slots=True)
class Action:
    """Something a watch does when its condition is met.

    Attributes:
        id: its name in the watch.
        kind: ``index``, ``logging``, ``webhook``, ...
        body: what stands below the kind, checked.
        throttle_seconds: None for the watch's own.
        foreach: path of a list; the action runs once for each item.
    """

    id: str
    kind: str
    body: dict[str, Any]
    condition: Condition | None
    transform: Transform | None
    throttle_seconds: float | None
    foreach: str | None
    max_iterations: int


@dataclass(frozen=True, slots=True)
class Watch:
    """A watch, ready to run. ``body`` is the JSON it was read from."""

    id: str
    schedule: Schedule
    input: Input
    condition: Condition
    transform: Transform | None
    actions: tuple[Action, ...]
    throttle_seconds: float
    metadata: dict[str, Any]
    body: dict[str, Any] = field(repr=False)


def parse_watch(watch_id: str, body: Any) -> Watch:
    """Read a watch. Raises WatchInvalid for the first thing that is wrong."""
    from scheduler.watches.action_fields import parse_actions

    whole = fields.the_object(body, "")
    if isinstance(whole.get("watch"), dict):
        raise WatchInvalid(
            "watch", "is what a watch stands in when an engine shows it: give only what is below it"
        )
    fields.refuse_unknown(whole, _WATCH, "")
    if "trigger" not in whole:
        raise WatchInvalid("trigger", "is missing")
    throttle = fields.seconds(whole, "throttle_period", "")
    return Watch(
        id=watch_id,
        schedule=parse_trigger(whole["trigger"]),
        input=parse_input(whole["input"], "input") if "input" in whole else NoneInput(),
        condition=parse_condition(whole["condition"], "condition")
        if "condition" in whole
        else ConstantCondition(True),
        transform=parse_transform(whole["transform"], "transform") if "transform" in whole else None,
        actions=parse_actions(whole.get("actions", {}), "actions"),
        throttle_seconds=DEFAULT_THROTTLE_SECONDS if throttle is None else throttle,
        metadata=fields.the_object(whole.get("metadata") or {}, "metadata"),
        body=whole,
    )


def parse_input(value: Any, path: str) -> Input:
    """Read an input."""
    kind, body = fields.the_only_key(value, path, _INPUTS, "input")
    path = joined(path, kind)
    match kind:
        case "simple":
            return SimpleInput(fields.the_object(body, path))
        case "none":
            return NoneInput()
        case "search":
            whole = fields.the_object(body, path)
            fields.refuse_unknown(
                whole, ("request", "extract", "timeout", "timeout_in_millis", "dynamic_name_timezone"), path
            )
            return SearchInput(
                request=_search_request(whole.get("request"), joined(path, "request")),
                extract=_texts(whole.get("extract"), joined(path, "extract")),
                timeout_seconds=fields.seconds(whole, "timeout", path),
            )
        case "http":
            from scheduler.watches.http_fields import http_request

            whole = fields.the_object(body, path)
            fields.refuse_unknown(whole, ("request", "extract", "response_content_type"), path)
            content_type = whole.get("response_content_type")
            if content_type not in (None, "json", "yaml", "text"):
                raise WatchInvalid(joined(path, "response_content_type"), "is json, yaml or text")
            if content_type == "text" and whole.get("extract"):
                raise WatchInvalid(joined(path, "extract"), "cannot take anything out of a text")
            return HttpInput(
                request=http_request(whole.get("request"), joined(path, "request")),
                extract=_texts(whole.get("extract"), joined(path, "extract")),
                response_content_type=content_type,
            )
        case "transform":
            return TransformInput(parse_transform(body, path))
        case _:
            return _chain_input(body, path)


def _chain_input(body: Any, path: str) -> ChainInput:
    path_inputs = joined(path, "inputs")
    listed = fields.the_object(body, path).get("inputs")
    if not isinstance(listed, list):
        raise WatchInvalid(path_inputs, "is no list")
    inputs = []
    for index, entry in enumerate(listed):
        entry_path = at(path_inputs, index)
        for name, one in fields.the_object(entry, entry_path).items():
            inputs.append((name, parse_input(one, joined(entry_path, name))))
    return ChainInput(tuple(inputs))


def _search_request(value: Any, path: str) -> SearchRequest:
    if value is None:
        raise WatchInvalid(path, "is missing")
    whole = fields.the_object(value, path)
    known = (
        "search_type", "indices", "types", "body", "template", "indices_options", "rest_total_hits_as_int",
    )  # fmt: skip
    fields.refuse_unknown(whole, known, path)
    template = whole.get("template")
    source = template_id = None
    params: dict[str, Any] = {}
    if isinstance(template, str):
        source = template
    elif template is not None:
        named = fields.the_object(template, joined(path, "template"))
        template_id = named.get("id")
        given = named.get("source", named.get("inline"))
        if given is not None:
            source = given if isinstance(given, str) else one_text(given)
        params = fields.the_object(named.get("params") or {}, joined(path, "template.params"))
        if (template_id is None) == (source is None):
            raise WatchInvalid(joined(path, "template"), 'has either "id" or "source"')
    body = whole.get("body")
    fields.one_of(whole, "search_type", _SEARCH_TYPES, path)
    options = fields.the_object(whole.get("indices_options") or {}, joined(path, "indices_options"))
    fields.refuse_unknown(options, _INDICES_OPTIONS, joined(path, "indices_options"))
    return SearchRequest(
        indices=_texts(whole.get("indices"), joined(path, "indices")),
        search_type=fields.text(whole, "search_type", path, "query_then_fetch"),
        body=None if body is None else fields.the_object(body, joined(path, "body")),
        template_source=source,
        template_id=template_id,
        template_params=params,
        indices_options=options,
        total_hits_as_int=bool(whole.get("rest_total_hits_as_int", True)),
    )


def parse_condition(value: Any, path: str) -> Condition:
    """Read a condition."""
    known = ("always", "never", "compare", "array_compare", "script")
    kind, body = fields.the_only_key(value, path, known, "condition")
    path = joined(path, kind)
    match kind:
        case "always" | "never":
            return ConstantCondition(kind == "always")
        case "script":
            return ScriptCondition(parse_script(body, path))
        case "compare":
            compared, comparison = _last(body, path, "a path, such as ctx.payload.hits.total")
            operator, operand = _one(comparison, joined(path, compared), "an operator")
            _known_operator(operator, joined(path, compared))
            return CompareCondition(compared, operator, operand)
        case _:
            return _array_compare(body, path)


def _array_compare(body: Any, path: str) -> ArrayCompareCondition:
    array_path, comparison = _last(body, path, "the path of an array")
    path = joined(path, array_path)
    whole = fields.the_object(comparison, path)
    operators = [key for key in whole if key != "path"]
    if len(operators) != 1:
        raise WatchInvalid(path, f"needs one operator, of {', '.join(OPERATORS)}")
    operator = operators[0]
    _known_operator(operator, path)
    operand = whole[operator]
    quantifier = "some"
    if isinstance(operand, dict):
        fields.refuse_unknown(operand, ("value", "quantifier"), joined(path, operator))
        quantifier = str(operand.get("quantifier", "some")).lower()
        if quantifier not in QUANTIFIERS:
            raise WatchInvalid(joined(joined(path, operator), "quantifier"), "is some or all")
        if "value" not in operand:
            raise WatchInvalid(joined(joined(path, operator), "value"), "is missing")
        operand = operand["value"]
    return ArrayCompareCondition(array_path, str(whole.get("path", "")), operator, quantifier, operand)


def _last(value: Any, path: str, what: str) -> tuple[str, Any]:
    """The field of an object that has one; where there are several, the last, as in Watcher."""
    whole = fields.the_object(value, path)
    if not whole:
        raise WatchInvalid(path, f"has one field: {what}")
    return list(whole.items())[-1]


def _one(value: Any, path: str, what: str) -> tuple[str, Any]:
    whole = fields.the_object(value, path)
    if len(whole) != 1:
        raise WatchInvalid(path, f"has one field: {what}")
    return next(iter(whole.items()))


def _known_operator(operator: str, path: str) -> None:
    if operator not in OPERATORS:
        raise WatchInvalid(joined(path, operator), f"is no operator{fields.closest(operator, OPERATORS)}")


def parse_script(value: Any, path: str) -> Script:
    """Read a script: a text, or an object with ``source`` or ``id``, ``params`` and ``lang``."""
    if isinstance(value, str):
        return Script(value)
    whole = fields.the_object(value, path)
    if "file" in whole:
        raise WatchInvalid(
            joined(path, "file"), 'is no more: store the script in the cluster and name its "id"'
        )
    known = ("source", "inline", "id", "stored", "params", "lang", "options")
    fields.refuse_unknown(whole, known, path)
    source = whole.get("source", whole.get("inline"))
    stored = whole.get("id", whole.get("stored"))  # its name in 5.x
    if (source is None) == (stored is None):
        raise WatchInvalid(path, 'has either "source" or "id"')
    if source is not None and not isinstance(source, str):
        raise WatchInvalid(joined(path, "source"), "is no text")
    if whole.get("lang", "painless") != "painless":
        raise WatchInvalid(joined(path, "lang"), "can only be painless")
    params = fields.the_object(whole.get("params") or {}, joined(path, "params"))
    return Script(source, stored, params)


def parse_transform(value: Any, path: str) -> Transform:
    """Read a transform."""
    kind, body = fields.the_only_key(value, path, ("script", "search", "chain"), "transform")
    path = joined(path, kind)
    if kind == "script":
        return ScriptTransform(parse_script(body, path))
    if kind == "search":
        whole = fields.the_object(body, path)
        fields.refuse_unknown(
            whole, ("request", "timeout", "timeout_in_millis", "dynamic_name_timezone"), path
        )
        request = _search_request(whole.get("request"), joined(path, "request"))
        return SearchTransform(request, fields.seconds(whole, "timeout", path))
    if not isinstance(body, list):
        raise WatchInvalid(path, "is no list")
    return ChainTransform(tuple(parse_transform(one, at(path, index)) for index, one in enumerate(body)))


def _texts(value: Any, path: str) -> tuple[str, ...]:
    listed = fields.as_list(value)
    if any(not isinstance(one, str) for one in listed):
        raise WatchInvalid(path, "is no list of texts")
    return tuple(part for one in listed for part in one.split(",") if part)
