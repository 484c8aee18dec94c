"""``otdist recommend``: the advice of otdist.recommend, and one line for each thing that can go wrong."""

from __future__ import annotations

import pytest
from shell import one_line, strict

import otdist
from otdist import cli


def run_command(capsys, *arguments):
    """Exit status, and what was printed on either stream."""
    with pytest.raises(SystemExit) as end:
        cli.main(["recommend", *arguments])
    out, err = capsys.readouterr()
    return end.value.code, out, err


@pytest.mark.parametrize(
    ("arguments", "positional", "options"),
    [
        (["300", "2"], (300, 2), {}),
        (["5000", "1"], (5000, 1), {}),
        (["50000", "16", "--tol", "0.01"], (50_000, 16, 0.01), {}),
        (["900", "4", "--m", "100", "--calls", "50"], (900, 4), {"m": 100, "calls": 50}),
        (["900", "4", "--metric", "cityblock", "--device", "cuda"], (900, 4), {"metric": "cityblock"}),
    ],
)
def test_it_says_what_python_says(capsys, arguments, positional, options):
    status, out, err = run_command(capsys, *arguments, "--max-bytes", "4000000000")
    if "cuda" in arguments:
        options = options | {"device": "cuda"}
    assert (status, err) == (0, "")
    assert out == f"{otdist.recommend(*positional, **options, max_bytes=4 * 10**9)}\n"


def test_json_holds_the_others_too(capsys):
    status, out, _ = run_command(capsys, "50000", "16", "--max-bytes", "4000000000", "--json")
    record = strict(out)
    choice = otdist.recommend(50_000, 16, max_bytes=4 * 10**9)
    assert status == 0
    assert (record["method"], record["options"]) == (choice.method, choice.options)
    assert record["seconds"] == choice.seconds and record["exact"] is True
    assert [other["method"] for other in record["alternatives"]] == [o.method for o in choice.alternatives]
    assert record["left_out"] == choice.left_out and "dense" in record["left_out"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["0", "2"], "N: must be an integer >= 1, got 0"),
        (["10", "0"], "D: must be an integer >= 1, got 0"),
        (["1.5", "2"], "1.5"),
        (["10"], "D"),
        (["10", "2", "--tol", "2"], "--tol: must be a finite number >= 0 and < 1, got 2.0"),
        (["10", "2", "--metric", "foo"], "--metric: must be a known name, got 'foo'"),
        (["10", "2", "--calls", "0"], "--calls: must be an integer >= 1, got 0"),
        (["10", "2", "--device", "tpu"], "tpu"),
        (["100000", "2", "--max-bytes", "1000"], "raise --max-bytes"),
    ],
)
def test_what_cannot_be_done_is_one_line(capsys, arguments, message):
    assert one_line(run_command(capsys, *arguments), message)
