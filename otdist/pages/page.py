"""Self-contained HTML pages: without external scripts, fonts or images, in files that are replaced whole."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from otdist.pages.formatting import escape_unprintable, format_number, format_percent, format_probability
from otdist.runtime.files import check_target, replace_files

FILTERS: dict[str, Callable[[float], str]] = {
    "number": format_number,
    "percent": format_percent,
    "probability": format_probability,
}


def load_template(package: str, name: str, **filters: Callable[..., object]) -> jinja2.Template:
    """Load a template from a package.

    Its filters are ``filters``, ``number``, ``percent`` and ``probability``; ``style`` is the style sheet
    shared by all pages.
    """
    # finalize is applied to every value before escaping, so that control characters and floats are formatted.
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_format_template_value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS | filters)
    environment.globals["style"] = Markup(_read_resource("otdist.pages", "style.css"))
    return environment.from_string(_read_resource(package, name))


def write_page(page: str, path: Path) -> Path:
    """Write a page; an existing file of that name is replaced once the new page is complete.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be written to.
    """
    target = check_target(path)
    replace_files({target: page.encode()})
    return target


def _format_template_value(value: object) -> object:
    if isinstance(value, Markup):
        return value
    if isinstance(value, float):
        return format_number(value)
    return escape_unprintable(value) if isinstance(value, str) else value


def _read_resource(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")
