"""Which privilege is missing, read off the words with which Elasticsearch refuses. Pure."""

from __future__ import annotations

import re

# Elasticsearch 8.10.4, as recorded:
#   action [indices:data/write/index] is unauthorized for user [u1] with effective roles [r1] on indices [al],
#   this action is granted by the index privileges [create_doc,create,index,write,all]
# An API key is "API key id [...] of user [...]", and has no roles.
_UNAUTHORIZED = re.compile(
    r"action \[(?P<action>[^\]]+)\] is unauthorized for (?P<who>.+?)"
    r"(?: with (?:effective|assigned) roles \[(?P<roles>[^\]]*)\])?(?: \(assigned roles [^)]*\))?"
    r"(?: on (?:restricted )?indices \[(?P<indices>[^\]]*)\])?"
    r", this action is granted by the (?P<scope>index|cluster) privileges \[(?P<privileges>[^\]]+)\]"
)
# The same without a privilege: none that has a name grants the action.
_NO_PRIVILEGE = re.compile(r"action \[(?P<action>[^\]]+)\] is unauthorized for (?P<who>[^,]+)")
# `manage` and `all` grant nearly everything: named only where nothing smaller would do.
_LARGE = ("manage", "all")
_NAMED = 3


def missing_privilege(reason: str) -> str | None:
    """One line that says who lacks which privilege on what; None if the words are not those of a refusal."""
    match = _UNAUTHORIZED.search(reason)
    if match is None:
        bare = _NO_PRIVILEGE.search(reason)
        return None if bare is None else f"{_plain(bare['who'])} may not {bare['action']}"
    privileges = match["privileges"].split(",")
    small = [one for one in privileges if one not in _LARGE] or privileges
    where = f" on {match['indices'].replace(',', ', ')}" if match["indices"] else ""
    roles = f" (its roles: {match['roles'].replace(',', ', ')})" if match["roles"] else ""
    named = " or ".join(small[:_NAMED])
    return f"{_plain(match['who'])}{roles} lacks the {match['scope']} privilege {named}{where}"


def _plain(who: str) -> str:
    return who.replace("[", "").replace("]", "").strip()
