"""What ``import otdist`` loads, and what a first call adds: nothing that the answer does not need."""

from __future__ import annotations

import subprocess
import sys

import pytest

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


def test_the_command_line_adds_its_parser_alone():
    assert packages("import otdist.cli") == {"numpy", "otdist", "cyclopts", "attr", "attrs"}


@pytest.mark.parametrize(
    ("code", "needed"),
    [
        ("import otdist; otdist.compare({'a': [1, 2]}, {'a': [1, 3]}, joint=False, n_resamples=9)", set()),
        ("import otdist.bench.problems", set()),
        ("import otdist.learn", {"torch"}),
    ],
)
def test_nothing_heavy_is_loaded_that_is_not_needed(code, needed):
    assert packages(code) & HEAVY == needed


def test_importing_loads_no_part_of_numpy_that_is_slow():
    assert not {"numpy.testing", "numpy.f2py", "numpy.distutils"} & loaded("import otdist")
