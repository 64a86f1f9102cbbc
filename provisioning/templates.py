"""Finding templates: the built-in pack and the user's own. Reads file names only, no contents."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.errors import TemplateError

Kind = Literal[
    "role",
    "lifecycle_policy",
    "component_template",
    "index_template",
    "index",
    "store",
    "pipeline",
    "transform",
    "watch",
    "query",
    "data_views",
    "dashboard",
    "rule",
]

BUILT_IN_PACK = Path(__file__).resolve().parent.parent / "templates"

# Which kind of object a file makes, by its folder and what follows its stem.
_KINDS: dict[tuple[str, str], Kind] = {
    ("roles", ""): "role",
    ("lifecycles", ""): "lifecycle_policy",
    ("indices", ".component"): "component_template",
    ("indices", ".template"): "index_template",
    ("indices", ".index"): "index",
    ("indices", ".store"): "store",
    ("pipelines", ""): "pipeline",
    ("transforms", ""): "transform",
    ("watchers", ""): "watch",
    ("queries", ""): "query",
    ("kibana", ""): "data_views",
    ("kibana", ".dashboard"): "dashboard",
    ("kibana", ".rule"): "rule",
}
# What describes something else than an object of the cluster.
_DESCRIPTIONS: frozenset[Kind] = frozenset({"query", "data_views", "dashboard", "rule"})
_FOLDERS = tuple(dict.fromkeys(folder for folder, _ in _KINDS))
_FILE_NAME = re.compile(r"(?P<stem>[a-z][a-z0-9_]*)(?P<suffix>\.[a-z]+)?\.json\.j2")


@dataclass(frozen=True, slots=True)
class Template:
    """One template file.

    Attributes:
        kind: the kind of object that it makes.
        stem: its name without folder and suffix (``high_traffic``); parameters are given by it.
        pack: the folder of its pack.
        path: the file, below ``pack``.
        overrides: the file of the same kind and stem in an earlier pack, which this one takes the place of.
    """

    kind: Kind
    stem: str
    pack: Path
    path: Path
    overrides: Path | None = None


def find_descriptions(kind: Kind, packs: Sequence[Path] = ()) -> list[Template]:
    """Saved queries, Kibana's data views or its dashboards, by stem. Raises as ``find_templates`` does."""
    return [template for template in _found(packs) if template.kind == kind]


def find_templates(packs: Sequence[Path] = ()) -> list[Template]:
    """The templates of the built-in pack and of ``packs``, a later pack overriding an earlier one.

    In the order in which objects depend on one another, then by stem. Saved queries and what Kibana
    shows are not among them; see ``find_descriptions``. A file whose name starts with ``_`` is a part for
    others to include. Raises TemplateError for a pack or file that cannot be one.
    """
    return [template for template in _found(packs) if template.kind not in _DESCRIPTIONS]


def overriding_templates(packs: Sequence[Path]) -> list[Template]:
    """Templates that take the place of others, of every kind. Raises as ``find_templates`` does."""
    return [template for template in _found(packs) if template.overrides is not None]


def _found(packs: Sequence[Path]) -> list[Template]:
    found: dict[tuple[Kind, str], Template] = {}
    for pack in (BUILT_IN_PACK, *packs):
        if not pack.is_dir():
            raise TemplateError(f"{pack}: is no folder of templates; see the setting packs")
        for template in _templates_of(pack):
            earlier = found.get((template.kind, template.stem))
            if earlier is not None:
                template = Template(template.kind, template.stem, pack, template.path, earlier.path)
            found[template.kind, template.stem] = template
    order = list(_KINDS.values())
    return sorted(found.values(), key=lambda template: (order.index(template.kind), template.stem))


def _templates_of(pack: Path) -> list[Template]:
    templates = []
    for folder in _FOLDERS:
        for path in sorted((pack / folder).glob("*")):
            if path.name.startswith(("_", ".")) or path.is_dir():
                continue
            match = _FILE_NAME.fullmatch(path.name)
            kind = _KINDS.get((folder, match["suffix"] or "")) if match else None
            if match is None or kind is None:
                endings = ", ".join(f"<name>{suffix}.json.j2" for known, suffix in _KINDS if known == folder)
                raise TemplateError(f"{path}: a template in {folder}/ is named {endings}")
            templates.append(Template(kind, match["stem"], pack, path))
    return templates
