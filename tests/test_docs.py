"""Every snippet of README and docs runs, and README says what was measured."""

from __future__ import annotations

import doctest
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(p for p in (ROOT / "docs").rglob("*.md") if "_build" not in p.parts)]
HOWTO = sorted((ROOT / "docs/howto").glob("*.md"))
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def shell_lines(page):
    blocks = re.findall(r"^```sh\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("otdist ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_snippets_give_the_printed_answers(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # A closing fence would read as expected output.
    text = re.sub(r"^```.*$", "", page.read_text(), flags=re.MULTILINE)
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    report = []
    runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


def test_the_pages_have_snippets_at_all():
    assert sum(page.read_text().count(">>>") for page in PAGES) > 10


@pytest.mark.parametrize("page", [page for page in PAGES if shell_lines(page)], ids=lambda page: page.name)
def test_shell_commands_run(page, tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(30, 2)))
    np.save(tmp_path / "points.npy", rng.normal(size=(200, 2)))
    for name in ("reference", "current"):
        rows = "\n".join(f"{v:.3f},{'uv'[k % 2]}" for k, v in enumerate(rng.normal(size=30)))
        (tmp_path / f"{name}.csv").write_text(f"value,label\n{rows}\n")
    for line in shell_lines(page):
        words = line.split("#")[0].split()[1:]
        done = subprocess.run(
            [sys.executable, "-m", "otdist", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (line, done.stderr)


def test_readme_shows_the_measured_wrong_answers():
    rows = json.loads((ROOT / "benchmarks/results/wrong_answers.json").read_text())["rows"]
    readme = (ROOT / "README.md").read_text()
    assert len(rows) >= 10
    for row in rows:
        assert f"| {row['question']} | {row['tool']} | {row['answer']} | {row['otdist']} |" in readme


def test_the_two_commands_are_the_first_two_blocks_of_one_line_each():
    blocks = re.findall(
        r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), flags=re.MULTILINE | re.DOTALL
    )
    assert blocks[0].strip() == "pip install . && otdist demo"
    assert blocks[1].count("\n") == 1 and "pytest" in blocks[1] and "constraints.txt" in blocks[1]


def snippets(text):
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def section(target):
    """Text below the heading that a link such as page.md#some-heading names."""
    page, anchor = target.split("#")
    parts = re.split(r"^#+ (.*)$", (ROOT / "docs/howto" / page).read_text(), flags=re.MULTILINE)
    slugs = [re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in parts[1::2]]
    return parts[2 + 2 * slugs.index(anchor)]


@pytest.mark.parametrize("page", HOWTO, ids=lambda page: page.name)
def test_snippets_on_moving_over_have_fewer_than_fifteen_lines(page):
    blocks = snippets(page.read_text())
    assert blocks or page.name == "index.md"
    for block in blocks:
        assert sum(line.startswith((">>>", "...")) for line in block.splitlines()) < 15


def test_each_of_ten_tasks_has_a_section_with_code_that_runs():
    table = (ROOT / "docs/howto/index.md").read_text().split("## Ten tasks")[1].split("\n## ")[0]
    targets = re.findall(r"\]\((\w+\.md#[\w-]+)\)", table)
    assert table.count("\n| ") == 2 + 10
    assert len(targets) >= 10
    for target in targets:
        assert any(">>>" in block for block in snippets(section(target))) or "```sh" in section(target), (
            target
        )


def test_pages_on_moving_over_show_what_the_old_calls_answered():
    rows = json.loads((ROOT / "benchmarks/results/moving_over.json").read_text())["rows"]
    lines = [line for page in HOWTO for line in page.read_text().splitlines()]
    assert len(rows) >= 6
    for row in rows:
        shown = [line for line in lines if row["call"] in line]
        assert any(row["answer"] in line for line in shown), row
