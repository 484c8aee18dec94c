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
