"""Jinja as the templates see it, and the templates compiled.

Compiling takes ten times as long as rendering, so what was compiled is kept in the user's cache folder, as
Python keeps its own modules: by file and content, so that a changed template is compiled anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import jinja2
import platformdirs
from jinja2.bccache import Bucket
from jinja2.sandbox import ImmutableSandboxedEnvironment

from provisioning.setting_types import duration_seconds
from provisioning.templates import BUILT_IN_PACK, Template

# Between the number of a pack and a path in it: the name of one file, which no other pack overrides.
_OF_PACK = ":"


def compiled(template: Template, packs: Sequence[Path]) -> jinja2.Template:
    """A template, ready to be rendered; includes are searched in all packs, a later one's first.

    Raises what Jinja raises: TemplateSyntaxError, or TemplateNotFound when the file is gone.
    """
    every = (BUILT_IN_PACK, *packs)
    path = template.path.relative_to(template.pack).as_posix()
    # From its own pack, not along the search path: an override may include what it overrides.
    return _environment(every).get_template(f"{every.index(template.pack)}{_OF_PACK}{path}")


@lru_cache(maxsize=8)
def _environment(packs: tuple[Path, ...]) -> ImmutableSandboxedEnvironment:
    own = {str(number): jinja2.FileSystemLoader(pack) for number, pack in enumerate(packs)}
    searched = jinja2.FileSystemLoader([*reversed(packs)])
    # Autoescape is for HTML; here every value goes through `tojson`, and the output is parsed as JSON.
    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.ChoiceLoader([jinja2.PrefixLoader(own, _OF_PACK), searched]),
        bytecode_cache=_bytecode_cache(),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
    )
    environment.filters["seconds"] = _seconds
    return environment


def _seconds(duration: str) -> int | float:
    seconds = duration_seconds(duration)
    return int(seconds) if seconds.is_integer() else seconds


class _BytecodeCache(jinja2.FileSystemBytecodeCache):
    """Jinja's own, which does without where it cannot write."""

    def dump_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):
            super().dump_bytecode(bucket)


def _bytecode_cache() -> _BytecodeCache | None:
    # Another release of Jinja compiles otherwise.
    folder = platformdirs.user_cache_path("httpmon") / f"templates-jinja-{jinja2.__version__}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return _BytecodeCache(str(folder))
