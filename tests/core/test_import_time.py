"""What ``import otdist`` loads, and what a first call adds: nothing that the answer does not need."""

from __future__ import annotations

import operator
import re
import subprocess
import sys
from pathlib import Path

import pytest

import otdist

LISTED = "; import sys; print(*sorted(sys.modules))"
HEAVY = {
    "torch",
    "matplotlib",
    "numba",
    "pandas",
    "polars",
    "ot",
    "sklearn",
    "joblib",
    "jax",
    "highspy",
    "IPython",
}


def loaded(code):
    """Modules in a fresh process after the code has run."""
    done = subprocess.run([sys.executable, "-c", code + LISTED], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def packages(code):
    """Packages among them, without the hooks of environments and of compiled code."""
    names = {name.split(".")[0] for name in loaded(code)} - set(sys.stdlib_module_names)
    return {name for name in names if not name.startswith("_") and name not in {"cython_runtime", "coverage"}}


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        "import otdist",
        "import otdist; otdist.w1([0.0, 1.0], [2.0])",
        "import otdist; otdist.wasserstein_1d([[0.0, 1.0]], [[2.0]])",
        "import otdist; otdist.stats.permutation_test([0.0, 1.0, 2.0], [3.0, 4.0], n_resamples=9)",
    ],
)
def test_the_line_needs_nothing_but_numpy(code):
    assert packages(code) == {"numpy", "otdist"}


@pytest.mark.slow
def test_the_command_line_adds_its_parser_alone():
    assert packages("import otdist.cli") == {"numpy", "otdist", "cyclopts", "attr", "attrs"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "needed"),
    [
        ("import otdist; otdist.compare({'a': [1, 2]}, {'a': [1, 3]}, joint=False, n_resamples=9)", set()),
        ("import otdist; otdist.w1([[0.0, 1.0], [2.0, 0.0]], [[1.0, 1.0], [3.0, 2.0]])", set()),
        ("import otdist; otdist.emd([[0.0, 1.0], [1.0, 0.0]])", set()),
        ("import otdist.bench.problems", set()),
        ("import otdist.learn", {"torch"}),
    ],
)
def test_nothing_heavy_is_loaded_that_is_not_needed(code, needed):
    for package in needed:
        pytest.importorskip(package)
    assert packages(code) & HEAVY == needed


@pytest.mark.slow
def test_importing_loads_no_part_of_numpy_that_is_slow():
    assert not {"numpy.testing", "numpy.f2py", "numpy.distutils"} & loaded("import otdist")


SHARED = """
import numpy as np
{first}
cost = np.array([[0.0, 3.0], [3.0, 1.0]])
assert otdist.emd(cost).value == 0.5
import ot, ot.lp
assert ot.emd2([], [], cost) == 0.5
assert ot.lp.emd_wrap.emd_c is otdist.solvers.linear.pot.load_solver().emd_c
assert (ot.lp.emd_wrap.dist(cost, metric="euclidean") == ot.dist(cost, metric="euclidean")).all()
assert otdist.emd(cost).value == 0.5
"""


@pytest.mark.slow
@pytest.mark.parametrize("first", ["import otdist", "import ot, otdist"])
def test_the_solver_of_pot_is_shared_with_its_package(first):
    pytest.importorskip("ot")
    subprocess.run([sys.executable, "-c", SHARED.format(first=first)], check=True)


BLOCKED = """
import sys
from importlib.abc import MetaPathFinder

class Refuse(MetaPathFinder):
    def find_spec(self, name, *rest):
        if name.split(".")[0] in ("torch", "torchmetrics"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
import otdist
"""


def printed(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_parts_are_imported_when_they_are_asked_for():
    pytest.importorskip("torch")
    code = "import otdist; print(otdist.learn.SinkhornLoss(), otdist.bench.run, otdist.bench.problems.Pair)"
    assert "SinkhornLoss(" in printed(code)


@pytest.mark.slow
def test_without_torch_learn_says_what_to_install_and_other_parts_work():
    code = """
import inspect
print(hasattr(otdist, "learn"), hasattr(otdist, "bench"), hasattr(otdist, "nonsense"))
inspect.getmembers(otdist)
for statement in ("otdist.learn.Critic", "from otdist import learn", "import otdist.learn", "otdist.lern"):
    try:
        exec(statement)
    except (AttributeError, ImportError) as error:
        print(type(error).__name__, error, sep=": ")
"""
    assert printed(BLOCKED + code).splitlines() == [
        "False True False",
        'AttributeError: otdist.learn needs torch: pip install "otdist[torch]"',
        'ImportError: otdist.learn needs torch: pip install "otdist[torch]"',
        'ImportError: otdist.learn needs torch: pip install "otdist[torch]"',
        "AttributeError: module 'otdist' has no attribute 'lern'",
    ]


def test_dir_lists_what_is_public_and_nothing_else():
    names = {name for name in dir(otdist) if not name.startswith("__")}
    assert names == {*otdist.__all__, "bench", "learn"}


def test_every_name_that_the_pages_mention_can_be_reached_from_the_package():
    pytest.importorskip("torchmetrics")
    root = Path(__file__).parents[2]
    pages = [
        root / "README.md",
        *(p for p in (root / "docs").rglob("*.[mr][ds]*") if "_build" not in p.parts),
    ]
    text = "\n".join(page.read_text() for page in pages)
    names = set(re.findall(r"\botdist((?:\.[A-Za-z_]\w*)+)", text))
    assert len(names) > 100
    for name in sorted(names):
        operator.attrgetter(name[1:])(otdist)
