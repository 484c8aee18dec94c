"""One self-contained HTML page: no script, no font, no picture from elsewhere, and a file that is whole."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from otdist.atomic import replace_files
from otdist.errors import InputError
from otdist.pages.words import number, percent, probability, visible


def template_of(package: str, name: str, **filters: Callable[[Any], Any]) -> jinja2.Template:
    """Give a template that lies in a package.

    Filters are those given, and ``number``, ``percent`` and ``probability``; ``style`` is the style sheet
    that all pages share.
    """
    # finalize sees every value before it is escaped: no control character and no raw float gets past it.
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({word.__name__: word for word in (number, percent, probability)} | filters)
    environment.globals["style"] = Markup(_text("otdist.pages", "style.css"))
    return environment.from_string(_text(package, name))


def write_page(page: str, path: Path) -> Path:
    """Write a page; a file of that name is replaced, and only once the new page is complete.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be written to.
    """
    target = target_of(path)
    replace_files({target: page.encode()})
    return target


def target_of(path: Path) -> Path:
    """Give the absolute path of a page to be written; raise InputError if it cannot be one."""
    try:
        # Resolved, so that a link keeps pointing at the page instead of being replaced by it.
        target = Path(path).resolve()
        folder_exists, is_folder = target.parent.is_dir(), target.is_dir()
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            "path", f"{str(path)!r} is not a usable path ({error})", "give a file name"
        ) from error
    if is_folder:
        raise InputError("path", f"{str(target)!r} is a folder", "give a file name, such as 'report.html'")
    if not folder_exists:
        raise InputError("path", f"the folder {str(target.parent)!r} does not exist", "create it first")
    return target


def version() -> str:
    """Give the version of otdist."""
    try:
        return metadata.version("otdist")
    except metadata.PackageNotFoundError:
        return "unknown"


def _finalize(value: Any) -> Any:
    if isinstance(value, Markup):
        return value
    if isinstance(value, float):
        return number(value)
    return visible(value) if isinstance(value, str) else value


def _text(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")
