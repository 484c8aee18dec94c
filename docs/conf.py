"""Configuration of the documentation; it needs no network."""

from __future__ import annotations

import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs/_ext")]

project = "otdist"
author = "The otdist developers"
project_copyright = author
release = version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "figures",
    "modules",
    "sphinxcontrib.bibtex",
]
exclude_patterns = ["_build", "_ext", "examples", "images"]
templates_path = ["_templates"]
default_role = "py:obj"  # `laws` in a docstring is a name, and becomes a link where it is known

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say types, shapes and units
numpydoc_show_class_members = False  # the class template lists them
python_maximum_signature_line_length = 88

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "within_subsection_order": "figures.ReadingOrder",
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "subsection_order": [
        f"examples/{name}" for name in ("tasks", "distances", "methods", "losses", "generators")
    ],
    "reset_modules": ("matplotlib", "figures.transparent"),
    "image_scrapers": ("figures.scrape",),
    "image_srcset": ["2x"],
    "thumbnail_size": (640, 448),
}

html_theme = "pydata_sphinx_theme"
html_title = "otdist"
# The package holds a copy of MathJax; this file of it sets formulas without another, and without a network.
MATHJAX = next(iter(find_spec("sphinx-mathjax-offline").submodule_search_locations))
mathjax_path = "tex-svg.js"
html_static_path = ["_static", f"{MATHJAX}/static/mathjax/{mathjax_path}"]
html_css_files = ["otdist.css"]
html_js_files = ["otdist.js"]
html_favicon = "_static/logo.svg"
html_show_sourcelink = False
html_copy_source = False
# Pages with nothing beside them need no navigation of their own.
html_sidebars: dict[str, list[str]] = {"index": [], "changelog": []}
html_theme_options = {
    "logo": {"text": "otdist", "image_light": "_static/logo.svg", "image_dark": "_static/logo.svg"},
    "header_links_before_dropdown": 5,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}

# Objects that otdist makes and callers only read: their constructors are nobody's business.
RETURNED = {
    "otdist.Result",
    "otdist.bench.problems.Pair",
    "otdist.bench.problems.CriticScores",
    "otdist.learn.WGAN",
    "otdist.learn.wgan.Alarm",
    "otdist.learn.wgan.Bracket",
    "otdist.learn.wgan.Check",
    "otdist.problem.Problem",
    "otdist.stats.NoiseFloor",
    "otdist.stats.NullTest",
    "otdist.tables.ColumnReport",
    "otdist.tables.Comparison",
    "otdist.tables.JointReport",
}


def without_constructor(app: Any, what: str, name: str, *rest: Any) -> tuple[str, None] | None:
    """Leave out the signature of classes that callers do not construct."""
    return ("", None) if what == "class" and name in RETURNED else None


def setup(app: Any) -> None:
    """Connect what is above."""
    app.connect("autodoc-process-signature", without_constructor)
