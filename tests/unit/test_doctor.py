"""Guards what the doctor calls wrong, and that its commands can be typed as they stand and hold no secret."""

from __future__ import annotations

import ast
import re
import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from cli.app import COMMANDS, app
from engine.capabilities import assumed_capabilities
from provisioning.settings import EngineSettings, KibanaSettings
from reading.doctor.diagnose import diagnose, exit_code
from reading.doctor.facts import (
    Backing,
    Claim,
    Disk,
    Expiry,
    Findable,
    Licence,
    Lines,
    LostShard,
    Uncounted,
    Watermark,
)
from reading.doctor.finding import Finding
from reading.doctor.output import doctor_object, doctor_text
from reading.doctor.remedies import Remedies
from reading.installation import (
    Installation,
    KibanaState,
    Schedulers,
    SchedulerState,
    TransformState,
    WatchState,
)
from reading.shippers import ShipperState

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=400)
WELL = Installation(
    read_at=NOW,
    engine="elasticsearch 9.2.0",
    licence="trial",
    health="green",
    transforms_by="native",
    watches_by="native",
    objects=3,
)
HEALTHY = Findable(NOW, capabilities=assumed_capabilities("elasticsearch"), installation=WELL)
REMEDIES = Remedies(
    EngineSettings(),
    ("--namespace", "shop"),
    KibanaSettings(url="https://kibana:5601", api_key=SecretStr("hush")),
)
KIBANA = KibanaState("https://kibana:5601", objects=3)
SHIPPER = ShipperState("shipper:1", "web1", 7, "running", NOW, "/r", ("/log",), read=9000)
DISK = Disk("one", 1, 100)


def well(**change: object) -> Installation:
    return replace(WELL, **change)  # type: ignore[arg-type]


# Each thing that can be found, and the code and level of what is said of it.
CASES: list[tuple[Findable, str, str]] = [
    (Findable(NOW, "unreachable", "refused"), "unreachable", "broken"),
    (Findable(NOW, "untrusted", "self-signed certificate"), "tls", "broken"),
    (Findable(NOW, "untrusted", "certificate has expired"), "tls", "broken"),
    (Findable(NOW, "untrusted", "hostname 'a' doesn't match 'b'"), "tls", "broken"),
    (Findable(NOW, "untrusted", "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "tls", "broken"),
    (Findable(NOW, "speaks_tls", "closed"), "tls-expected", "broken"),
    (Findable(NOW, "unknown_account", "401"), "credentials", "broken"),
    (Findable(NOW, "no_engine", "hello"), "no-engine", "broken"),
    (replace(HEALTHY, capabilities=assumed_capabilities("elasticsearch:7.17.0")), "version", "broken"),
    (replace(HEALTHY, capabilities=assumed_capabilities("opensearch:4.0.0")), "version-untried", "note"),
    (replace(HEALTHY, refused=("403",)), "refused-questions", "degraded"),
    (replace(HEALTHY, lacking={"ship": ("a", "b", "c", "d", "e")}), "privileges", "note"),
    (replace(HEALTHY, lacking={"read": ("a",)}), "privileges", "degraded"),
    (replace(HEALTHY, licence=Licence("trial", "expired")), "licence", "broken"),
    (
        replace(HEALTHY, licence=Licence("trial", "active", NOW + timedelta(days=6))),
        "licence-ends",
        "degraded",
    ),
    (replace(HEALTHY, clock_skew=(-3.0, 0.1)), "clock-skew", "degraded"),
    (
        replace(HEALTHY, disks=(DISK,), watermarks=(Watermark("low", "x", bytes=2),)),
        "disk",
        "degraded",
    ),
    (
        replace(HEALTHY, disks=(DISK,), watermarks=(Watermark("flood_stage", "x", part=0.05),)),
        "disk",
        "broken",
    ),
    (replace(HEALTHY, blocks={"i": ("index.blocks.write",)}), "read-only", "broken"),
    (
        replace(
            HEALTHY, lost=(LostShard("i", 0, "filter", "no", ("index.routing.allocation.require.box",)),)
        ),
        "red",
        "broken",
    ),
    (replace(HEALTHY, lost=(LostShard("i", 0, "disk_threshold"),)), "red", "broken"),
    (replace(HEALTHY, lost=(LostShard("i", 0),)), "red", "broken"),
    (replace(HEALTHY, yellow=("i",)), "yellow", "note"),
    (replace(HEALTHY, lines=Lines(97, 3, (("no format", 3),), "x", "/log")), "unparsed", "degraded"),
    (replace(HEALTHY, lines=Lines(1, 3)), "unparsed", "broken"),
    (replace(HEALTHY, refused_lines=(("mapper_parsing_exception", 3),)), "refused-lines", "degraded"),
    (replace(HEALTHY, uncounted=Uncounted("logs-x", 3, "GET /", "/log")), "uncounted", "degraded"),
    (replace(HEALTHY, future_hit=NOW + timedelta(hours=1)), "future", "degraded"),
    (
        replace(HEALTHY, conflicts={("i", "f"): {"long": ("a",), "keyword": ("b",)}}),
        "mapping",
        "degraded",
    ),
    *(
        (
            replace(
                HEALTHY,
                expiries=(Expiry("s", "7d", 604_800.0, by, (Backing("s-1", LONG_AGO, 5),)),),
            ),
            "retention",
            "degraded",
        )
        for by in ("scheduler", "ilm", "lifecycle")
    ),
    (replace(HEALTHY, foreign=(Claim("pipeline", "p", "is not ours"),)), "foreign-object", "broken"),
    (replace(HEALTHY, twice=("w",)), "executed-twice", "broken"),
    (replace(HEALTHY, newer="99"), "newer-httpmon", "degraded"),
    (replace(HEALTHY, otherwise=("p",)), "rendered-otherwise", "degraded"),
    (replace(HEALTHY, installation=well(missing=("a", "b", "c"))), "not-installed", "broken"),
    (replace(HEALTHY, installation=well(missing=("a",))), "missing", "broken"),
    (replace(HEALTHY, installation=well(changed=("a",))), "changed", "degraded"),
    (replace(HEALTHY, installation=well(open_alerts=("High traffic",))), "alert", "degraded"),
    (
        replace(
            HEALTHY,
            installation=well(
                transforms_by="scheduler",
                schedulers=Schedulers(SchedulerState("h", 1, 99.0)),
                transforms=(TransformState("t", "started", 999.0),),
            ),
        ),
        "scheduler",
        "broken",
    ),
    (
        replace(HEALTHY, installation=well(transforms=(TransformState("t", "failed", None, "x"),))),
        "transform-failed",
        "broken",
    ),
    (
        replace(HEALTHY, installation=well(transforms=(TransformState("t", "stopped", None),))),
        "transform-stopped",
        "degraded",
    ),
    (
        replace(HEALTHY, installation=well(transforms=(TransformState("t", "started", 61.0),))),
        "transform-behind",
        "degraded",
    ),
    (
        replace(HEALTHY, installation=well(watches=(WatchState("w", False, NOW, ""),))),
        "watch-inactive",
        "degraded",
    ),
    (
        replace(HEALTHY, installation=well(watches=(WatchState("w", True, NOW, "failed"),))),
        "watch-failing",
        "broken",
    ),
    (
        replace(HEALTHY, installation=well(watches=(WatchState("w", True, LONG_AGO, "executed"),))),
        "watch-late",
        "degraded",
    ),
    (
        replace(HEALTHY, installation=well(shippers=(replace(SHIPPER, reported_at=LONG_AGO),))),
        "shipper-silent",
        "degraded",
    ),
    (
        replace(
            HEALTHY,
            installation=well(shippers=(replace(SHIPPER, behind_bytes=1, behind_seconds=99.0),)),
        ),
        "shipper-behind",
        "degraded",
    ),
    (replace(HEALTHY, installation=well(shippers=(replace(SHIPPER, dead=3),))), "shipper-refused", "note"),
    (
        replace(HEALTHY, installation=well(shippers=(SHIPPER, replace(SHIPPER, pid=8, registry="/q")))),
        "shippers-of-one-file",
        "degraded",
    ),
    (
        replace(HEALTHY, installation=well(shippers=(replace(SHIPPER, duplicates=9000),))),
        "lines-sent-again",
        "note",
    ),
    (replace(HEALTHY, kibana=replace(KIBANA, trouble="refused")), "kibana-unreachable", "degraded"),
    (
        replace(
            HEALTHY,
            installation=well(watches_by="kibana"),
            kibana=replace(KIBANA, trouble="503", obstacle="unreachable"),
        ),
        "kibana-unreachable",
        "broken",
    ),
    (
        replace(HEALTHY, kibana=replace(KIBANA, trouble="401", obstacle="not_permitted")),
        "kibana-refused",
        "degraded",
    ),
    (
        replace(HEALTHY, kibana=replace(KIBANA, trouble="404", obstacle="misdirected")),
        "kibana-elsewhere",
        "degraded",
    ),
    (replace(HEALTHY, kibana=replace(KIBANA, missing=("a",))), "kibana-missing", "degraded"),
    (replace(HEALTHY, kibana=replace(KIBANA, changed=("a",))), "kibana-changed", "degraded"),
]


def test_nothing_is_wrong() -> None:
    assert diagnose(HEALTHY, REMEDIES) == []
    assert diagnose(replace(HEALTHY, kibana=KIBANA, uncounted=Uncounted("logs-x")), REMEDIES) == []
    assert exit_code(HEALTHY, []) == 0
    assert doctor_text([], "http://here") == "http://here: nothing is wrong"


def test_a_first_checkpoint_is_told_with_its_progress() -> None:
    state = TransformState("t", "started", None, progress=26.6)
    examined = replace(HEALTHY, installation=well(transforms=(state,)))

    (finding,) = diagnose(examined, REMEDIES)

    assert finding.symptom == "transform t reads what there is, 27 % done"


def test_a_long_trouble_that_says_the_same_twice_is_told_once_and_short() -> None:
    what = "mapping set to strict, dynamic introduction of [x] within [_doc] is not allowed"
    reason = f"transform t: t refuses a document:\n{what}: {what}: {'and so on ' * 100}"
    examined = replace(HEALTHY, installation=well(transforms=(TransformState("t", "failed", None, reason),)))

    (finding,) = diagnose(examined, REMEDIES)

    assert finding.cause.startswith(f"t refuses a document: {what}: and so on and")
    assert finding.cause.count(what) == 1
    assert finding.cause.endswith("...")
    assert len(finding.cause) == 200


def test_an_index_and_a_transform_of_the_same_name_are_named_once() -> None:
    examined = replace(HEALTHY, installation=well(changed=("sections", "sections", "traffic")))
    (finding,) = diagnose(examined, REMEDIES)
    assert finding.symptom == "not as rendered: sections, traffic"


@pytest.mark.parametrize(("findable", "code", "level"), CASES)
def test_each_thing_that_can_be_found(findable: Findable, code: str, level: str) -> None:
    (finding,) = diagnose(findable, REMEDIES)
    assert (finding.code, finding.level) == (code, level)
    assert finding.cause
    assert finding.commands
    shown = doctor_text([finding], "")
    assert all(f"    {command}" in shown.splitlines() for command in finding.commands)


def codes_in(file: Path) -> list[str]:
    """The code of each place in the file where a finding is made."""
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    made = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Finding"]
    return [ast.literal_eval(call.args[0]) for call in made]


def test_each_finding_has_a_code_of_its_own_a_case_a_line_in_the_docs_and_is_provoked_for_real() -> None:
    codes = [code for file in (ROOT / "reading" / "doctor").glob("*.py") for code in codes_in(file)]
    assert len(codes) == len(set(codes)) > 40
    assert {code for _, code, _ in CASES} == set(codes)
    documented = set(re.findall(r"`([a-z-]+)`", (ROOT / "docs" / "doctor.md").read_text()))
    assert set(codes) <= documented, set(codes) - documented
    provoked: set[str] = set()
    for file in ("node/test_doctor.py", "contract/test_doctor_elsewhere.py"):
        parsed = ast.parse((ROOT / "tests" / file).read_text())
        tests = [one for one in parsed.body if isinstance(one, ast.FunctionDef) and one.name[:5] == "test_"]
        texts = [node for test in tests for node in ast.walk(test) if isinstance(node, ast.Constant)]
        provoked |= {one.value for one in texts if isinstance(one.value, str)}
    assert set(codes) <= provoked, set(codes) - provoked


def test_every_command_of_httpmon_exists_and_takes_these_options() -> None:
    commands = {
        command
        for findable, _, _ in CASES
        for one in diagnose(findable, REMEDIES)
        for command in one.commands
    }
    own = [shlex.split(command) for command in commands]
    own = [words[words.index("httpmon") + 1 :] for words in own if "httpmon" in words and words[0] != "pipx"]
    assert len(own) > 15
    for words in own:
        arguments = [word for word in words if word not in ("--help",)]
        # --help is read after everything before it was: an unknown command or option is refused first.
        result = CliRunner().invoke(app, [*arguments, "--help"])
        assert result.exit_code == 0, (words, result.output)
        names = set(COMMANDS)
        assert names & set(arguments), words


@pytest.mark.parametrize(
    ("contact", "levels", "expected"),
    [
        ("answers", (), 0),
        ("answers", ("note",), 0),
        ("answers", ("note", "degraded"), 6),
        ("answers", ("degraded", "broken"), 7),
        ("unreachable", ("broken",), 4),
        ("untrusted", ("broken",), 4),
        ("unknown_account", ("broken",), 5),
    ],
)
def test_what_the_process_ends_with(contact: str, levels: tuple[str, ...], expected: int) -> None:
    found = [Finding("x", level, "x", "x", ()) for level in levels]  # type: ignore[arg-type]
    findable = Findable(NOW, contact)  # type: ignore[arg-type]
    assert exit_code(findable, found) == expected
    assert doctor_object(found, expected)["exit_code"] == expected


def test_requests_have_the_way_in_and_no_secret() -> None:
    private = EngineSettings(
        url="https://es:9200", username="ann", password=SecretStr("hush"), ca_file=Path("/ca.pem")
    )
    command = Remedies(private).request("PUT", "/i/_settings", {"index.blocks.write": None})
    assert command == (
        "curl -fsS --cacert /ca.pem -u ann -X PUT https://es:9200/i/_settings "
        "-H 'content-type: application/json' -d '{\"index.blocks.write\": null}'"
    )
    key = EngineSettings(url="https://es:9200", api_key=SecretStr("hush"))
    assert "hush" not in Remedies(key).request("GET", "/")
    assert "$HTTPMON_ENGINE_API_KEY" in Remedies(key).request("GET", "/")
    assert REMEDIES.ask_kibana("/api/status") == (
        'curl -fsS -H "authorization: ApiKey $HTTPMON_KIBANA_API_KEY" https://kibana:5601/api/status'
    )
