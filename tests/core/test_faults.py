"""Killed processes, full disks, folders that cannot be written, forks, and long runs."""

from __future__ import annotations

import ast
import multiprocessing
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import textwrap
import warnings

import numpy as np
import pytest

import otdist

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")]

# Each writes one kind of file into a folder, reads it back, and loses nothing that was there before.
WRITERS = {
    "report": """
        a, b = {"x": rng.normal(size=200)}, {"x": rng.normal(size=200)}
        made = otdist.compare(a, b, joint=False, n_resamples=19, rng=0)
        write = lambda: made.report(folder / "report.html")
        def read():
            text = (folder / "report.html").read_text()
            assert text.rstrip().endswith("</html>")
    """,
    "bench": """
        from otdist.bench.table import Runs
        row = {"question": "a", "method": "b", "budget": 1.0, "seed": 0, "status": "ok", "value": 1.0,
               "lower": 1.0, "upper": 1.0, "seconds": 1.0}
        made = Runs([row | {"seed": k} for k in range(2000)])
        write = lambda: made.save(folder / "runs.json")
        read = lambda: Runs.load(folder / "runs.json")
    """,
    "critic": """
        from otdist.learn import Critic
        x = rng.normal(size=(400, 64))
        made = Critic(family="anchors", anchors=2048, steps=2, device="cpu").fit(x[:200], x[200:])
        write = lambda: made.save(folder / "critic")
        read = lambda: Critic.load(folder / "critic", device="cpu")
    """,
    "run": """
        from otdist.learn import WGAN, fit_wgan
        made = fit_wgan(rng.normal(size=(80, 2)), steps=2, width=256)
        write = lambda: made.save(folder / "run")
        read = lambda: WGAN.load(folder / "run")
    """,
}


# Each acts on ``write`` and ``read`` in a fork of a process that has imported and trained what it writes.
ACTIONS = {
    "killed": """
        import time
        write()
        for delay in (0.0, 0.004, 0.02, 0.05, 0.11, 0.23):
            writer = os.fork()
            if not writer:
                while True:
                    write()
            time.sleep(delay)
            assert os.waitpid(writer, os.WNOHANG) == (0, 0), "the writer has ended"
            os.kill(writer, signal.SIGKILL)
            assert os.waitpid(writer, 0)[1] == signal.SIGKILL
            read()
    """,
    "full disk": """
        import resource
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then a write beyond the limit fails with EFBIG
        write()
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write()
            raise AssertionError("nothing was refused")
        except otdist.InputError:
            read()
            left = [p.name for p in folder.rglob("*") if "part" in p.name or p.name.endswith("tmp")]
            assert not left, left
    """,
    "closed folder": """
        write()  # loads all that is loaded when it is needed
        folder = closed
        if os.getuid() == 0:  # root may write anywhere
            os.setegid(65534)
            os.seteuid(65534)
        try:
            write()
            raise AssertionError("nothing was refused")
        except otdist.InputError as error:
            assert str(closed) in str(error), error
    """,
}
PRELUDE = """
    import os, pathlib, signal, sys, traceback, warnings
    import numpy as np, otdist
    warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, in Python 3.12
    folder, closed = map(pathlib.Path, sys.argv[1:])
    rng = np.random.default_rng(0)
"""


def forked(name, code):
    """Code that runs other code in a fork, and prints its name with "done" or the error."""
    body = textwrap.indent(textwrap.dedent(code), "        ")
    return f"""
child = os.fork()
if not child:
    try:
        folder = folder / {name!r}
        folder.mkdir()
{body}
        said = "done"
    except BaseException:
        said = traceback.format_exc()
    sys.stdout.write(repr(({name!r}, said)) + "\\n")
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_survives_kills_full_disks_and_closed_folders(name, tmp_path):
    if name in ("critic", "run"):
        pytest.importorskip("torch")
    closed = pathlib.Path(tempfile.mkdtemp())  # pytest's own folders are closed to other users
    closed.chmod(0o555)
    code = textwrap.dedent(PRELUDE) + textwrap.dedent(WRITERS[name])
    code += "".join(forked(action, body) for action, body in ACTIONS.items())
    process = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(closed)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        env=os.environ | {"OMP_NUM_THREADS": "1"},  # a fork has none of its parent's threads of torch
    )
    closed.rmdir()
    assert process.returncode == 0, process.stderr
    said = dict(map(ast.literal_eval, process.stdout.splitlines()))
    assert said == dict.fromkeys(ACTIONS, "done"), said


def _solve(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(300, 3)), rng.normal(size=(250, 3))
    sparse = otdist.w1(x, y, method="sparse").value
    return sparse, otdist.w1(x, y, method="dense").value, otdist.wasserstein_1d(x[:, 0], y[:, 0])


def test_a_fork_after_use_answers_as_its_parent():
    expected = _solve(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of forks of threaded processes
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(_solve, [0, 0, 0]) == [expected] * 3


def test_joblib_workers_answer_as_their_parent():
    from joblib import Parallel, delayed

    assert Parallel(n_jobs=2, backend="loky")(delayed(_solve)(0) for _ in range(2)) == [_solve(0)] * 2


def _mixed_call(rng, k):
    x, y = rng.normal(size=(12, 2)), rng.normal(size=(9, 2))
    calls = [
        lambda: otdist.w1(x, y).plan,
        lambda: otdist.w1(x[:, 0], y[:, 0]).potentials,
        lambda: otdist.wasserstein(x, y, p=3).critic if k < 0 else otdist.wasserstein(x, y, p=3),
        lambda: otdist.emd(np.abs(x[:, :1] - y[:, 0])),
        lambda: otdist.w1(x, y, metric=otdist.metrics.periodic([1.0, None])),
        lambda: otdist.wasserstein_1d(x.T, y.T),
        lambda: otdist.sliced_w1(x, y, n_projections=5, rng=0),
        lambda: otdist.partial_w1(x, y, np.ones(12), np.ones(9), moved=4.0),
        lambda: otdist.w1(x, y, method="sparse"),
        lambda: otdist.stats.permutation_test(x[:, 0], y[:, 0], n_resamples=9, rng=0),
    ]
    calls[k % len(calls)]()
    with pytest.raises(otdist.InputError):
        otdist.w1(x, np.full((3, 2), np.nan))


def test_memory_stays_flat_over_ten_thousand_calls(rng):
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    for k in range(2000):
        _mixed_call(rng, k)
    before = resident()
    for k in range(8000):
        _mixed_call(rng, k)
    assert resident() - before < 32e6
