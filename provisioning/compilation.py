"""Jinja as the templates see it, and the templates compiled.

Compiling takes ten times as long as rendering, so what was compiled is kept in the user's cache folder, as
Python keeps its own modules: by file and content, so that a changed template is compiled anew.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import jinja2
import platformdirs
from jinja2.bccache import Bucket
from jinja2.sandbox import ImmutableSandboxedEnvironment

from provisioning.release import httpmon_version
from provisioning.setting_types import duration_seconds
from provisioning.templates import BUILT_IN_PACK, Template

# Between the number of a pack and a path in it: the name of one file, which no other pack overrides.
_OF_PACK = ":"
# Engines refuse scripts of 65,536 bytes and more (script.max_size_in_bytes).
_LONG_SCRIPT = 50_000
_TEXT = r"""('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")"""
# Or marks with a space on either side. Not "+" and "-": two of them are another mark.
_TEXT_OR_MARK = re.compile(_TEXT + r"| ?([=!<>&|?:{}(),;]+) ?")
# A character that is compared: its code is the same, and shorter.
_COMPARED = re.compile(r"(?<=[=<>] )\(char\) '(?:\\(?=[\\']))?(.)'")
# A function of the script's own, where it is declared.
_DECLARED = re.compile(r"^\w+ (\w+)\(.*\{$", re.MULTILINE)
_DIGEST_BYTES = hashlib.sha256().digest_size


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
    environment.filters["bare_code"] = _bare_code
    return environment


def _seconds(duration: str) -> int | float:
    seconds = duration_seconds(duration)
    return int(seconds) if seconds.is_integer() else seconds


def _bare_code(script: str) -> str:
    """A script without indentation, empty lines and lines of comment; a loop in a template takes 0.15 s.

    A long one is without the spaces around its marks, the names of its functions and the characters that it
    compares, too: a sixth of it. Others stay easy to read.
    """
    lines = map(str.strip, script.splitlines())
    bare = "\n".join(line for line in lines if line and not line.startswith(("//", "/*", "* ", "*/")))
    if len(bare) < _LONG_SCRIPT:
        return bare
    bare = _COMPARED.sub(lambda found: str(ord(found[1])), bare)
    short = {name: f"f{number}" for number, name in enumerate(dict.fromkeys(_DECLARED.findall(bare)))}
    # A method of the same name has a point before it.
    text_or_called = re.compile(rf"{_TEXT}|(?<![\w.])({'|'.join(short)})(?=\()")
    bare = text_or_called.sub(lambda found: found[1] or short[found[2]], bare)
    return _TEXT_OR_MARK.sub(lambda found: found[1] or found[2], bare)


class _BytecodeCache(jinja2.BytecodeCache):
    """Compiled templates in a folder, each file behind a digest of what it holds.

    Jinja says whether what is kept belongs to the template's text and to this Python. The digest is for a
    file that was cut off or damaged: what ``marshal`` does with one is not defined.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):
            kept = self._file(bucket).read_bytes()
            digest, code = kept[:_DIGEST_BYTES], kept[_DIGEST_BYTES:]
            if hashlib.sha256(code).digest() == digest:
                bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        code = bucket.bytecode_to_string()
        with suppress(OSError):
            handle, unfinished = tempfile.mkstemp(dir=self._folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(code).digest() + code)
                # Whoever reads meanwhile, in another process, sees the old file or the new one.
                Path(unfinished).replace(self._file(bucket))
            except OSError:
                Path(unfinished).unlink(missing_ok=True)

    def _file(self, bucket: Bucket) -> Path:
        return self._folder / bucket.key


def _bytecode_cache() -> _BytecodeCache | None:
    # Another release of Jinja compiles otherwise, another one of httpmon may ask it to.
    release = f"templates-{httpmon_version()}-jinja-{jinja2.__version__}"
    folder = platformdirs.user_cache_path("httpmon") / release
    return _BytecodeCache(folder) if _is_private(folder) else None


def _is_private(folder: Path) -> bool:
    """Whether only this user and root can put files into a folder; it is made where it is missing.

    Loading compiled code executes it. So neither the folder nor one above it, by which it could be
    exchanged, may belong to or be written by anybody else: not even ``/tmp``, though one's files there are
    one's own.
    """
    try:
        existing = next(one for one in (folder, *folder.parents) if one.exists())
        if not _only_we_write(existing):
            return False
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _only_we_write(folder) and folder.stat().st_uid == os.geteuid()
    except OSError:
        return False


def _only_we_write(folder: Path) -> bool:
    actual = folder.resolve(strict=True)
    return all(
        found.st_uid in {os.geteuid(), 0} and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        for found in (one.stat() for one in (actual, *actual.parents))
    )
