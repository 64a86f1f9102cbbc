"""Guards: who is refused is told which privilege is missing; roles hold no more than they should."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from engine.capabilities import assumed_capabilities
from engine.client import refusal
from engine.errors import EXIT_NOT_PERMITTED, NotPermitted
from engine.privileges import missing_privilege
from provisioning.keys import MadeKey, read_keys
from provisioning.rendering import Rendered, render_all
from provisioning.settings import Settings

ACTION = "action [indices:data/write/index] is unauthorized for "
KEY = "API key id [bszT] of user [elastic]"


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (
            f"{ACTION}user [u1] with effective roles [r1,r2] on indices [al], this action is granted by the "
            "index privileges [create_doc,create,index,write,all]",
            "user u1 (its roles: r1, r2) lacks the index privilege create_doc or create or index on al",
        ),
        (
            f"{ACTION}{KEY} on indices [a,b], this action is granted by the index privileges [read,all]",
            "API key id bszT of user elastic lacks the index privilege read on a, b",
        ),
        (
            "action [cluster:admin/xpack/watcher/watch/put] is unauthorized for user [u0] with effective "
            "roles [], this action is granted by the cluster privileges [manage_watcher,manage,all]",
            "user u0 lacks the cluster privilege manage_watcher",
        ),
        (
            "action [cluster:admin/script/put] is unauthorized for user [u0] with effective roles [r], this "
            "action is granted by the cluster privileges [manage,all]",
            "user u0 (its roles: r) lacks the cluster privilege manage or all",
        ),
        (
            "action [indices:admin/x] is unauthorized for user [u0] (assigned roles [a], as found)",
            "user u0 (assigned roles a may not indices:admin/x",
        ),
        ("current license is non-compliant for [watcher]", None),
        ("unable to authenticate user [] for REST request [/]", None),
        (
            "Cannot create transform [t] because user u1 lacks the required permissions [dst:[index]]",
            None,
        ),
    ],
)
def test_a_refusal_names_who_lacks_what_on_what(reason: str, told: str | None) -> None:
    assert missing_privilege(reason) == told


def test_the_error_says_it_in_one_line_and_ends_with_5() -> None:
    reason = f"{ACTION}{KEY} on indices [a], this action is granted by the index privileges [read,all]"
    body = {"error": {"type": "security_exception", "reason": reason}, "status": 403}
    error = refusal("GET /a", 403, body, where="http://x")
    assert isinstance(error, NotPermitted)
    assert error.exit_code == EXIT_NOT_PERMITTED
    assert str(error) == "GET /a: 403 API key id bszT of user elastic lacks the index privilege read on a"
    licence = {"error": {"reason": "current license is non-compliant for [watcher]"}, "status": 403}
    assert "non-compliant" in str(refusal("PUT /w", 403, licence, where="http://x"))


def _roles(namespace: str = "default", engine: str = "elasticsearch:8.10.4") -> dict[str, Rendered]:
    rendered = render_all(Settings(namespace=namespace), assumed_capabilities(engine))
    return {one.name: one for one in rendered if one.kind == "role"}


def test_roles_are_of_their_installation() -> None:
    stems = ("provisioner", "writer", "reader", "scheduler")
    assert set(_roles()) == {f"httpmon_{stem}" for stem in stems}
    staging = _roles("staging")
    assert set(staging) == {f"httpmon-staging_{stem}" for stem in stems}
    for role in staging.values():
        for part in role.body["indices"]:
            assert all("staging" in name for name in part["names"])
    assert _roles(engine="opensearch") == {}


def _privileges(role: Rendered) -> set[str]:
    return {one for part in role.body["indices"] for one in part["privileges"]}


def test_a_writer_adds_and_a_reader_reads() -> None:
    roles = _roles()
    assert _privileges(roles["httpmon_writer"]) == {"create_doc", "read", "view_index_metadata"}
    assert roles["httpmon_writer"].body["cluster"] == ["monitor"]
    assert _privileges(roles["httpmon_reader"]) == {"read", "view_index_metadata", "monitor"}
    reading = ("monitor", "read", "get")
    for privilege in roles["httpmon_reader"].body["cluster"]:
        assert privilege.startswith(reading) or privilege.endswith("/get")
    assert "manage" not in _privileges(roles["httpmon_scheduler"])
    for role in roles.values():
        assert not {"all", "manage_security", "manage"} & set(role.body["cluster"])
        assert "all" not in _privileges(role)


def _key(identifier: str, **changes: Any) -> dict[str, Any]:
    metadata = {"managed_by": "httpmon", "namespace": "default", "role": "writer"}
    return {
        "id": identifier, "name": "httpmon-writer", "creation": 1773144000000, "invalidated": False,
        "username": "elastic", "realm": "reserved", "metadata": metadata, **changes,
    }  # fmt: skip


def test_only_keys_of_this_installation_are_listed() -> None:
    answer = {
        "api_keys": [
            _key("ours", expiration=1773144000000),
            _key("revoked", invalidated=True),
            _key("theirs", metadata={}),
            _key("of another namespace", metadata={"managed_by": "httpmon", "namespace": "staging"}),
        ]
    }
    (ours,) = read_keys(answer, "default")
    assert (ours.identifier, ours.role, ours.owner) == ("ours", "writer", "elastic")
    assert ours.expires_at == ours.created_at
    assert read_keys({"api_keys": [_key("a")]}, "default")[0].expires_at is None


def test_a_made_key_does_not_print_its_secret() -> None:
    made = MadeKey("id", "name", "c2VjcmV0")
    assert "c2VjcmV0" not in repr(made)
    assert dataclasses.asdict(made)["encoded"] == "c2VjcmV0"
