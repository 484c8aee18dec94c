"""Signs of life: lines where there is no terminal, and a word on compiling."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest

import otdist
from otdist.runtime import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(progress, "_state", {"shown": 0, "announced": 0})
    monkeypatch.delenv("FORCE_COLOR", raising=False)


class TestLines:
    def test_a_log_gets_a_line_at_the_start_and_then_few(self, capsys, monkeypatch):
        clock = iter([0.0, 1.0, 6.0, 6.0, 7.0, 12.0, 12.0])
        monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
        with progress.display_progress(True, "long work") as tell:
            for news in ("early", "some", "soon after", "more"):
                tell(news)
        out, err = capsys.readouterr()
        assert out == ""
        assert err.splitlines() == [
            "otdist: long work",
            "otdist: long work: some",
            "otdist: long work: more",
        ]

    def test_nothing_is_shown_unasked(self, capsys):
        with progress.display_progress(False, "long work") as tell:
            tell("news")
        assert capsys.readouterr() == ("", "")

    def test_a_notebook_without_widgets_gets_lines_and_no_warning(self, capsys, monkeypatch):
        rich = pytest.importorskip("rich.console")
        monkeypatch.setattr(rich, "_is_jupyter", lambda: True)
        monkeypatch.setitem(sys.modules, "ipywidgets", None)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            otdist.w1(*np.random.default_rng(0).normal(size=(2, 20, 2)), progress=True)
        out, err = capsys.readouterr()
        assert out == "" and err == "otdist: network simplex on 20 x 20 points\n"

    def test_items_are_counted(self, capsys, monkeypatch):
        monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
        assert list(progress.track(iter("ab"), True, "columns")) == ["a", "b"]
        err = capsys.readouterr().err.splitlines()
        assert err == ["otdist: columns", "otdist: columns: 0 of 2", "otdist: columns: 1 of 2"]
        assert list(progress.track("ab", False, "columns")) == ["a", "b"]
        assert capsys.readouterr().err == ""

    def test_a_closed_stream_stops_nothing(self, monkeypatch):
        stream = io.StringIO()
        stream.close()
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(progress, "_console", lambda: types.SimpleNamespace(is_terminal=False))
        with progress.display_progress(True, "long work") as tell:
            tell("news")


class TestCompiling:
    def test_it_is_said_once_to_whoever_watches(self, monkeypatch):
        screen = Terminal()
        monkeypatch.setattr(sys, "stderr", screen)
        progress.announce_compiling()
        progress.announce_compiling()
        assert screen.getvalue().count("compiling for this machine, once (about 15 s") == 1

    def test_a_log_hears_of_it_where_progress_is_asked_for(self, capsys):
        progress.announce_compiling()
        assert capsys.readouterr().err == ""
        with progress.display_progress(True, "long work"):
            progress.announce_compiling()
        assert "compiling for this machine" in capsys.readouterr().err

    def test_no_stream_is_no_error(self, monkeypatch):
        monkeypatch.setattr(sys, "stderr", None)
        progress.announce_compiling()

    @pytest.mark.slow
    def test_only_what_is_not_on_disk_counts_as_compiled(self, tmp_path, monkeypatch):
        code = """
import numpy as np

from otdist.solvers.pairs.compiled import jit as compile_it, COMPILED_FUNCTIONS

def twice(x):
    return 2 * x

made = compile_it(twice)
made(1.0), made(2.0)
print(COMPILED_FUNCTIONS)
"""
        (tmp_path / "small.py").write_text(code)
        environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        said = [run(tmp_path / "small.py", environment) for _ in range(2)]
        assert said == ["['twice']", "[]"]


def run(script, environment):
    import os

    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_after_warming_up_no_call_compiles(tmp_path):
    script = tmp_path / "warm.py"
    script.write_text(
        """
import numpy as np, otdist
from numba.core.caching import Cache
from otdist.api.warmup import compile_solvers

used, load = [], Cache.load_overload

def record(self, signature, context):
    used.append(self._py_func.__qualname__ + str(signature))
    return load(self, signature, context)

Cache.load_overload = record  # called once for each function and each type of its arguments
compiled, _, _ = compile_solvers()
assert len(used) > 20 and 0 <= compiled <= len(used), (len(used), compiled)
used.clear()
rng = np.random.default_rng(1)
for d in (2, 3, 16):
    x, y = rng.normal(size=(2, 1200, d))
    otdist.w1(x, y)
    otdist.w1(x, y[:900], rng.random(1200), method="sparse")
    otdist.w1(x, y, tol=0.01)
    otdist.w1(x, y, method="sinkhorn")
    otdist.sinkhorn_divergence(x[:500], y[:400])
    otdist.unbalanced_w1(x[:300], y[:200], np.ones(300), np.ones(200), reach=1.0, penalty="kl")
otdist.emd(rng.random((1100, 1200)))
print(used)
"""
    )
    assert run(script, {}) == "[]"


def test_warmup_says_what_it_did(capsys, monkeypatch):
    from otdist import cli
    from otdist.api import warmup

    for count, said in ((3, "Compiled 3 functions"), (0, "Ready: ")):
        monkeypatch.setattr(warmup, "compile_solvers", lambda count=count, **_: (count, 1.0, Path("folder")))
        with contextlib.suppress(SystemExit):
            cli.main(["warmup"])
        assert capsys.readouterr().out.startswith(said)
