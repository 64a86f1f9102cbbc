"""Guards: the wheel holds everything in one package, runs in a clean environment, and so does a checkout."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

REPOSITORY = Path(__file__).parents[2]


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that holds the built wheel and what the wheel asks for, nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, REPOSITORY, cwd=folder
    )
    (wheel,) = folder.glob("httpmon-*.whl")
    venv.create(folder / "venv", with_pip=True)
    _run(folder / "venv" / "bin" / "pip", "install", "--quiet", wheel, cwd=folder)
    return folder / "venv"


def test_nothing_but_the_one_package_comes(clean_environment: Path) -> None:
    files = _run(clean_environment / "bin" / "pip", "show", "--files", "httpmon", cwd=clean_environment)
    listed = [line.strip() for line in files.partition("Files:")[2].splitlines() if line.strip()]
    tops = {line.split("/")[0] for line in listed if not line.startswith("..")}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"httpmon"}
    assert [line for line in listed if line.startswith("..")] == ["../../../bin/httpmon"]
    for part in (
        "cli/app.py",
        "engine/client.py",
        "provisioning/rendering.py",
        "localnode/__init__.py",
        "reading/tick.py",
    ):
        assert f"httpmon/{part}" in listed
    assert any(line.startswith("httpmon/templates/watchers/") for line in listed)


def test_it_runs_where_only_the_wheel_is(clean_environment: Path, tmp_path: Path) -> None:
    httpmon = clean_environment / "bin" / "httpmon"
    assert "Usage: httpmon" in _run(httpmon, "--help", cwd=tmp_path)
    rendered = _run(httpmon, "render", "--engine", "opensearch", cwd=tmp_path)
    assert '"httpmon-traffic"' in rendered
    python = clean_environment / "bin" / "python"
    assert _run(python, "-m", "httpmon", "render", "--engine", "opensearch", cwd=tmp_path) == rendered


def test_a_checkout_runs_as_it_is(tmp_path: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); import httpmon.__main__ as m; m.main()"
    assert "Usage:" in _run(sys.executable, "-c", code, "--help", cwd=tmp_path)
