"""``otdist bench``: questions, printed output, files, and one line per error."""

from __future__ import annotations

import json

import numpy as np
import pytest
from shell import one_line

from otdist import cli
from otdist.bench import Runs
from otdist.cli.bench import _parse_seconds


def run_command(capsys, *arguments):
    """Exit status, and what was printed on either stream."""
    with pytest.raises(SystemExit) as end:
        cli.main(["bench", *arguments])
    out, err = capsys.readouterr()
    return end.value.code, out, err


@pytest.fixture
def folder(tmp_path, monkeypatch, rng):
    """Working directory with two samples."""
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", rng.normal(size=(60, 2)))
    np.save("b.npy", rng.normal(size=(50, 2)) + 1)
    return tmp_path


@pytest.mark.slow
def test_files_are_measured_shown_and_written(folder, capsys):
    methods = ["--methods", "otdist", "otdist sliced"]
    status, out, _ = run_command(capsys, "a.npy", "b.npy", *methods, "--out", "rows.json")
    assert status == 0
    assert "a.npy, b.npy (60 and 50 points, d = 2)" in out
    assert "Use otdist: " in out
    assert "bench.html" in out
    rows = Runs.load("rows.json").rows
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert rows[1]["value"] < rows[0]["value"]
    assert "otdist sliced" in (folder / "bench.html").read_text()


@pytest.mark.slow
def test_json_is_all_that_is_on_standard_output(folder, capsys):
    status, out, err = run_command(
        capsys, "a.npy", "b.npy", "--methods", "otdist", "--json", "--html", "page.html"
    )
    assert status == 0
    record = json.loads(out)
    assert record["rows"][0]["method"] == "otdist"
    assert record["advice"]["a.npy, b.npy"].startswith("Use otdist")
    assert "page.html" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "x: is missing"),
        (["a.npy"], "y: is missing"),
        (["a.npy", "b.npy", "--quick"], "must not be combined with"),
        (["--questions", "no such n=5"], "--questions: must be a kind of question, got 'no such n=5'"),
        (["--questions", "line n=20 d=2"], "--questions: the columns of 'line' are given"),
        (
            ["--questions", "shift n=20", "--methods", "best"],
            "--methods: must be a method of otdist.bench.METHODS, got 'best'",
        ),
        (["a.npy", "none.npy"], "none.npy"),
        (["a.npy", "b.npy", "--budget", "soon"], "--budget: must be a time, got 'soon'"),
        (["a.npy", "b.npy", "--budget", "0.5"], "--budget: must be longer, got 0.5 s"),
        (["a.npy", "b.npy", "--tol", "2"], "--tol: must be a finite number > 0 and < 1, got 2"),
        (["a.npy", "b.npy", "--html", "no/page.html"], "--html: must be in an existing folder, got"),
        (
            ["a.npy", "b.npy", "--methods", "otdist", "--out", "rows.csv"],
            "--out: must end in .json or .parquet, got 'rows.csv'",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(folder, capsys, arguments, message):
    assert one_line(run_command(capsys, *arguments), message)


def test_times_are_read_with_their_unit():
    assert [_parse_seconds(text) for text in ("90", "60s", "2m", "0.5h")] == [90, 60, 120, 1800]
