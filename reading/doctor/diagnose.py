"""From what was found out to what is wrong: each finding with symptom, cause and what to type. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Literal

from engine.capabilities import Capabilities, Flavour
from engine.errors import (
    EXIT_BROKEN,
    EXIT_DEGRADED,
    EXIT_DONE,
    EXIT_ENGINE_UNREACHABLE,
    EXIT_NOT_PERMITTED,
    EngineTooOld,
)
from provisioning.minimum import refuse_old
from reading.doctor.data import data_findings
from reading.doctor.facts import Contact, Findable
from reading.doctor.finding import Finding
from reading.doctor.jobs import job_findings
from reading.doctor.kibana import kibana_findings
from reading.doctor.remedies import Remedies
from reading.printable import some_of

Level = Literal["broken", "degraded", "note"]

# The newest release lines of each family that httpmon was tried with, whole or by the answers recorded of it.
_NEWEST_MAJOR: dict[Flavour, int] = {"elasticsearch": 9, "opensearch": 3}
# Two clocks kept by NTP differ by far less; the readers wait 8 s for an interval, so this is noticeable.
_SKEW_SECONDS = 2.0
_LICENCE_ENDS_SOON = timedelta(days=7)
_TASK_LEVELS = {"read": "degraded", "ship": "note", "provision": "note"}


def diagnose(findable: Findable, remedies: Remedies) -> list[Finding]:
    """Everything that is wrong, the worst first."""
    if findable.capabilities is None:
        return [_contact(findable, remedies)]
    found = [
        *_version(findable.capabilities, remedies),
        *_privileges(findable, remedies),
        *_licence(findable, remedies),
        *_clocks(findable),
        *data_findings(findable, remedies),
        *job_findings(findable, remedies),
        *kibana_findings(findable, remedies),
    ]
    order = ("broken", "degraded", "note")
    return sorted(found, key=lambda one: order.index(one.level))


def exit_code(findable: Findable, found: Iterable[Finding]) -> int:
    """What the process ends with: 0, 6 (degraded), 7 (broken), 4 (no answer) or 5 (not let in)."""
    codes: dict[Contact, int] = {
        "unreachable": EXIT_ENGINE_UNREACHABLE,
        "untrusted": EXIT_ENGINE_UNREACHABLE,
        "speaks_tls": EXIT_ENGINE_UNREACHABLE,
        "unknown_account": EXIT_NOT_PERMITTED,
        "no_engine": EXIT_ENGINE_UNREACHABLE,
    }
    if findable.contact in codes:
        return codes[findable.contact]
    levels = {one.level for one in found}
    if "broken" in levels:
        return EXIT_BROKEN
    return EXIT_DEGRADED if "degraded" in levels else EXIT_DONE


def _contact(findable: Findable, remedies: Remedies) -> Finding:
    url = remedies.engine.url
    if findable.contact == "untrusted":
        return _untrusted(findable.trouble, remedies)
    if findable.contact == "speaks_tls":
        return Finding(
            "tls-expected",
            "broken",
            findable.trouble,
            "the engine speaks TLS there, and engine.url says http",
            (f"export HTTPMON_ENGINE_URL=https:{url.removeprefix('http:')}", "httpmon doctor"),
        )
    if findable.contact == "unknown_account":
        return Finding(
            "credentials",
            "broken",
            findable.trouble,
            "no user or API key is set, or the engine does not know it",
            (remedies.httpmon("config", "show"), remedies.request("GET", "/_security/_authenticate")),
        )
    if findable.contact == "no_engine":
        return Finding(
            "no-engine",
            "broken",
            findable.trouble,
            "something else than Elasticsearch or OpenSearch answers at engine.url, or a proxy before it",
            (remedies.request("GET", "/"),),
        )
    return Finding(
        "unreachable",
        "broken",
        findable.trouble,
        "the engine does not run, listens elsewhere, or something on the way keeps connections out",
        (
            remedies.httpmon("config", "show"),
            remedies.request("GET", "/"),
            remedies.httpmon("node", "start"),
        ),
    )


def _untrusted(trouble: str, remedies: Remedies) -> Finding:
    text = trouble.lower()
    commands: tuple[str, ...]
    if any(said in text for said in ("hostname mismatch", "ip address mismatch", "doesn't match")):
        cause = "the certificate is for other names than the one in engine.url: use one of those it has"
        commands = (remedies.certificate(of="-noout -ext subjectAltName"),)
    elif "expired" in text or "not yet valid" in text:
        cause = "the certificate's time is over, or this host's clock is wrong: renew it, or set the clock"
        commands = (remedies.certificate(of="-noout -dates"), "date -u")
    elif "wrong version number" in text or "wrong_version_number" in text or "record layer" in text:
        cause = "the engine speaks plain HTTP there, and engine.url says https"
        commands = (
            f"export HTTPMON_ENGINE_URL=http:{remedies.engine.url.removeprefix('https:')}",
            "httpmon doctor",
        )
    else:
        cause = (
            "nobody that this host trusts signed the engine's certificate: engine.ca_file must name the "
            "authority that did (Elasticsearch keeps its own in config/certs/http_ca.crt; for a self-signed "
            "certificate it is that one, which is shown here: compare it before you trust it)"
        )
        commands = (
            f"{remedies.certificate()} > engine-ca.pem",
            "openssl x509 -in engine-ca.pem -noout -subject -fingerprint -sha256",
            'export HTTPMON_ENGINE_CA_FILE="$PWD/engine-ca.pem"',
        )
    return Finding("tls", "broken", trouble, cause, commands)


def _version(engine: Capabilities, remedies: Remedies) -> Iterator[Finding]:
    try:
        refuse_old(engine)
    except EngineTooOld as error:
        yield Finding(
            "version",
            "broken",
            f"the engine is {engine.flavour} {engine.version_text}",
            str(error).removesuffix("; --allow-old goes on"),
            (remedies.request("GET", "/_cat/nodes?v&h=name,version"),),
        )
        return
    newest = _NEWEST_MAJOR[engine.flavour]
    if engine.version[0] > newest:
        yield Finding(
            "version-untried",
            "note",
            f"the engine is {engine.flavour} {engine.version_text}",
            f"this httpmon is tried with versions up to {newest}; a newer httpmon may know this one",
            ("pipx upgrade httpmon",),
        )


def _privileges(findable: Findable, remedies: Remedies) -> Iterator[Finding]:
    who = remedies.request("GET", "/_security/_authenticate")
    if findable.refused:
        yield Finding(
            "refused-questions",
            "degraded",
            f"questions that were refused: {len(findable.refused)}, the first {findable.refused[0]}",
            "this account lacks the privilege that the engine names; what it guards was not looked at",
            (who,),
        )
    for task, missing in findable.lacking.items():
        level: Level = "degraded" if _TASK_LEVELS.get(task) == "degraded" else "note"
        yield Finding(
            "privileges",
            level,
            f"this account may not {task}: it lacks {some_of(missing, 4)}",
            "its roles do not give these privileges; that is as it should be for an account of another task",
            (who,),
        )


def _licence(findable: Findable, remedies: Remedies) -> Iterator[Finding]:
    licence, engine = findable.licence, findable.capabilities
    if licence is None or engine is None:
        return
    show = remedies.request("GET", "/_license")
    if licence.status != "active":
        yield Finding(
            "licence",
            "broken",
            f"the {licence.type} licence is {licence.status or 'not active'}",
            "Elasticsearch then refuses what it covered, Watcher for one; Basic is free and has the rest",
            (
                show,
                remedies.request("POST", "/_license/start_basic?acknowledge=true"),
                remedies.httpmon("provision"),
                remedies.httpmon("scheduler"),
            ),
        )
    elif licence.expires_at is not None and licence.expires_at - findable.read_at < _LICENCE_ENDS_SOON:
        days = max(0, (licence.expires_at - findable.read_at).days)
        yield Finding(
            "licence-ends",
            "degraded",
            f"the {licence.type} licence ends in {days} days",
            "afterwards Elasticsearch does not run watches; under Basic, httpmon scheduler runs them",
            (
                show,
                remedies.request("POST", "/_license/start_basic?acknowledge=true"),
                remedies.httpmon("provision"),
                remedies.httpmon("scheduler"),
            ),
        )


def _clocks(findable: Findable) -> Iterator[Finding]:
    if findable.clock_skew is None:
        return
    seconds, unsure = findable.clock_skew
    if abs(seconds) > _SKEW_SECONDS + unsure:
        way = "ahead of" if seconds > 0 else "behind"
        yield Finding(
            "clock-skew",
            "degraded",
            f"the engine's clock is {abs(seconds):.1f} s {way} this host's",
            "one of the two is not kept by NTP; intervals are read too early or too late, ages are wrong",
            ("timedatectl status", "sudo timedatectl set-ntp true"),
        )
