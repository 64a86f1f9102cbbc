"""Putting a watch's scripts into one that the engine's ``_scripts/painless/_execute`` takes. Pure.

In Watcher a script sees the variable ``ctx`` and may change ``ctx.vars``; ``_execute`` has ``params`` and
returns only a text. So each script becomes the body of a function with ``ctx`` and ``params`` as its
parameters, and a driver behind them calls it and writes what came out as JSON. Painless wants all functions
before the first statement; functions that a script declares at its head are therefore put before it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scheduler.watches.instants import java_text, parse_instant, with_instants

# How a time travels through JSON to a script and back; no payload has this key.
_TIME = "$httpmon:time"

_FUNCTION = re.compile(
    r"(?!(?:return|new|throw|else|in|instanceof)\b)[A-Za-z_][\w.]*(?:\s*\[\s*\])*\s+(?P<name>[A-Za-z_]\w*)\s*"
    r"\([^(){};]*\)\s*\{"
)
_EPOCH_MILLIS = ".toInstant().toEpochMilli()"
_GET_MILLIS = re.compile(r"\.getMillis\(\s*\)")
_MILLIS_OF_CONTEXT = re.compile(
    r"(\bctx\.(?:execution_time|trigger\.(?:scheduled|triggered)_time))\.millis\b"
)
_BLANK = re.compile(r"(?:\s+|//[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
# What must be skipped when braces are counted. A slash begins a regular expression only where a value is
# expected, that is after an operator or an opening bracket.
_OPAQUE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?<=[=~(,:&|!?{;])\s*/(?:\\.|[^/\\\n])+/""",
    re.DOTALL,
)

_PRELUDE = r"""
def httpmonRevived(def value) {
  if (value instanceof Map) {
    if (value.size() == 1 && value.containsKey('%TIME%')) {
      return ZonedDateTime.parse((String) value.get('%TIME%'));
    }
    for (entry in value.entrySet()) { entry.setValue(httpmonRevived(entry.getValue())); }
  } else if (value instanceof List) {
    for (int i = 0; i < value.size(); ++i) { value.set(i, httpmonRevived(value.get(i))); }
  }
  return value;
}
void httpmonText(StringBuilder out, String text) {
  String safe = text.replace('\\', '\\\\').replace('"', '\\"');
  for (int i = 0; i < 32; ++i) {
    String control = Character.toString((char) i);
    if (safe.contains(control)) {
      safe = safe.replace(control, (i < 16 ? '\\u000' : '\\u00') + Integer.toHexString(i));
    }
  }
  out.append((char) 34).append(safe).append((char) 34);
}
void httpmonJson(StringBuilder out, def value) {
  if (value == null || value instanceof Boolean) {
    out.append(String.valueOf(value));
  } else if (value instanceof Number) {
    String number = String.valueOf(value);
    if (number == 'NaN' || number == 'Infinity' || number == '-Infinity') { httpmonText(out, number); }
    else { out.append(number); }
  } else if (value instanceof ZonedDateTime) {
    out.append('{');
    httpmonText(out, '%TIME%');
    out.append(':');
    httpmonText(out, value.withZoneSameInstant(ZoneOffset.UTC).toString());
    out.append('}');
  } else if (value instanceof Map) {
    boolean first = true;
    out.append('{');
    for (entry in value.entrySet()) {
      if (!first) { out.append(','); }
      first = false;
      httpmonText(out, String.valueOf((Object) entry.getKey()));
      out.append(':');
      httpmonJson(out, entry.getValue());
    }
    out.append('}');
  } else if (value instanceof Iterable) {
    boolean first = true;
    out.append('[');
    for (item in value) {
      if (!first) { out.append(','); }
      first = false;
      httpmonJson(out, item);
    }
    out.append(']');
  } else if (value instanceof Object[] || value instanceof int[] || value instanceof long[]
      || value instanceof double[] || value instanceof float[] || value instanceof boolean[]) {
    boolean first = true;
    out.append('[');
    for (int i = 0; i < value.length; ++i) {
      if (!first) { out.append(','); }
      first = false;
      httpmonJson(out, value[i]);
    }
    out.append(']');
  } else {
    httpmonText(out, String.valueOf((Object) value));
  }
}
""".replace("%TIME%", _TIME)

_DRIVER_HEAD = """
Map httpmonContext = (Map) httpmonRevived(params.ctx);
int httpmonBefore = httpmonContext.payload == null ? 0 : httpmonContext.payload.hashCode();
StringBuilder httpmonOut = new StringBuilder();
httpmonOut.append('{');
"""
_DRIVER_TAIL = """
httpmonOut.append('"vars":');
httpmonJson(httpmonOut, httpmonContext.vars);
if ((httpmonContext.payload == null ? 0 : httpmonContext.payload.hashCode()) != httpmonBefore) {
  httpmonOut.append(',"payload":');
  httpmonJson(httpmonOut, httpmonContext.payload);
}
httpmonOut.append('}');
return httpmonOut.toString();
"""


_SERIES = """
List met = new ArrayList();
List threw = new ArrayList();
int position = 0;
for (def given : params.contexts) {
  Map context = (Map) httpmonRevived(given);
  Map own = new HashMap(params.own);
  own.put('ctx', context);
  try {
    if (httpmon_condition(context, own)) {
      met.add(position);
      if (params.first_only) { break; }
    }
  } catch (Exception error) { threw.add(position); }
  position += 1;
}
StringBuilder out = new StringBuilder();
httpmonJson(out, ['met': met, 'threw': threw]);
return out.toString();
"""


@dataclass(frozen=True, slots=True)
class Source:
    """A Painless script split where Painless itself splits it: functions first, then statements."""

    functions: str
    body: str
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Piece:
    """One script of a watch within a run.

    Attributes:
        role: ``condition``, whose value must be a boolean, or ``transform``.
        source: the script.
        completed: whether a value is returned behind the last statement. A script may end without one, a
            function may not; the engine says when it is needed.
    """

    role: str
    source: Source
    completed: bool = False


@dataclass(frozen=True, slots=True)
class Assembled:
    """The script for the engine, and where in it each piece stands (start, end, role)."""

    text: str
    places: tuple[tuple[int, int, str], ...]

    def role_at(self, offset: int) -> str:
        """Which piece an offset belongs to; the last one for an offset in none."""
        for start, end, role in self.places:
            if start <= offset < end:
                return role
        return self.places[-1][2]


@dataclass(frozen=True, slots=True)
class ScriptResult:
    """What came out of a run.

    Attributes:
        met: the condition's value; None where there was none.
        transformed: what the transform returned; only meaningful if ``transform_ran``.
        transform_ran: false where the condition was not met.
        variables: ``ctx.vars`` afterwards.
        payload: the payload, if a script changed it in place; else None.
    """

    met: bool | None
    transformed: Any
    transform_ran: bool
    variables: dict[str, Any]
    payload: dict[str, Any] | None


def split_functions(text: str) -> Source:
    """Split a script into the functions declared at its head and the statements behind them."""
    position = 0
    names: set[str] = set()
    while True:
        start = _BLANK.match(text, position).end()  # type: ignore[union-attr]  # matches nothing, too
        declaration = _FUNCTION.match(text, start)
        if declaration is None:
            return Source(text[:position], text[position:], frozenset(names))
        names.add(declaration["name"])
        position = _closing(text, declaration.end())


def portable(text: str) -> str:
    """The script with what Elasticsearch knows of times and OpenSearch does not, said as both know it.

    That is ``getMillis()``, which stands in many a watch since times were Joda's (seen on 8.10.4 to work
    still; the other methods of those days are refused there, too).
    """
    return _MILLIS_OF_CONTEXT.sub(rf"\1{_EPOCH_MILLIS}", _GET_MILLIS.sub(_EPOCH_MILLIS, text))


def _closing(text: str, position: int) -> int:
    """The position behind the brace that closes the one before ``position``; the end if none does."""
    depth = 1
    while position < len(text):
        opaque = _OPAQUE.match(text, position)
        if opaque is not None and opaque.end() > position:
            position = opaque.end()
            continue
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        position += 1
        if depth == 0:
            return position
    return position


def fits_together(first: Source, second: Source) -> bool:
    """Whether two scripts can stand in one: neither declares a function of a name that the other declares."""
    return not first.names & second.names


def assemble(pieces: tuple[Piece, ...]) -> Assembled:
    """One script that runs the pieces in order, a transform behind a condition only if that is met."""
    text = ""
    places = []
    for piece in pieces:
        start = len(text)
        text += f"{piece.source.functions}\n"
        returned = "boolean" if piece.role == "condition" else "def"
        text += f"{returned} httpmon_{piece.role}(Map ctx, Map params) {{ {piece.source.body}\n"
        if piece.completed:
            text += "return false;" if piece.role == "condition" else "return null;"
        text += "}\n"
        places.append((start, len(text), piece.role))
    text += _PRELUDE + _DRIVER_HEAD
    roles = [piece.role for piece in pieces]
    for role in roles:
        text += f"Map {role}Params = (Map) params.{role}; {role}Params.put('ctx', httpmonContext);\n"
    if "condition" in roles:
        text += "boolean met = httpmon_condition(httpmonContext, conditionParams);\n"
        text += "httpmonOut.append('\"met\":').append(String.valueOf(met)).append(',');\n"
    if "transform" in roles:
        if "condition" in roles:
            text += "if (met) {\n"
        text += "def made = httpmon_transform(httpmonContext, transformParams);\n"
        text += (
            "httpmonOut.append('\"transform\":'); httpmonJson(httpmonOut, made); httpmonOut.append(',');\n"
        )
        if "condition" in roles:
            text += "}\n"
    return Assembled(text + _DRIVER_TAIL, tuple(places))


def series(
    source: Source,
    completed: bool,
    own: dict[str, Any],
    contexts: list[dict[str, Any]],
    first_only: bool,
) -> tuple[str, dict[str, Any]]:
    """A script that runs a condition once for each context, and its ``params``.

    It returns JSON, ``{"met": [0, 3], "threw": [1]}``: positions of contexts. With ``first_only`` it ends at
    the first that is met.
    """
    text = f"{source.functions}\nboolean httpmon_condition(Map ctx, Map params) {{ {source.body}\n"
    text += "return false;\n}\n" if completed else "}\n"
    text += _PRELUDE + _SERIES
    marked = [script_parameters(context, {})["ctx"] for context in contexts]
    return text, {"contexts": marked, "own": own, "first_only": first_only}


def script_parameters(context: dict[str, Any], params: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The ``params`` of an assembled script: ``ctx`` with its times marked, and each piece's own params."""
    marked = with_instants(context, lambda instant: {_TIME: java_text(instant)})
    return {"ctx": marked, **params}


def parse_result(text: str) -> ScriptResult:
    """Read what an assembled script returned."""
    fields = json.loads(text, object_hook=_revived)
    return ScriptResult(
        met=fields.get("met"),
        transformed=fields.get("transform"),
        transform_ran="transform" in fields,
        variables=fields.get("vars") or {},
        payload=fields.get("payload"),
    )


def _revived(fields: dict[str, Any]) -> datetime | dict[str, Any]:
    if len(fields) == 1 and _TIME in fields:
        return parse_instant(fields[_TIME])
    return fields


def needs_completion(error: object) -> bool:
    """Whether the engine refused a script because a way through it returns nothing."""
    return "not all paths provide a return value" in str(error)
