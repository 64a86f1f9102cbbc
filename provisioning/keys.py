"""API keys for httpmon's roles: made, listed, revoked.

A key's secret is in the answer that makes it, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from engine.client import Engine
from engine.errors import EngineError, NotPermitted, RequestRefused, UsageError
from provisioning.release import httpmon_version
from provisioning.rendering import Rendered, render_all
from provisioning.settings import Settings
from provisioning.stamp import MANAGED_BY


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key that was just made; ``encoded`` is what ``engine.api_key`` takes, and is shown once."""

    identifier: str
    name: str
    encoded: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the cluster lists it: without its secret."""

    identifier: str
    name: str
    role: str
    owner: str
    created_at: datetime
    expires_at: datetime | None


def create_key(
    engine: Engine, settings: Settings, role: str, *, name: str | None = None, expires: str | None = None
) -> MadeKey:
    """Make a key that may do what one of the installation's roles may, and no more.

    Args:
        engine: the cluster, as a user who may make keys and has these privileges.
        settings: of the installation.
        role: the stem of a role's template: ``provisioner``, ``writer``, ``reader`` or ``scheduler``.
        name: what the key is called; by the installation and the role if None.
        expires: after what time it is worth nothing any more, as a duration; never if None.

    Raises:
        UsageError: there is no such role.
        EngineError: the engine has no API keys, or refuses.
    """
    _refuse_without_keys(engine)
    roles = _roles(engine, settings)
    if role not in roles:
        raise UsageError(f"keys create {role}: there is no such role; there are {', '.join(sorted(roles))}")
    wanted = roles[role]
    body: dict[str, Any] = {
        "name": name or f"{settings.names.prefix}-{role}",
        "role_descriptors": {wanted.name: wanted.body},
        "metadata": {
            "managed_by": MANAGED_BY,
            "namespace": settings.namespace,
            "version": httpmon_version(),
            "role": role,
        },
    }
    if expires is not None:
        body["expiration"] = expires
    answer = _ask(engine, "POST", body=body)
    return MadeKey(answer["id"], answer["name"], answer["encoded"])


def list_keys(engine: Engine, settings: Settings) -> list[Key]:
    """The installation's keys that are worth something, by name; only one's own without more privileges."""
    _refuse_without_keys(engine)
    try:
        answer = _ask(engine, "GET")
    except NotPermitted:
        answer = _ask(engine, "GET", params={"owner": True})
    now = datetime.now(UTC)
    keys = [key for key in read_keys(answer, settings.namespace) if _is_worth(key, now)]
    return sorted(keys, key=lambda key: (key.name, key.created_at))


def read_keys(answer: Mapping[str, Any], namespace: str) -> list[Key]:
    """Those of one installation that are not revoked, in the answer to ``GET /_security/api_key``."""
    return [
        Key(
            one["id"],
            one["name"],
            str(one["metadata"].get("role", "")),
            one["username"],
            _moment(one["creation"]),
            _moment(one["expiration"]) if "expiration" in one else None,
        )
        for one in answer["api_keys"]
        if not one["invalidated"]
        and one["metadata"].get("managed_by") == MANAGED_BY
        and one["metadata"].get("namespace") == namespace
    ]


def revoke_keys(engine: Engine, settings: Settings, name: str) -> list[Key]:
    """Revoke the installation's keys of this name or id, and return them.

    Raises UsageError when there is none.
    """
    known = list_keys(engine, settings)
    meant = [key for key in known if name in (key.name, key.identifier)]
    if not meant:
        names = ", ".join(dict.fromkeys(key.name for key in known)) or "none at all"
        raise UsageError(f"keys revoke {name}: there is no such key; there are {names}")
    _ask(engine, "DELETE", body={"ids": [key.identifier for key in meant]})
    return meant


def _roles(engine: Engine, settings: Settings) -> dict[str, Rendered]:
    rendered = render_all(settings, engine.capabilities())
    return {one.stem: one for one in rendered if one.kind == "role"}


def _refuse_without_keys(engine: Engine) -> None:
    flavour = engine.capabilities().flavour
    if flavour != "elasticsearch":
        raise EngineError(
            f"{engine.url}: {flavour} has no API keys of Elasticsearch's kind; "
            "give each role a user of its own"
        )


def _ask(engine: Engine, method: str, **more: Any) -> Any:
    try:
        return engine.request(method, "/_security/api_key", **more)
    except NotPermitted:
        raise
    except RequestRefused as error:
        if error.status in (400, 405):  # no such path
            raise EngineError(f"{engine.url}: security is switched off, so there are no API keys") from None
        raise


def _is_worth(key: Key, now: datetime) -> bool:
    return key.expires_at is None or key.expires_at > now


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
