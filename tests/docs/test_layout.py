"""How pages are laid out on a phone: nothing beyond the edge, no name broken, code that can be copied."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
from bench_rows import make_row
from browser import look

from otdist import bench

BUILT = Path(__file__).parents[2] / "docs/_build/html"
DOCS = ("index", "howto/index", "howto/drift", "reference/index", "reference/evaluation", "gallery/index")

SIDEWAYS = "return document.documentElement.scrollWidth - window.innerWidth;"
# Names of code that stand on more than one line though they have no blank.
BROKEN = """
const names = [...document.querySelectorAll("td code .pre, nav.bd-links a")];
return names.filter((name) => !/[ -]/.test(name.textContent.trim()) && name.getClientRects().length > 1)
  .map((name) => name.textContent);
"""
# A table within a box that scrolls must say so.
SILENT = """
const boxes = [...document.querySelectorAll(".pst-scrollable-table-container")];
const wide = boxes.filter((box) => box.scrollWidth - box.clientWidth > 2);
return wide.filter((box) => !box.classList.contains("scrolls")).length;
"""
TYPED = "return [...document.querySelectorAll('div.highlight pre')].map((pre) => window.typedText(pre));"

pytestmark = pytest.mark.slow  # a browser for each


def source(name):
    return (BUILT.parents[1] / f"{name}.md").read_text()


def built(name):
    page = BUILT / f"{name}.html"
    if not page.exists():
        pytest.skip("the docs are not built")
    return page


@pytest.mark.parametrize("name", DOCS)
def test_pages_of_the_docs_fit_a_phone(name, tmp_path):
    page = built(name)
    assert look(page, SIDEWAYS, tmp_path) <= 0
    assert look(page, BROKEN, tmp_path) == []
    assert look(page, SILENT, tmp_path) == 0


@pytest.mark.parametrize("name", ["howto/drift", "howto/over_time", "howto/groups"])
def test_what_is_copied_is_what_one_types(name, tmp_path):
    copied = look(built(name), TYPED, tmp_path, width=1200)
    blocks = re.findall(r"^```python\n(>>>.*?)^```$", source(name), re.MULTILINE | re.DOTALL)
    assert len(blocks) > 2
    for block in blocks:
        examples = doctest.DocTestParser().get_examples(block)
        assert "".join(example.source for example in examples) in copied
    for command in re.findall(r"^```sh\n(.*?)^```$", source(name), re.MULTILINE | re.DOTALL):
        assert command in copied


def test_the_page_of_bench_fits_a_phone(tmp_path):
    rows = [
        make_row(method="otdist", lower=1.0, upper=1.0, seconds=1.0),
        make_row(method="otdist sliced", value=0.4, lower=0.4, seconds=0.1),
        make_row(method="POT sinkhorn_stabilized reg=0.001 iterations=100000", value=1.1, seconds=2.0),
        make_row(method="gone", status="timeout", reason="ended after 1 s, " + "x" * 90),
    ]
    page = bench.Runs(rows).report(tmp_path / "bench.html")
    assert look(page, SIDEWAYS, tmp_path) <= 0
    hidden = "return [...document.querySelectorAll('td')].filter((cell) => !cell.offsetHeight).length;"
    assert look(page, hidden, tmp_path) == 0
