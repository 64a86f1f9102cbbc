"""Logstash, Filebeat and Fluent Bit are given what they take, and send what the pipeline expects."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml
from lark import Lark, Token, Transformer
from lupa import LuaRuntime

from provisioning.names import Names

FOLDER = Path(__file__).parents[2] / "logstash"


def joined(chosen: str | None = None) -> str:
    """What Logstash reads: the files that ``path.config`` names, one after the other by their names.

    As Logstash does it (substitution_variables.rb, source/local.rb): variables first, then Ruby's glob.
    """
    (pipeline,) = yaml.safe_load((FOLDER / "pipelines.yml").read_text(encoding="utf-8"))
    given = {"HTTPMON_LOGSTASH_CONFIG": str(FOLDER)}
    given |= {"HTTPMON_LOGSTASH_PIPELINE": chosen} if chosen else {}
    variable = re.compile(r"\$\{([a-zA-Z_.][a-zA-Z0-9_.]*)(?::([^}]*))?\}")
    pattern = variable.sub(lambda found: given.get(found[1], found[2]), pipeline["path.config"])
    before, names, after = re.fullmatch(r"(.*)\{(.*)\}(.*)", pattern).groups()  # type: ignore[union-attr]
    files = sorted(f"{before}{name}{after}" for name in names.split(","))
    return "\n".join(Path(file).read_text(encoding="utf-8") for file in files)


CONFIG = joined()
PARSING = joined("parse")

# Logstash's own language, as far as it is used here: no conditions.
GRAMMAR = r"""
start: section*
section: NAME "{" plugin* "}"
plugin: NAME "{" attribute* "}"
attribute: NAME "=>" value
?value: STRING -> string
      | NUMBER -> number
      | NAME -> word
      | "[" [value ("," value)*] "]" -> array
      | "{" entry* "}" -> hash
entry: (STRING | NAME) "=>" value
NAME: /[a-z_][a-z0-9_]*/
STRING: /"[^"]*"/
NUMBER: /-?\d+(\.\d+)?/
COMMENT: /#[^\n]*/
%ignore /\s+/
%ignore COMMENT
"""

# Taken from the plugin's check of its options (data_stream_support.rb): besides the shared ones of the
# connection, of which those used here are listed, only these. `index` and `manage_template` are refused.
TAKEN_WITH_DATA_STREAM = {
    *("action", "routing", "pipeline", "data_stream", "ecs_compatibility", "id", "enable_metric", "codec"),
    *("document_id", "hosts", "user", "password", "api_key", "ssl_enabled", "ssl_certificate_authorities"),
    *("silence_errors_in_log", "timeout", "compression_level", "dlq_custom_codes"),
}

# From the documentation of the plugins, for Logstash 8.8 and newer.
OPTIONS = {
    "file": {
        *("id", "path", "exclude", "mode", "start_position", "sincedb_path", "sincedb_write_interval"),
        *("stat_interval", "discover_interval", "ignore_older"),
    },
    "beats": {"id", "host", "port", "ssl_enabled", "ssl_certificate", "ssl_key"},
    "ruby": {"id", "path", "script_params"},
    "fingerprint": {"id", "source", "concatenate_sources", "method", "target"},
    "mutate": {"id", "replace"},
}
PIPELINE_FIELD = "[@metadata][httpmon][pipeline]"


class Plain(Transformer[Token, Any]):
    """The tree as dictionaries and lists."""

    def string(self, children: list[Token]) -> str:
        return str(children[0])[1:-1]

    def number(self, children: list[Token]) -> float:
        return float(children[0])

    def word(self, children: list[Token]) -> str:
        return str(children[0])

    def array(self, children: list[Any]) -> list[Any]:
        return [child for child in children if child is not None]

    def entry(self, children: list[Any]) -> tuple[str, Any]:
        return str(children[0]).strip('"'), children[1]

    def hash(self, children: list[Any]) -> dict[str, Any]:
        return dict(children)

    def attribute(self, children: list[Any]) -> tuple[str, Any]:
        return str(children[0]), children[1]

    def plugin(self, children: list[Any]) -> tuple[str, dict[str, Any]]:
        names = [name for name, _ in children[1:]]
        assert len(names) == len(set(names)), f"{children[0]}: an option stands twice"
        return str(children[0]), dict(children[1:])

    def section(self, children: list[Any]) -> tuple[str, list[tuple[str, dict[str, Any]]]]:
        return str(children[0]), children[1:]

    def start(self, children: list[Any]) -> dict[str, list[tuple[str, dict[str, Any]]]]:
        sections: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        for name, plugins in children:
            sections.setdefault(name, []).extend(plugins)
        return sections


def parsed(text: str) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    return Plain().transform(Lark(GRAMMAR, parser="lalr").parse(text))  # type: ignore[no-any-return]


def problems(text: str, pipeline: str = "${HTTPMON_PIPELINE:httpmon-access}") -> list[str]:
    """What would keep Logstash from starting, or lines from being counted once."""
    sections = parsed(text)
    found = []
    if sorted(sections) != ["filter", "input", "output"]:
        return [f"sections are {list(sections)}"]
    for name, options in sections["input"] + sections["filter"]:
        found += [f"{name} has no option {option}" for option in options.keys() - OPTIONS[name]]
        script = options.get("path", "") if name == "ruby" else ""
        if script and not (FOLDER / "scripts" / script.rpartition("/scripts/")[2]).is_file():
            found.append(f"{script} is not there")
    ((_, output),) = sections["output"]
    (fingerprint,) = (options for name, options in sections["filter"] if name == "fingerprint")
    (files,) = (options for name, options in sections["input"] if name == "file")
    for option in output:
        if option not in TAKEN_WITH_DATA_STREAM and not option.startswith("data_stream_"):
            found.append(f"{option} is refused with data_stream => true")
    wanted = {"data_stream": "true", "action": "create", "pipeline": f"%{{{PIPELINE_FIELD}}}"}
    chosen = [options["replace"] for name, options in sections["filter"] if name == "mutate"]
    if chosen != [{PIPELINE_FIELD: pipeline}]:
        found.append(f"the pipeline is not {pipeline}")
    found += [f"{option} is not {value}" for option, value in wanted.items() if output.get(option) != value]
    stream = "-".join(output.get(f"data_stream_{part}", "") for part in ("type", "dataset", "namespace"))
    if stream != "logs-httpmon.access-${HTTPMON_NAMESPACE:default}":
        found.append(f"writes to {stream}")
    if output.get("document_id") != "%{" + str(fingerprint.get("target")) + "}":
        found.append("document_id is not the fingerprint")
    if "message" not in fingerprint.get("source", []):
        found.append("the fingerprint is not of the line")
    if not all("access.log*" in path for path in files["path"]):
        found.append("rotated files are not read to their end")
    for secret in ("password",):
        if not re.fullmatch(r"\$\{[A-Z_]+\}", output.get(secret, "")):
            found.append(f"{secret} does not come from the keystore")
    return found


def test_the_pipeline_can_start_and_sends_each_line_once_to_the_data_stream() -> None:
    assert problems(CONFIG) == []


def test_the_pipeline_that_parses_is_the_same_but_for_that() -> None:
    assert problems(PARSING, pipeline="_none") == []
    # The last one, so that the time at which a document is stamped is that at which it is sent.
    name, last = parsed(PARSING)["filter"][-1]
    assert (name, last["path"].rpartition("/")[2]) == ("ruby", "parse.rb")


def test_what_the_two_pipelines_have_in_common_stands_once() -> None:
    own = {
        name: parsed((FOLDER / "pipeline" / f"{name}.conf").read_text(encoding="utf-8"))
        for name in ("access", "parse")
    }
    assert {name: list(sections) for name, sections in own.items()} == {
        "access": ["filter"],
        "parse": ["filter"],
    }
    assert [plugin for plugin in own["access"]["filter"] if plugin in own["parse"]["filter"]] == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "    data_stream => true\n",
            "    data_stream => true\n    manage_template => false\n",
            "manage_template",
        ),
        ("    data_stream => true\n", '    data_stream => true\n    index => "x"\n', "index is refused"),
        ('action => "create"', 'action => "index"', "action is not create"),
        ("access.log*}", "access.log}", "rotated"),
        ("%{[@metadata][httpmon][id]}", "%{[event][hash]}", "document_id"),
        ("${HTTPMON_LOGSTASH_PASSWORD}", "changeme", "keystore"),
        ("ssl_enabled =>", "ssl => ", "beats has no option ssl"),
        ("httpmon.access", "httpmon", "writes to"),
        ("httpmon-access}", "access}", "pipeline is not"),
        ("%{[@metadata][httpmon][pipeline]}", "httpmon-access", "pipeline is not"),
    ],
)
def test_a_wrong_pipeline_is_noticed(old: str, new: str, problem: str) -> None:
    assert old in CONFIG
    assert problem in "; ".join(problems(CONFIG.replace(old, new)))


def test_a_brace_too_few_is_noticed() -> None:
    with pytest.raises(Exception, match="Unexpected"):
        parsed(CONFIG.rstrip().rstrip("}"))


def test_the_names_are_those_that_httpmon_installs() -> None:
    names = Names("default")
    assert names.raw == "logs-httpmon.access-default"
    assert names.of("access") == "httpmon-access"
    assert Names("shop").of("access") == "httpmon-shop-access"


def test_queues_are_on_disk_and_nothing_that_is_refused_is_dropped() -> None:
    (pipeline,) = yaml.safe_load((FOLDER / "pipelines.yml").read_text(encoding="utf-8"))
    assert pipeline["queue.type"] == "persisted"
    assert pipeline["dead_letter_queue.enable"] is True
    assert pipeline["pipeline.ecs_compatibility"] != "disabled"
    chosen = pipeline["path.config"].rpartition("/pipeline/")[2]
    assert chosen == "{lines,${HTTPMON_LOGSTASH_PIPELINE:access}}.conf"


def test_every_variable_is_documented_with_its_default() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    pipelines = ("pipeline/lines.conf", "pipeline/access.conf", "pipeline/parse.conf")
    for file in ("logstash.yml", "pipelines.yml", *pipelines, "filebeat.yml", "fluent-bit.conf"):
        text = (FOLDER / file).read_text(encoding="utf-8")
        for name, default in re.findall(r"\$\{(\w+)(?::([^}]*))?\}", text):
            assert f"`{name}`" in readme, f"{file}: {name}"
            if default:
                assert re.search(rf"`{name}` \| `{re.escape(default)}`", readme), (
                    f"{file}: {name} is {default}"
                )


def problems_of_filebeat(text: str) -> list[str]:
    """What would have Filebeat write something else than the others do, or the same twice."""
    filebeat = yaml.safe_load(text)
    (fingerprint,) = (step["fingerprint"] for step in filebeat["processors"])
    output = filebeat["output.elasticsearch"]
    right = {
        "the id is the fingerprint": fingerprint.get("target_field") == "@metadata._id",
        "of a place": {"log.offset", "message", "host.name"} <= set(fingerprint["fields"]),
        "the data stream": output["index"] == "logs-httpmon.access-${HTTPMON_NAMESPACE:default}",
        "the pipeline": output["pipeline"] == "${HTTPMON_PIPELINE:httpmon-access}",
        "no template of its own": filebeat["setup.template.enabled"] is False,
    }
    return [what for what, holds in right.items() if not holds]


def test_filebeat_writes_the_same() -> None:
    assert problems_of_filebeat((FOLDER / "filebeat.yml").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("target_field: ", "target: "),
        ("log.offset", "log.offsets"),
        ("logs-httpmon.access-", "logs-access-"),
        ("httpmon-access}", "access}"),
        ("setup.template.enabled: false", "setup.template.enabled: true"),
    ],
)
def test_a_filebeat_that_writes_something_else_is_noticed(old: str, new: str) -> None:
    text = (FOLDER / "filebeat.yml").read_text(encoding="utf-8")
    assert old in text
    assert problems_of_filebeat(text) == []
    assert problems_of_filebeat(text.replace(old, new)) != []


def placed(**record: Any) -> dict[str, Any]:
    lua = LuaRuntime(unpack_returned_tuples=True)
    lua.execute((FOLDER / "fluent-bit.lua").read_text(encoding="utf-8"))
    code, timestamp, result = lua.globals().place("access", 1.5, lua.table_from(record))
    assert (code, timestamp) == (2, 1.5)
    answer = dict(result)
    answer["log"] = {"file": dict(answer["log"]["file"]), "offset": answer["log"]["offset"]}
    return answer


def test_fluent_bit_gives_the_fields_of_the_pipeline_and_an_id_that_survives_rotation() -> None:
    line = '192.0.2.1 - - [25/Nov/2026:06:00:00 +0000] "GET / HTTP/1.1" 200 1'
    before = placed(path="/var/log/nginx/access.log", offset=7, message=line)
    assert before["message"] == line
    assert before["log"] == {"file": {"path": "/var/log/nginx/access.log"}, "offset": 7}
    assert before["httpmon_id"].partition("|")[0] == os.environ.get("HOSTNAME", socket.gethostname())
    assert before["httpmon_id"].endswith("|/var/log/nginx/access.log|7|25/Nov/2026:06:00:00 +0000")
    for rotated in ("access.log.1", "access.log-20261125", "access.log-20261125-1795586400"):
        again = placed(path=f"/var/log/nginx/{rotated}", offset=7, message=line)
        assert again["httpmon_id"] == before["httpmon_id"]
    assert (
        placed(path="/var/log/nginx/access.log", offset=8, message=line)["httpmon_id"] != before["httpmon_id"]
    )
    assert len(placed(path="/p" * 400, offset=8, message=line)["httpmon_id"]) == 512


FLUENT_BIT = {
    "Write_Operation": "create",
    "Id_Key": "httpmon_id",
    "Suppress_Type_Name": "On",
    "tls.verify": "On",
}


def problems_of_fluent_bit(text: str) -> list[str]:
    """The settings of the output that are not as they must be."""
    settings = dict(re.findall(r"^    (\S+) +(\S.*)$", text.split("[OUTPUT]")[1], re.MULTILINE))
    return [name for name, value in FLUENT_BIT.items() if settings.get(name) != value]


def test_fluent_bit_does_not_read_rotated_files_again() -> None:
    """Seen in 4.2.8: it forgets a file a minute after its rotation, and then takes what matches for new."""
    text = (FOLDER / "fluent-bit.conf").read_text(encoding="utf-8")
    assert re.search(r"^    Path +\$\{HTTPMON_LOG\}$", text, re.MULTILINE)


def test_fluent_bit_sends_to_the_data_stream_by_create() -> None:
    assert problems_of_fluent_bit((FOLDER / "fluent-bit.conf").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", FLUENT_BIT)
def test_a_fluent_bit_that_sends_otherwise_is_noticed(name: str) -> None:
    text = (FOLDER / "fluent-bit.conf").read_text(encoding="utf-8")
    changed = re.sub(rf"^(    {re.escape(name)} +).*$", r"\1other", text, flags=re.MULTILINE)
    assert problems_of_fluent_bit(changed) == [name]
