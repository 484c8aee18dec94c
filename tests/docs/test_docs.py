"""Every snippet of README and docs runs, and README says what was measured."""

from __future__ import annotations

import doctest
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from otdist import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(p for p in (ROOT / "docs").rglob("*.md") if "_build" not in p.parts)]
HOWTO = sorted((ROOT / "docs/howto").glob("*.md"))
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
# Their snippets train, or start processes.
LONG = {
    "bench",
    "constraints",
    "critic",
    "howto/mixed_tables",
    "howto/times_of_day",
    "tutorials/drift_report",
}
LONG |= {"tutorials/first_wgan", "w1_loss", "wgan_health", "which_method"}
LONG_COMMANDS = {"command_line.md", "first_wgan.md", "index.md"}


def shell_lines(page):
    blocks = re.findall(r"^```sh\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("otdist ")]


def place(page):
    return page.relative_to(ROOT).as_posix()


def slow_if(condition):
    return [pytest.mark.slow] if condition else []


def name(page):
    """Path of a page below docs, without its ending."""
    return place(page).removeprefix("docs/").removesuffix(".md")


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=slow_if(name(page) in LONG)) for page in PAGES],
    ids=place,
)
def test_python_snippets_give_the_printed_answers(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # A closing fence would read as expected output.
    text = re.sub(r"^```.*$", "", page.read_text(), flags=re.MULTILINE)
    if re.search(r"^(>>>|\.\.\.) .*\b(torch|learn|geomloss)\b", text, flags=re.MULTILINE):
        pytest.importorskip("torch")
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    report = []
    runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


def test_the_pages_have_snippets_at_all():
    assert sum(page.read_text().count(">>>") for page in PAGES) > 10


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The files that the pages name, in the working directory."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        np.save(f"{name}.npy", rng.normal(size=(30, 2)))
    np.save("points.npy", rng.normal(size=(200, 2)))
    for name in ("reference", "current"):
        rows = "\n".join(f"{v:.3f},{'uv'[k % 2]}" for k, v in enumerate(rng.normal(size=30)))
        Path(f"{name}.csv").write_text(f"value,label\n{rows}\n")


def words(line):
    return line.split("#")[0].split()[1:]


def starts_processes(line):
    """Whether a command measures each method in a process of its own."""
    return words(line)[0] == "bench"


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=slow_if(page.name in LONG_COMMANDS)) for page in PAGES if shell_lines(page)],
    ids=lambda page: page.name,
)
def test_shell_commands_run(page, files, capsys):
    handler = signal.getsignal(signal.SIGINT)
    for line in shell_lines(page):
        if starts_processes(line):
            continue
        if words(line)[0] == "train":
            pytest.importorskip("torch")
        try:
            with pytest.raises(SystemExit) as stop:
                cli.main(words(line))
        finally:
            signal.signal(signal.SIGINT, handler)
        assert stop.value.code == 0, (line, capsys.readouterr().err)


@pytest.mark.alone
@pytest.mark.parametrize(
    "line", sorted({line for page in PAGES for line in shell_lines(page) if starts_processes(line)})
)
def test_shell_commands_that_start_processes_run(line, files):
    done = subprocess.run(
        [sys.executable, "-m", "otdist", *words(line)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


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


def test_each_task_has_a_section_with_code_that_runs():
    table = (ROOT / "docs/howto/index.md").read_text().split("## By task")[1].split("\n## ")[0]
    targets = re.findall(r"\]\((\w+\.md#[\w-]+)\)", table)
    assert table.count("\n| ") >= 2 + 15
    assert len(targets) >= 15
    for target in targets:
        assert any(">>>" in block for block in snippets(section(target))) or "```sh" in section(target), (
            target
        )


def test_the_index_of_guides_names_each_page_once():
    text = (ROOT / "docs/howto/index.md").read_text()
    shown, listed = text.split("```{toctree}")
    pages = set(re.findall(r"<(.+)>", listed))
    assert {path.removeprefix("/") for path in pages} >= {page.stem for page in HOWTO} - {"index"}
    for path in pages:
        name = re.escape(path.rsplit("/", 1)[-1])
        # A page, or sections of it: what is listed twice sends a reader to the same place twice.
        whole = re.findall(rf"\]\((?:\.\./)?{name}\.md\)", shown)
        parts = re.findall(rf"\]\((?:\.\./)?{name}\.md#[\w-]+\)", shown)
        assert len(whole) <= 2 and len(set(parts)) == len(parts) and whole + parts, path


def test_pages_on_moving_over_show_what_the_old_calls_answered():
    rows = json.loads((ROOT / "benchmarks/results/moving_over.json").read_text())["rows"]
    lines = [line for page in HOWTO for line in page.read_text().splitlines()]
    assert len(rows) >= 6
    for row in rows:
        shown = [line for line in lines if row["call"] in line]
        assert any(row["answer"] in line for line in shown), row
