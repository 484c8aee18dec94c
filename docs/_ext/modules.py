"""Directive ``modules``: a package as a tree of folders, each module with the first line of its docstring."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]


def summarise(path: Path) -> str:
    """Return the first line of the docstring of a module."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].removesuffix(".")


def list_folders(package: Path) -> list[Path]:
    """Return the folders that hold modules, in the order of their names, the package itself first."""
    return [package, *sorted(path.parent for path in package.rglob("__init__.py") if path.parent != package)]


def write_folder(folder: Path) -> list[str]:
    """Return a folder as lines of Markdown: its purpose, and its modules on request."""
    modules = sorted(path for path in folder.glob("*.py") if not path.name.startswith("__"))
    title = f"`{folder.relative_to(ROOT)}/` {summarise(folder / '__init__.py')}"
    if not modules:
        return [title, ""]
    listed = [f"- `{path.name}` {summarise(path)}" for path in modules]
    return [f":::{{dropdown}} {title}", *listed, ":::", ""]


class Modules(Directive):
    """The folders and modules of the package that is the argument."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Parse the Markdown of all folders."""
        package = ROOT / self.arguments[0]
        lines = [line for folder in list_folders(package) for line in write_folder(folder)]
        parent = nodes.container()
        self.state.nested_parse(StringList(lines, source=str(package)), self.content_offset, parent)
        return parent.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("modules", Modules)
    return {"parallel_read_safe": True}
