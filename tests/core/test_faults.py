"""Killed processes, full disks, folders that cannot be written, forks, and long runs."""

from __future__ import annotations

import multiprocessing
import pathlib
import resource
import signal
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
PRELUDE = """
    import sys, json, pathlib, numpy as np, otdist
    folder = pathlib.Path(sys.argv[1])
    rng = np.random.default_rng(0)
"""
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


def child(name, action, folder, **options):
    """Start a process that makes something, and then acts on ``write`` and ``read``."""
    code = textwrap.dedent(PRELUDE) + textwrap.dedent(WRITERS[name]) + textwrap.dedent(action)
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def require_torch(name):
    if name in ("critic", "run"):
        pytest.importorskip("torch")


@pytest.mark.parametrize("name", WRITERS)
def test_a_killed_writer_leaves_a_whole_file(name, tmp_path):
    require_torch(name)
    # The writers are forks of one process, which has imported and trained what they write.
    action = """
        import os, signal, time, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, in Python 3.12
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
        print("whole")
    """
    process = child(name, action, tmp_path)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0 and output.strip() == "whole", errors


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_an_error_and_leaves_the_old_file(name, tmp_path):
    require_torch(name)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then a write beyond the limit fails with EFBIG

    action = """
        import resource
        write()
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write()
        except otdist.InputError:
            read()
            left = [p.name for p in folder.rglob("*") if "part" in p.name or p.name.endswith("tmp")]
            assert not left, left
            print("refused")
    """
    process = child(name, action, tmp_path, preexec_fn=limit)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0 and output.strip() == "refused", errors


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_that_cannot_be_written_is_named(name):
    require_torch(name)
    folder = pathlib.Path(tempfile.mkdtemp())  # pytest's own folders are closed to other users
    folder.chmod(0o555)
    action = """
        import os, tempfile
        there, folder = folder, pathlib.Path(tempfile.mkdtemp())
        write()  # loads all that is loaded when it is needed
        folder = there
        if os.getuid() == 0:  # root may write anywhere
            os.setegid(65534)
            os.seteuid(65534)
        try:
            write()
        except otdist.InputError as error:
            assert str(folder) in str(error), error
            print("refused")
    """
    process = child(name, action, folder)
    output, errors = process.communicate(timeout=120)
    folder.rmdir()
    assert process.returncode == 0 and output.strip() == "refused", errors


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


@pytest.mark.alone
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
