"""First calls while other threads import what the calls look for."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
import types

import numpy as np
import pytest

import otdist
from otdist.inputs.arrays import is_torch
from otdist.runtime.imports import wait_for_imports


class TestHalfImported:
    @pytest.mark.parametrize("listed", [types.ModuleType("torch"), None], ids=["empty", "blocked"])
    def test_torch_without_its_classes_has_no_tensors(self, monkeypatch, listed):
        monkeypatch.setitem(sys.modules, "torch", listed)
        assert not is_torch(np.zeros(3))
        assert otdist.wasserstein_1d(np.arange(3.0), np.arange(3.0) + 1) == 1
        assert otdist.w1([0.0, 1.0], [2.0, 3.0]).value == 2

    @pytest.mark.slow
    def test_tables_wait_until_their_package_is_there(self, monkeypatch, tmp_path):
        (tmp_path / "slow_tables.py").write_text("import time\ntime.sleep(0.3)\nTable = list\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        importing = threading.Thread(target=importlib.import_module, args=("slow_tables",))
        importing.start()
        while "slow_tables" not in sys.modules:
            pass
        module = sys.modules["slow_tables"]
        assert not hasattr(module, "Table")  # or the import was over before it was looked for
        wait_for_imports(["no_such_package", "slow_tables"])
        assert module.Table is list
        importing.join()
        monkeypatch.delitem(sys.modules, "slow_tables")

    def test_nothing_is_imported_that_was_not_begun(self):
        wait_for_imports(["antigravity", "numpy"])
        assert "antigravity" not in sys.modules


POOL = """
import sys, threading, time
import numpy as np, otdist

rng = np.random.default_rng(0)
x, y = rng.normal(size=(2, 30, 2))
start, failed, done = threading.Event(), [], []


def thread(call):
    def work():
        start.wait()
        try:
            done.append(call())
        except BaseException as error:
            failed.append(repr(error))

    return threading.Thread(target=work)


def line():
    while importing.is_alive():
        otdist.wasserstein_1d(x[:, 0], y[:, 0])
        otdist.w1(range(3), [1, 2, 3])  # a container that is looked up among the tables
        time.sleep(1e-3)  # or an import, which gives the lock away at each file, gets it back late


calls = [
    line,
    lambda: otdist.w1(x, y, method="dense").value,
    lambda: otdist.stats.permutation_test(x, y, n_resamples=9, rng=0).pvalue,
    lambda: otdist.compare({"a": x[:, 0]}, {"a": y[:, 0]}, joint=False, n_resamples=9),
    lambda: otdist.sliced_w1(x, y, rng=0).value,
]
importing = threading.Thread(target=lambda: (start.wait(), __import__("MODULE")))
threads = [thread(call) for call in calls for _ in range(2)]
for each in (importing, *threads):
    each.start()
start.set()
for each in (importing, *threads):
    each.join()
assert "MODULE" in sys.modules
print(len(done), *failed, sep="\\n")
"""


@pytest.mark.slow
@pytest.mark.parametrize("module", ["torch", "pandas", "polars", "ot"])
def test_cold_calls_on_many_threads_while_another_imports(module):
    pytest.importorskip(module)
    code = POOL.replace("MODULE", module)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "10\n"


SLOW_STUB = """
import sys, threading, time, types
import numpy, scipy.spatial.distance, otdist
from otdist.solvers.linear import pot

class Stub(types.ModuleType):  # the compiled module stays incomplete while it asks for this
    def __getattr__(self, name):
        if name == "dist":
            entered.set()
            time.sleep(0.3)
            return print
        raise AttributeError(name)

entered, failed = threading.Event(), []
sys.modules[pot.__name__ + ".utils"] = Stub("utils")

def import_pot():
    entered.wait()
    try:
        from ot.lp.emd_wrap import emd_c
        import ot
        assert ot.lp.emd_wrap.emd_c is emd_c is pot.load_solver().emd_c
    except BaseException as error:
        failed.append(repr(error))

thread = threading.Thread(target=import_pot)
thread.start()
pot.load_solver()
assert entered.is_set()
thread.join()
print(failed)
"""


@pytest.mark.slow
def test_pot_waits_for_its_solver():
    pytest.importorskip("ot")
    done = subprocess.run([sys.executable, "-c", SLOW_STUB], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
