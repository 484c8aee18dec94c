"""The command line: what it prints, what it returns, and one line for each thing that can go wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet
from shell import one_line, strict

import otdist
from otdist import cli

HOSTILE = ["[red]x[/red]", "\x1b[31mred", "a\nb", "größe 列", "\u202egnp"]


@pytest.fixture
def here(tmp_path, monkeypatch, rng):
    """A folder with some tables and points, as the working directory."""
    monkeypatch.chdir(tmp_path)
    before = {"size": rng.normal(size=40), "kind": rng.choice(["a", "b"], 40), "fixed": np.ones(40)}
    after = {"size": rng.normal(2, 1, 30), "kind": rng.choice(["a", "b"], 30), "fixed": np.ones(30)}
    csv.write_csv(pa.table(before), "before.csv")
    csv.write_csv(pa.table(after), "after.csv")
    parquet.write_table(pa.table(after), "after.parquet")
    csv.write_csv(pa.table({"other": [1, 2]}), "other.csv")
    csv.write_csv(pa.table({"size": ["x", "y"]}), "words.csv")
    (tmp_path / "parts").mkdir()
    np.save("x.npy", rng.normal(size=(25, 2)))
    np.save("y.npy", rng.normal(1, 1, size=(20, 2)))
    np.save("three.npy", rng.normal(size=(5, 3)))
    np.savez("both.npz", x=np.load("x.npy"), y=np.load("y.npy"))
    csv.write_csv(pa.table({"u": np.load("y.npy")[:, 0], "v": np.load("y.npy")[:, 1]}), "y.csv")
    np.save("gap.npy", np.array([1.0, np.nan, 3.0]))
    np.save("flat.npy", np.array([2.0, 4.0]))
    np.save("endless.npy", np.array([1.0, np.inf]))
    return tmp_path


@pytest.fixture
def run(here, capsys, monkeypatch):
    """Run the command line in this process: (exit status, output, error output)."""
    for variable in ("FORCE_COLOR", "NO_COLOR", "COLUMNS"):  # they change what a pipe gets
        monkeypatch.delenv(variable, raising=False)
    handler = signal.getsignal(signal.SIGINT)

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return stop.value.code, out, err

    yield call
    signal.signal(signal.SIGINT, handler)


def shell(*arguments, cwd, stdout=subprocess.PIPE, **variables):
    """Run ``python -m otdist`` as a user would."""
    environment = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "NO_COLOR", "COLUMNS")}
    try:
        metadata.version("otdist")
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        environment["PYTHONPATH"] = str(Path(otdist.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "otdist", *arguments],
        cwd=cwd,
        env={**environment, **variables},
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr.decode()


class TestProcess:
    @pytest.mark.slow
    def test_demo_prints_the_table_and_writes_the_report_where_it_says(self, tmp_path):
        status, out, err = shell("demo", cwd=tmp_path)
        text = out.decode()
        assert (status, err) == (0, "")
        assert "\x1b" not in text
        assert "152 -> 68 rows" in text and "3 of 6 columns moved" in text
        assert re.search(r"\* +flipper_length_mm +num +\+5\.87 +5\.87 ", text)
        assert "Whole rows moved" in text
        written = re.search(r"^Report: (.+)$", text, re.MULTILINE)
        assert Path(written[1]) == tmp_path / "report.html"
        page = (tmp_path / "report.html").read_text()
        assert "flipper_length_mm" in page and page.rstrip().endswith("</html>")

    @pytest.mark.slow
    def test_an_error_is_one_line_and_no_traceback(self, tmp_path):
        status, out, err = shell("compare", "a.csv", "b.csv", cwd=tmp_path)
        assert one_line((status, out.decode(), err), "a.csv", "no such file")

    @pytest.mark.slow
    def test_an_unknown_option_is_one_line_and_no_traceback(self, here):
        status, out, err = shell("compare", "before.csv", "after.csv", "--scael", "std", cwd=here)
        assert one_line((status, out.decode(), err), "--scael", "--scale")

    @pytest.mark.slow
    def test_json_is_strict_even_when_colour_is_forced(self, here):
        status, out, err = shell(
            "compare", "before.csv", "after.csv", "--no-joint", "--json", cwd=here, FORCE_COLOR="1"
        )
        assert (status, err) == (0, "") and b"\x1b" not in out
        assert strict(out)["columns"][0]["name"] == "size"

    @pytest.mark.slow
    @pytest.mark.parametrize("option", ["--scale=iqr", "--json"])
    def test_a_reader_that_is_gone_gets_no_complaint(self, here, option):
        reading, writing = os.pipe()
        os.close(reading)
        _, _, err = shell(
            "compare", "before.csv", "after.csv", "--no-joint", option, cwd=here, stdout=writing
        )
        os.close(writing)
        assert err == ""

    @pytest.mark.slow
    def test_names_that_the_terminal_cannot_write_do_not_stop_the_table(self, here):
        (here / "wide.csv").write_text("größe 列\n1\n2\n", encoding="utf-8")
        status, out, err = shell(
            "compare", "wide.csv", "wide.csv", "--no-joint", cwd=here, PYTHONIOENCODING="cp1252"
        )
        assert (status, err) == (0, "") and "größe".encode("cp1252") in out

    @pytest.mark.slow
    def test_an_error_nobody_expected_is_one_line_unless_asked_for(self, here):
        code = "import otdist.cli as c; c.app = lambda *a, **k: {}['key']; c.main([])"
        for variables, lines in (({}, 1), ({"OTDIST_TRACEBACK": "1"}, 4), ({"OTDIST_TRACEBACK": "0"}, 1)):
            done = subprocess.run(
                [sys.executable, "-c", code], env={**os.environ, **variables}, capture_output=True, text=True
            )
            assert done.returncode == 2 and done.stdout == ""
            assert len(done.stderr.splitlines()) >= lines and ("Traceback" in done.stderr) is (lines > 1)
            assert done.stderr.splitlines()[-1].startswith("otdist: unexpected KeyError: 'key'")

    @pytest.mark.slow
    def test_output_that_cannot_be_written_is_one_line(self, here):
        if not Path("/dev/full").exists():
            pytest.skip("there is no /dev/full")
        with open("/dev/full", "w") as full:
            status, _, err = shell("recommend", "300", "2", cwd=here, stdout=full)
        assert status == 2 and err.startswith("otdist: ") and err.count("\n") == 1

    @pytest.mark.slow
    @pytest.mark.parametrize("closed", ["stdout", "stderr"])
    def test_streams_may_be_closed(self, here, closed):
        code = (
            f"import sys; sys.{closed} = None; import otdist.cli; otdist.cli.main(['recommend', '300', '2'])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.slow
    def test_completion_is_installed_where_the_shell_looks(self, tmp_path):
        home = {"HOME": str(tmp_path), "SHELL": "/bin/bash"}
        status, _, err = shell("--install-completion", "--shell", "bash", cwd=tmp_path, **home)
        assert (status, err) == (0, "")
        [script] = tmp_path.rglob("completions/otdist")
        assert "compare" in script.read_text() and "--fail-above" in script.read_text()


class TestUnexpected:
    @pytest.mark.parametrize(
        ("error", "words"),
        [
            (MemoryError(), "out of memory; use fewer rows"),
            (
                UnicodeDecodeError("utf-8", b"gr\xf6", 2, 3, "invalid start byte"),
                "unexpected UnicodeDecodeError",
            ),
            (PermissionError(13, "Permission denied", "/x"), "Permission denied: '/x'"),
            (RecursionError("too deep"), "unexpected RecursionError: too deep; OTDIST_TRACEBACK=1"),
            (RuntimeError("two\nlines"), "two lines"),
            (ValueError(), "unexpected ValueError; "),
            (BrokenPipeError(32, "Broken pipe"), "Broken pipe"),
            (SystemExit("said"), "otdist: said"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_any_error_is_status_two_and_one_line(self, run, monkeypatch, error, words):
        def fail(*rest, **more):
            raise error

        monkeypatch.setattr(cli, "app", fail)
        assert one_line(run("w1"), words)

    def test_an_interrupt_is_130_and_nothing_is_printed(self, run, monkeypatch):
        def stop(*rest, **more):
            raise KeyboardInterrupt

        monkeypatch.setattr(cli, "app", stop)
        assert run("w1") == (130, "", "")

    @pytest.mark.parametrize(("code", "status"), [(None, 0), (3, 3)])
    def test_a_command_may_end_by_itself(self, run, monkeypatch, code, status):
        def stop(*rest, **more):
            raise SystemExit(code)

        monkeypatch.setattr(cli, "app", stop)
        assert run("w1") == (status, "", "")


class TestCompare:
    @pytest.mark.slow
    def test_csv_and_parquet_give_the_same_answer(self, run):
        answers = [
            strict(run("compare", "before.csv", f"after.{e}", "--json")[1]) for e in ("csv", "parquet")
        ]
        assert answers[0].pop("current_name") == "after.csv"
        assert answers[1].pop("current_name") == "after.parquet"
        assert answers[0] == answers[1]

    def test_the_json_is_that_of_the_library(self, run):
        options = (
            "--scale",
            "iqr",
            "--resamples",
            "49",
            "--seed",
            "5",
            "--no-joint",
            "--columns",
            "kind",
            "size",
        )
        status, out, err = run("compare", "before.csv", "after.csv", "--json", *options)
        report = otdist.compare(
            csv.read_csv("before.csv"),
            csv.read_csv("after.csv"),
            columns=["kind", "size"],
            scale="iqr",
            n_resamples=49,
            rng=5,
            joint=False,
        )
        expected = {**report.to_dict(), "reference_name": "before.csv", "current_name": "after.csv"}
        assert (status, err) == (0, "") and strict(out) == strict(json.dumps(expected))

    @pytest.mark.slow
    def test_the_table_is_plain_text_when_it_is_not_on_a_terminal(self, run):
        status, out, err = run("compare", "before.csv", "after.csv")
        assert (status, err) == (0, "") and "\x1b" not in out
        assert out.startswith("before.csv -> after.csv   40 -> 30 rows\n1 of 3 columns moved")
        assert re.search(r"^\* +size  *num\w* ", out, re.MULTILINE) and "joint W1 = " in out

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "order", ["--columns size kind before.csv after.csv", "before.csv --columns size kind after.csv"]
    )
    def test_files_may_follow_an_option_with_several_values(self, run, order):
        last = run("compare", "before.csv", "after.csv", "--json", "--columns", "size", "kind")
        assert last[0] == 0 and [c["name"] for c in strict(last[1])["columns"]] == ["size", "kind"]
        assert run("compare", "--json", *order.split()) == last

    @pytest.mark.slow
    def test_html_is_written_where_it_says_and_json_stays_alone_on_standard_output(self, run, here):
        status, out, err = run("compare", "before.csv", "after.csv", "--json", "--html", "page.html")
        assert status == 0 and strict(out) and err == f"Report: {here / 'page.html'}\n"
        assert "before.csv" in (here / "page.html").read_text()

    @pytest.mark.parametrize("scale", ["std", "iqr", "mad", "range", "none"])
    def test_every_scale_can_be_chosen(self, run, scale):
        out = run("compare", "before.csv", "after.csv", "--scale", scale, "--json", "--no-joint")[1]
        assert strict(out)["scale"] == scale

    @pytest.mark.slow
    def test_thresholds_decide_the_exit_status(self, run):
        tables = ("compare", "before.csv", "after.csv", "--no-joint", "--json")
        read = strict(run(*tables)[1])["columns"]
        worst, least = max(c["scaled"] for c in read), min(c["qvalue"] for c in read)
        # None of 1,000 relabellings: three tests of columns.
        assert worst > 1 and least == 3 / 1000
        assert [c["verdict"] for c in read] == ["moved", "not moved", "not moved"]
        assert run(*tables, "--fail-above", worst * 0.999)[0] == 1
        assert run(*tables, "--fail-above", worst)[0] == 0
        assert run(*tables, "--fail-p", least * 1.001)[0] == 1
        # A threshold below the least q of 999 relabellings makes more of them, and still fails.
        status, out, err = run(*tables, "--fail-p", least)
        size = strict(out)["columns"][0]
        assert status == 1 and size["draws"] > 999 and size["qvalue"] < least
        assert err == f"otdist: FAILED: size: q = {size['qvalue']:.3g} <= {least:g} (--fail-p)\n"
        # One with a q above it does not.
        assert run(*tables, "--fail-p", 0.05, "--columns", "kind", "fixed")[0] == 0
        assert run(*tables, "--fail-above", worst * 2, "--fail-p", 0.05)[0] == 1
        assert run(*tables, "--fail-above", 0, "--columns", "fixed")[0] == 0

    @pytest.mark.slow
    def test_a_threshold_that_cannot_be_passed_is_refused(self, run):
        tables = ("compare", "before.csv", "after.csv", "--no-joint")
        for resamples, limit, bound in (
            (999, 1e-5 / 1.1, "> 9.9999e-06"),
            (9, 0, "> 9.9999e-06"),
            (9, 1e-310, "> 9.9999e-06"),
            (9, -0.1, "> 9.9999e-06"),
            (9, 1.1, "<= 1"),
            (9, 2, "<= 1"),
            (9, "nan", "<= 1"),
        ):
            answer = run(*tables, "--resamples", resamples, "--fail-p", limit)
            assert one_line(answer, "--fail-p: must be", bound, "give 0.05")

    @pytest.mark.slow
    def test_a_threshold_that_few_relabellings_cannot_pass_gets_more_of_them(self, run):
        tables = ("compare", "before.csv", "after.csv", "--no-joint", "--json")
        for resamples in (9, 999, 1500):
            status, out, err = run(*tables, "--fail-p", 0.002, "--resamples", resamples)
            size = strict(out)["columns"][0]
            assert size["draws"] >= 1500 and size["verdict"] == "moved"  # three columns
            assert status == 1 and err.startswith("otdist: FAILED: size: q = ") and err.count("\n") == 1

    @pytest.mark.slow
    def test_a_column_that_cannot_be_decided_fails(self, run):
        tables = ("compare", "before.csv", "after.csv", "--no-joint")
        status, out, err = run(*tables, "--fail-p", 2e-5)  # three columns: q is at least 3 / 100,001
        assert status == 1 and re.search(r"^\? +size ", out, re.MULTILINE)
        assert "1 column could not be decided with 100,000 relabellings: size." in " ".join(out.split())
        assert err == (
            "otdist: FAILED: size: could not be decided with 100,000 relabellings; give more --resamples\n"
        )

    @pytest.mark.slow
    def test_a_column_of_another_kind_is_a_row_and_fails_unless_allowed(self, run):
        tables = ("compare", "before.csv", "words.csv", "--columns", "size")
        status, out, err = run(*tables)
        assert (status, err) == (0, "") and re.search(r"^\* +size \[1\] +num +retyped ", out, re.MULTILINE)
        assert "1 column is of another kind: size (numeric -> categorical)." in " ".join(out.split())
        for rule in (["--fail"], ["--fail-p", 0.01], ["--fail-above", 5], ["--fail-missing", 1]):
            status, _, err = run(*tables, *rule)
            assert status == 1 and err == (
                "otdist: FAILED: size: retyped (numeric -> categorical); --allow retyped lets it pass\n"
            )
            assert run(*tables, *rule, "--allow", "retyped")[::2] == (0, "")
            assert (
                run(*tables, *rule, *(f"--allow={other}" for other in ("gone", "new", "unreadable")))[0] == 1
            )

    def test_an_infinite_distance_passes_every_threshold(self, run):
        assert run("compare", "flat.npy", "endless.npy", "--fail-above", 1000)[0] == 1
        np.save("one.npy", np.ones(5))
        np.save("two.npy", 2 * np.ones(5))
        assert run("compare", "one.npy", "two.npy", "--fail-above", 1000)[0] == 1

    @pytest.mark.slow
    def test_hostile_names_are_shown_and_not_obeyed(self, run):
        csv.write_csv(pa.table({name: [1, 2, 4] for name in HOSTILE}), "hostile.csv")
        status, out, err = run("compare", "hostile.csv", "hostile.csv", "--no-joint")
        assert (status, err) == (0, "")
        assert "[red]x[/red]" in out and r"\x1b[31mred" in out and r"a\nb" in out and r"\u202egnp" in out
        assert all(line.isprintable() for line in out.splitlines())
        names = [
            c["name"] for c in strict(run("compare", "hostile.csv", "hostile.csv", "--json")[1])["columns"]
        ]
        assert names == HOSTILE


class TestW1:
    @pytest.mark.parametrize("files", [("x.npy", "y.npy"), ("both.npz:x", "both.npz:y"), ("x.npy", "y.csv")])
    def test_every_format_gives_the_distance_of_the_library(self, run, files):
        status, out, err = run("w1", *files, "--json")
        assert (status, err) == (0, "")
        assert strict(out) == otdist.w1(np.load("x.npy"), np.load("y.npy")).to_dict()

    def test_order_and_metric_reach_the_solver(self, run):
        x, y = np.load("x.npy"), np.load("y.npy")
        root = strict(run("w1", "x.npy", "y.npy", "--p", "2", "--json")[1])
        assert (root["name"], root["value"]) == ("W2", otdist.wasserstein(x, y, p=2).value)
        city = strict(run("w1", "x.npy", "y.npy", "--metric", "cityblock", "--json")[1])
        assert (city["metric"], city["value"]) == ("cityblock", otdist.w1(x, y, metric="cityblock").value)

    def test_method_and_tolerance_reach_the_solver(self, run):
        out = strict(run("w1", "x.npy", "y.npy", "--method", "sinkhorn", "--tol", "0.05", "--json")[1])
        assert out["method"] == "sinkhorn"
        x, y = np.load("x.npy"), np.load("y.npy")
        assert out["value"] == otdist.w1(x, y, method="sinkhorn", tol=0.05).value

    def test_without_json_it_is_the_line_of_the_result(self, run):
        out = run("w1", "x.npy", "y.npy")[1]
        assert out == f"{otdist.w1(np.load('x.npy'), np.load('y.npy'))}\n"

    def test_missing_rows_are_an_error_or_left_out_and_counted(self, run):
        assert one_line(run("w1", "gap.npy", "flat.npy"), "row 1", "omit")
        out = strict(run("w1", "gap.npy", "flat.npy", "--nan-policy", "omit", "--json")[1])
        assert out["value"] == 1.0 and out["info"]["omitted"] == [1, 0]

    def test_an_infinite_distance_is_printed_and_is_strict_json(self, run):
        assert run("w1", "endless.npy", "flat.npy")[1].startswith("W1 = inf")
        status, out, err = run("w1", "endless.npy", "flat.npy", "--json")
        assert (status, err) == (0, "") and strict(out)["value"] == "inf"

    def test_a_deadline_gives_the_proved_interval_and_says_so_in_one_line(self, run, rng):
        np.save("big.npy", rng.normal(size=(1200, 3)))
        np.save("other.npy", rng.normal(size=(1200, 3)))
        status, out, err = run("w1", "big.npy", "other.npy", "--max-seconds", "0.001", "--json")
        read = strict(out)
        assert status == 0 and not read["converged"] and read["lower"] < read["upper"]
        assert err.startswith("otdist: ") and err.count("\n") == 1 and "max_seconds" in err


MISTAKES = {
    "missing file": ("compare before.csv nowhere.csv", ["nowhere.csv", "no such file"]),
    "unknown ending": ("compare before.csv before.txt", ["before.txt"]),
    "unknown column": ("compare before.csv after.csv --columns size zz", ["'zz'", "'size'"]),
    "no column": ("compare before.csv after.csv --columns", ["column"]),
    "no shared column": ("compare before.csv other.csv", ["shares no column", "'other'"]),
    "no resamples": ("compare before.csv after.csv --resamples 0", ["resamples"]),
    "half a resample": ("compare before.csv after.csv --resamples 1.5", ["1.5"]),
    "negative seed": ("compare before.csv after.csv --seed -1", ["seed"]),
    "threshold nan": ("compare before.csv after.csv --fail-above nan", ["fail-above"]),
    "threshold below zero": ("compare before.csv after.csv --fail-above -1", ["--fail-above"]),
    "share above one": ("compare before.csv after.csv --fail-missing 2", ["--fail-missing", "1"]),
    "allowed without a rule": ("compare before.csv after.csv --allow gone", ["--allow", "--fail"]),
    "allowed what": ("compare before.csv after.csv --fail --allow old", ["old", "retyped"]),
    "period in words": ("compare before.csv after.csv --periodic size=day", ["--periodic", "size=24"]),
    "no period": ("compare before.csv after.csv --periodic size", ["--periodic", "hour=24"]),
    "period of labels": ("compare before.csv after.csv --periodic kind=24", ["periodic", "'kind'"]),
    "units of no column": ("compare before.csv after.csv --units zz=EUR", ["units", "'zz'", "'size'"]),
    "groups of no column": ("compare before.csv after.csv --groups zz", ["groups", "'zz'", "'size'"]),
    "labels as weights": ("compare before.csv after.csv --weights kind", ["weights", "'kind'"]),
    "blocks and groups": ("compare before.csv after.csv --blocks 2 --groups kind", ["blocks", "groups"]),
    "no block": ("compare before.csv after.csv --blocks 0", ["blocks"]),
    "one name": ("compare before.csv after.csv --names a", ["--names"]),
    "wrong scale": ("compare before.csv after.csv --scale foo", ["foo", "--scale", "std", "none"]),
    "unknown option": ("compare before.csv after.csv --scael std", ["--scael"]),
    "one file": ("compare before.csv", ["CURRENT: is missing; usage: otdist compare REFERENCE CURRENT\n"]),
    "columns first": (
        "compare --columns size kind",
        ["REFERENCE: is missing; usage: otdist compare REFERENCE CURRENT; ", "--columns, go last"],
    ),
    "columns before a file that is not there": (
        "compare before.csv --columns size nowhere.csv",
        ["CURRENT: is missing", "--columns, go last"],
    ),
    "one sample": ("w1 x.npy", ["Y: is missing; usage: otdist w1 X Y\n"]),
    "no sample": ("w1", ["X: is missing; usage: otdist w1 X Y\n"]),
    "standard input twice": ("compare - -", ["-: is both files", "from a file"]),
    "p-value above one": ("compare before.csv after.csv --fail-p 2", ["--fail-p", "<= 1, got 2"]),
    "infinite threshold": ("compare before.csv after.csv --fail-above inf", ["--fail-above", "inf"]),
    "option of another": (
        "w1 x.npy y.npy --epsilon 3",
        ["--epsilon: must be an option of otdist", "--tol"],
    ),
    "mistyped option": ("w1 x.npy y.npy --metrik gower", ["did you mean --metric?"]),
    "too many": ("w1 x.npy y.npy extra", ["'extra': must not follow", "usage: otdist w1 X Y"]),
    "no whole number": ("recommend abc 3", ["N: must be a whole number, got 'abc'"]),
    "no value": ("w1 x.npy y.npy --p", ["--p: must be followed by a value"]),
    "twice": ("w1 x.npy y.npy --p 1 --p 2", ["--p: must be given once"]),
    "mistyped command": ("comparee before.csv after.csv", ["did you mean compare?"]),
    "mistyped choice": ("compare before.csv after.csv --scale sdt", ["did you mean std?"]),
    "word for a flag": ("w1 x.npy y.npy --json=maybe", ["--json: must be true or false"]),
    "huge number": (f"compare before.csv after.csv --seed {'9' * 5000}", ["--seed: must be a whole number"]),
    "folder like an option": ("compare parts after.csv", ["otdist: parts: is a folder"]),
    "three files": ("compare before.csv after.csv other.csv", ["other.csv"]),
    "unknown command": ("comparee before.csv after.csv", ["comparee"]),
    "unknown metric": ("w1 x.npy y.npy --metric foo", ["'foo'", "euclidean"]),
    "order below one": ("w1 x.npy y.npy --p 0.5", ["p: ", "0.5"]),
    "order in words": ("w1 x.npy y.npy --p two", ["two", "--p"]),
    "other dimension": ("w1 x.npy three.npy", ["2 columns", "got 3"]),
    "words": ("w1 words.csv words.csv", ["'size'"]),
    "several arrays": ("w1 both.npz x.npy", ["both.npz:x"]),
    "words leave a way out": ("w1 words.csv words.csv", ["or use otdist compare", "--columns"]),
    "a gap leaves a way out": ("w1 gap.npy flat.npy", ["--nan-policy omit"]),
    "a metric that has another name": ("w1 x.npy y.npy --metric haversine", ["--metric great_circle:"]),
    "too large": ("recommend 1000000 3 --max-bytes 1 --metric gower", ["raise --max-bytes"]),
    "no time": ("w1 x.npy y.npy --max-seconds 0", ["--max-seconds", "0"]),
    "no method": ("w1 x.npy y.npy --method magic", ["--method", "'magic'", "sinkhorn"]),
    "no tolerance": ("w1 x.npy y.npy --tol -1", ["--tol", "-1"]),
    "control characters": ("w1 \x1b[31mred\rline.csv x.npy", ["no such file"]),
}


class TestErrors:
    @pytest.mark.parametrize(("arguments", "words"), MISTAKES.values(), ids=MISTAKES)
    def test_a_mistake_is_status_two_and_one_line(self, run, arguments, words):
        assert one_line(run(*arguments.split(" ")), *words)

    def test_a_report_that_cannot_be_written_is_an_error_before_anything_is_printed(self, run, here):
        for place in (here / "nowhere" / "page.html", here):
            assert one_line(run("compare", "before.csv", "after.csv", "--html", place), str(here))

    @pytest.mark.slow
    def test_help_names_every_command_and_option_and_is_status_zero(self, run):
        assert run() == run("--help")
        status, out, err = run("--help")
        assert (status, err) == (0, "") and all(name in out for name in ("demo", "compare", "w1"))
        out = run("compare", "--help")[1]
        for option in (
            "columns",
            "scale",
            "joint",
            "resamples",
            "seed",
            "json",
            "html",
            "fail-above",
            "fail-p",
            "fail",
            "fail-missing",
            "allow",
            "groups",
            "blocks",
            "weights",
            "periodic",
            "units",
            "names",
            "every",
        ):
            assert f"--{option} " in out

    @pytest.mark.slow
    def test_commands_come_in_the_order_of_need_with_examples(self, run, monkeypatch):
        monkeypatch.setenv("COLUMNS", "60")
        out = run("--help")[1]
        names = re.findall(r"^│ (\w+) ", out, re.MULTILINE)
        assert names[:7] == ["compare", "w1", "recommend", "bench", "train", "demo", "warmup"]
        assert "--install-completion" in out and "Examples:" in out
        assert all(len(line) <= 60 for line in out.splitlines())
        for name in names:
            text = " ".join(run(name, "--help")[1].split())
            assert text.count(f"otdist {name}") >= 2  # the usage, and an example

    def test_every_example_of_the_help_is_understood(self):
        from otdist.cli.guide import COMMAND_EXAMPLES, FIRST_EXAMPLES

        for line in (*FIRST_EXAMPLES, *(line for lines in COMMAND_EXAMPLES.values() for line in lines)):
            cli.app.parse_args(line.split()[1:], exit_on_error=False, print_error=False)

    def test_a_default_name_replaces_no_file(self, here):
        from otdist.cli.shell import find_unused_name

        assert find_unused_name("report.html") == Path("report.html")
        Path("report.html").write_text("mine")
        assert find_unused_name("report.html") == Path("report-2.html")
        Path("report-2.html").symlink_to("nowhere")
        assert find_unused_name("report.html") == Path("report-3.html")

    def test_version_is_that_of_the_package(self, run, monkeypatch):
        monkeypatch.setattr(metadata, "version", lambda name: {"otdist": "1.2.3"}[name])
        assert run("--version") == (0, "1.2.3\n", "")

    def test_version_of_a_checkout_that_is_not_installed_is_no_traceback(self, run, monkeypatch):
        def not_installed(name):
            raise metadata.PackageNotFoundError(name)

        monkeypatch.setattr(metadata, "version", not_installed)
        status, out, err = run("--version")
        assert status in (0, 2) and len((out + err).splitlines()) == 1

    def test_an_interrupt_ends_the_process_at_once(self, run):
        run("--help")
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
