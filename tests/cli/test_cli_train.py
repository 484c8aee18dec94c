"""``otdist train``: what it writes, prints and returns, and one line for each thing that can go wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib import resources

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet
from shell import one_line, strict

from otdist import cli
from otdist.learn import WGAN, fit_wgan
from otdist.learn.wgan.state import State

OPTIONS = {"width": 16, "batch_size": 16, "check_every": 5, "check_points": 16, "latent": 4}
SMALL = ["--set", *(f"{name}={value}" for name, value in OPTIONS.items())]
BILLS = ["--columns", "bill_length_mm", "bill_depth_mm"]
PENGUINS = str(resources.files("otdist") / "data" / "penguins.csv")


@pytest.fixture
def here(tmp_path, monkeypatch, rng):
    """A folder with data, as the working directory."""
    monkeypatch.chdir(tmp_path)
    points = rng.normal(size=(80, 2))
    table = pa.table({"u": points[:, 0], "v": 1000 * points[:, 1], "kind": ["a", "b"] * 40})
    np.save("points.npy", points)
    np.savez("both.npz", images=rng.uniform(size=(60, 6, 6)), other=points)
    csv.write_csv(table, "table.csv")
    parquet.write_table(table.drop_columns(["kind"]), "table.parquet")
    points[7, 0] = np.nan
    np.save("gap.npy", points)
    np.save("labels.npy", np.arange(80))
    return tmp_path


@pytest.fixture
def run(here, capsys):
    """Run the command in this process: (exit status, output, error output)."""
    handler = signal.getsignal(signal.SIGINT)

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main(["train", *map(str, arguments)])
        out, err = capsys.readouterr()
        return stop.value.code, out, err

    yield call
    signal.signal(signal.SIGINT, handler)


@pytest.mark.slow
def test_it_is_the_run_of_the_library(run, here):
    status, out, err = run("points.npy", "--steps", 10, "--seed", 3, "--out", "run", *SMALL)
    assert (status, err) == (0, "")
    expected = fit_wgan(np.load("points.npy"), steps=10, seed=3, **OPTIONS)
    assert np.array_equal(WGAN.load("run").sample(20), expected.sample(20))
    assert out.splitlines()[1:4] == str(expected).splitlines()[1:4] and out.endswith(f"Run: {here / 'run'}\n")


def test_penguins_with_gaps_and_labels_are_learned_once_columns_are_named(run):
    status, out, err = run(PENGUINS, *BILLS, "--nan-policy", "omit", "--steps", 5, *SMALL)
    assert (status, err) == (0, "otdist: 2 of 344 rows have missing values and are left out\n")
    assert out.startswith("WGAN of a table of 2 columns, 5 steps in ") and "W1 in [" in out


def test_labels_and_gaps_are_learned_and_keep_their_types(run, here):
    status, out, err = run(PENGUINS, "--steps", 5, "--out", "run", "--sample", 300, "--y", "species", *SMALL)
    assert (status, err) == (0, "")
    assert out.startswith("WGAN of a table of 8 columns, in 3 classes, 5 steps in ")
    real, fake = csv.read_csv(PENGUINS), csv.read_csv(here / "run" / "samples.csv")
    assert fake.column_names == real.column_names
    assert set(fake["species"].to_pylist()) == {"Adelie", "Gentoo", "Chinstrap"}
    assert set(fake["sex"].to_pylist()) <= {"male", "female", "", None}
    assert {str(fake[name].type) for name in ("flipper_length_mm", "body_mass_g", "year")} == {"int64"}


@pytest.mark.parametrize(
    ("data", "more", "name"),
    [
        ("points.npy", (), "samples.npy"),
        ("both.npz:images", (), "samples.npy"),
        ("table.csv", ("--columns", "v", "u"), "samples.csv"),
        ("table.parquet", (), "samples.parquet"),
    ],
)
def test_samples_come_in_the_kind_of_file_that_the_data_came_in(run, here, data, more, name):
    status, out, err = run(data, "--steps", 5, "--out", "run", "--sample", 7, *more, *SMALL)
    assert (status, err) == (0, "") and f"Samples: {here / 'run' / name}\n" in out
    samples = WGAN.load("run").sample(7)
    if name.endswith("npy"):
        assert np.array_equal(np.load(here / "run" / name), samples)
        return
    table = (parquet.read_table if name.endswith("parquet") else csv.read_csv)(here / "run" / name)
    assert table.column_names == (["v", "u"] if more else ["u", "v"])
    assert np.allclose(np.column_stack([table[k] for k in table.column_names]), samples, rtol=1e-12)


@pytest.mark.slow
def test_the_json_is_strict_and_whole_and_the_page_is_written(run, here):
    arguments = ("--steps", 5, "--json", "--html", "page.html", "--out", "run", *SMALL)
    status, out, err = run("points.npy", *arguments)
    record = strict(out)
    assert (status, err) == (0, "")
    assert record["check"] == json.loads((here / "run" / "log.jsonl").read_text().splitlines()[-1])
    assert record["files"] == {"run": str(here / "run"), "report": str(here / "page.html")}
    assert record["card"]["settings"]["batch_size"] == 16 and not record["interrupted"]
    assert (here / "page.html").read_text().rstrip().endswith("</html>")


@pytest.mark.slow
def test_resume_goes_on_where_the_run_was(run):
    assert run("points.npy", "--steps", 5, "--out", "run", *SMALL)[0] == 0
    assert run("points.npy", "--steps", 10, "--out", "run", "--resume")[0] == 0
    assert WGAN.load("run").steps == 10


def test_settings_are_numbers_words_or_nothing(run):
    more = ("penalty=0.5", "constraint=lp", "stop=false", "width=none", "critic_rate=2e-3")
    status, out, err = run("points.npy", "--steps", 3, "--json", *SMALL, *more)
    settings = strict(out)["card"]["settings"]
    assert (status, err) == (0, "")
    assert (settings["penalty"], settings["constraint"], settings["stop"]) == (0.5, "lp", False)
    assert (settings["width"], settings["critic_rate"]) == (None, 2e-3)


@pytest.mark.slow
def test_the_first_ctrl_c_saves_and_is_status_130(run, here, monkeypatch):
    plain = State.generator_step

    def stepping(state):
        if state.step == 7:
            os.kill(os.getpid(), signal.SIGINT)
        return plain(state)

    monkeypatch.setattr(State, "generator_step", stepping)
    status, out, err = run("points.npy", "--steps", 15, "--out", "run", "--html", "page.html", *SMALL)
    assert (status, err) == (130, "otdist: interrupted at step 8\n")
    assert "interrupted at step 8" in out and WGAN.load("run").steps == 8
    assert "interrupted at step 8" in (here / "page.html").read_text()
    monkeypatch.setattr(State, "generator_step", plain)
    assert run("points.npy", "--out", "run", "--resume")[0] == 0
    whole = fit_wgan(np.load("points.npy"), steps=15, **OPTIONS)
    assert np.array_equal(WGAN.load("run").sample(20), whole.sample(20))


def test_a_second_ctrl_c_does_not_wait(run, monkeypatch):
    def stepping(state):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        raise AssertionError("was not stopped")

    monkeypatch.setattr(State, "generator_step", stepping)
    status, out, err = run("points.npy", "--steps", 50, "--out", "run", *SMALL)
    assert (status, out) == (130, "") and "run holds the run as of its last check" in err
    assert WGAN.load("run").steps == 0


@pytest.mark.alone
def test_a_process_that_is_interrupted_saves_and_exits(here):
    command = [sys.executable, "-m", "otdist", "train", "points.npy", "--out", "run", *SMALL]
    with subprocess.Popen([*command, "--steps", "1000000"], stderr=subprocess.PIPE, text=True) as process:
        log = here / "run" / "log.jsonl"
        until = time.monotonic() + 240
        while time.monotonic() < until and not (log.exists() and log.read_text()):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and err.startswith("otdist: interrupted at step ")
    assert WGAN.load("run").steps >= 5 and WGAN.load("run").interrupted


def test_without_torch_it_says_how_to_install_it(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "otdist.learn", None)
    assert one_line(run("points.npy"), "needs torch", 'pip install "otdist[torch]"')


MISTAKES = {
    "no such file": ("nowhere.npy", ["nowhere.npy", "no such file"]),
    "labels": ("labels.npy", ["labels.npy", "labels"]),
    "a gap": ("gap.npy", ["gap.npy", "row 7", "--nan-policy omit"]),
    "a gap in a table": (f"{PENGUINS} --nan-policy raise", ["row 3", "--nan-policy omit"]),
    "classes of a column that is not there": ("table.csv --y sort", ["--y", "'sort'", "'kind'"]),
    "labels of a column that is not there": ("table.csv --categorical sort", ["--categorical", "'sort'"]),
    "no such column": ("table.csv --columns u w", ["--columns", "'w'", "'kind'"]),
    "columns of an array": ("points.npy --columns u", ["--columns", "table"]),
    "no value": ("points.npy --set width", ["--set", "'width'", "NAME=VALUE"]),
    "no such setting": ("points.npy --set widht=3", ["--set widht", "width"]),
    "a value of no use": ("points.npy --set n_critic=0", ["--set n_critic", "0"]),
    "a word for a number": ("points.npy --set width=wide", ["--set width", "'wide'"]),
    "no steps": ("points.npy --steps 0", ["--steps", "0"]),
    "half a step": ("points.npy --steps 1.5", ["1.5"]),
    "no time": ("points.npy --max-seconds 0", ["--max-seconds", "0"]),
    "no device": ("points.npy --device here", ["--device", "'here'"]),
    "samples for nowhere": ("points.npy --sample 5", ["--sample", "--out"]),
    "no samples": ("points.npy --sample 0 --out run", ["--sample", "0"]),
    "resume of nothing": ("points.npy --resume", ["--resume", "--out"]),
    "resume where nothing is": ("points.npy --resume --out empty", ["--out", "wgan.safetensors"]),
    "a page in no folder": ("points.npy --html nowhere/page.html", ["--html", "nowhere"]),
    "a negative seed": ("points.npy --seed -1", ["--seed", "-1"]),
}


@pytest.mark.parametrize(("arguments", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_status_two_and_one_line(run, here, arguments, words):
    assert one_line(run(*arguments.split(" ")), *words)
    assert not list(here.glob("run*"))


def test_a_run_that_is_there_is_not_overwritten(run, here):
    assert run("points.npy", "--steps", 5, "--out", "run", *SMALL)[0] == 0
    before = (here / "run" / "wgan.safetensors").read_bytes()
    assert one_line(run("points.npy", "--steps", 5, "--out", "run", *SMALL), "--out", "--resume")
    assert one_line(run("table.parquet", "--out", "run", "--resume"), "table.parquet", "another folder")
    assert (here / "run" / "wgan.safetensors").read_bytes() == before
