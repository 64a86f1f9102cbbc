"""Reading the HTTP requests of a watch, and the texts that may be templates. Pure."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from scheduler.watches import fields
from scheduler.watches.fields import WatchInvalid, joined
from scheduler.watches.mustache import Text, one_text

_HTTP = (
    "scheme", "host", "port", "method", "path", "params", "headers", "auth", "body", "proxy", "url",
    "connection_timeout", "connection_timeout_in_millis", "read_timeout", "read_timeout_millis",
    "read_timeout_in_millis",
)  # fmt: skip
_METHODS = ("head", "get", "post", "put", "delete", "patch")


def text_of(value: Any, path: str) -> str | Text:
    """Read a text that may be a template: as it is, or ``{"source" or "id", "params"}``."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    whole = fields.the_object(value, path)
    fields.refuse_unknown(whole, ("source", "inline", "id", "params", "lang", "options"), path)
    source, identifier = whole.get("source", whole.get("inline")), whole.get("id")
    if (source is None) == (identifier is None):
        raise WatchInvalid(path, 'has either "source" or "id"')
    if whole.get("lang", "mustache") != "mustache":
        raise WatchInvalid(joined(path, "lang"), "can only be mustache")
    if source is not None and not isinstance(source, str):
        # JSON instead of a text: values in it are escaped as JSON.
        source = f"__json__::{one_text(source)}"
    params = fields.the_object(whole.get("params") or {}, joined(path, "params"))
    return Text(source, None if identifier is None else str(identifier), json.dumps(params))


def texts_in(value: Any, path: str) -> dict[str, str | Text]:
    """An object of texts: headers, parameters."""
    whole = fields.the_object(value or {}, path)
    return {key: text_of(one, joined(path, key)) for key, one in whole.items()}


def http_request(value: Any, path: str) -> dict[str, Any]:
    """Check an HTTP request of a webhook or an http input; ``url`` is taken apart into its parts."""
    request = dict(fields.the_object(value, path))
    fields.refuse_unknown(request, _HTTP, path)
    url = request.pop("url", None)
    if url is not None:
        request |= _parts_of(url, request, joined(path, "url"))
    if not isinstance(request.get("host"), str) or not request["host"]:
        raise WatchInvalid(joined(path, "host"), "is missing")
    request["port"] = _port(request.get("port"), joined(path, "port"))
    fields.one_of(request, "scheme", ("http", "https"), path)
    fields.one_of(request, "method", _METHODS, path)
    for key in ("params", "headers"):
        if key in request:
            request[key] = texts_in(request[key], joined(path, key))
    for key in ("path", "body"):
        if request.get(key) is not None:
            request[key] = text_of(request[key], joined(path, key))
    if request.get("auth") is not None:
        _check_auth(request["auth"], joined(path, "auth"))
    if request.get("proxy") is not None:
        proxy = fields.the_object(request["proxy"], joined(path, "proxy"))
        fields.refuse_unknown(proxy, ("host", "port", "scheme"), joined(path, "proxy"))
        fields.text(proxy, "host", joined(path, "proxy"))
        request["proxy"] = proxy | {"port": _port(proxy.get("port"), joined(path, "proxy.port"))}
    for key in ("connection_timeout", "read_timeout"):
        fields.seconds(request, key, path)
    return request


def _parts_of(url: Any, request: dict[str, Any], path: str) -> dict[str, Any]:
    try:
        parts = urlsplit(str(url))
        port = parts.port
    except ValueError:
        raise WatchInvalid(path, f"{url!r} is no http or https URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise WatchInvalid(path, f"{url!r} is no http or https URL")
    found: dict[str, Any] = {"scheme": parts.scheme, "host": parts.hostname}
    if port or "port" not in request:
        found["port"] = port or (443 if parts.scheme == "https" else 80)
    if parts.path:
        found["path"] = unquote(parts.path)
    if parts.query:
        found["params"] = dict(parse_qsl(parts.query)) | dict(request.get("params") or {})
    return found


def _check_auth(value: Any, path: str) -> None:
    whole = fields.the_object(value, path)
    fields.refuse_unknown(whole, ("basic",), path)
    basic = fields.the_object(whole.get("basic"), joined(path, "basic"))
    for key in ("username", "password"):
        fields.text(basic, key, joined(path, "basic"))


def _port(value: Any, path: str) -> int:
    if isinstance(value, str) and re.fullmatch(r"\d+", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65536:
        raise WatchInvalid(path, "is missing" if value is None else f"{value!r} is no port")
    return value
