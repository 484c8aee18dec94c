"""POT's network simplex, loaded without its package, and called only if memory suffices.

``import ot`` takes seconds, since POT imports every library of arrays that is installed. Its solver is one
compiled module, which needs numpy and one function of ``ot.utils``: :mod:`otdist.solvers.linear.pot.utils`
replaces that.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, ModuleSpec
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType

from otdist.runtime.budget import require_room
from otdist.typing import Array

UNLIMITED_ITERATIONS = 2**62  # iterations
POT_BYTES_PER_PAIR = 33  # plan and arcs, besides the cost matrix
BYTES_PER_POINT = 200  # nodes of its tree, and lists of them
SPARE_BYTES = 2**24  # overhead of the allocator

NAME = "ot.lp.emd_wrap"


def network_simplex(a: Array, b: Array, cost: Array, max_iter: int) -> tuple[Array, Array, int]:
    """Run POT's solver; returns the plan, the potentials of the columns, and POT's exit code.

    Raises
    ------
    BudgetError
        If the process cannot map the memory that the solver needs.
    """
    # The solver is called directly: ot.emd repeats checks already made here, and reports an iteration
    # limit as a warning, which cannot be caught without touching global filters.
    emd_c = load_solver().emd_c
    n, m = cost.shape
    require_room(
        POT_BYTES_PER_PAIR * n * m + BYTES_PER_POINT * (n + m) + SPARE_BYTES,
        f"the network simplex on {n} x {m} points",
        "use method='sparse', pass a random subset of the rows, or raise the limit of the process",
    )
    flow, _, _, v, code = emd_c(a, b, cost, max_iter, 1, None, None)
    return flow, v, code


@cache
def load_solver() -> ModuleType:
    """Load POT's compiled module; by importing POT where that is not possible, or was begun."""
    spec = None if NAME in sys.modules else _find_solver()
    return (None if spec is None else _load_alone(spec)) or import_module(NAME)


def _load_alone(spec: ModuleSpec) -> ModuleType | None:
    """Load the compiled module without its package; None if it must be imported with it.

    It holds the lock by which Python imports the module, so that other threads that import POT wait.
    """
    get_lock = getattr(import_module("importlib._bootstrap"), "_ModuleLockManager", None)
    if get_lock is None or spec.loader is None:
        return None
    with get_lock(NAME):
        if NAME in sys.modules:
            return None
        vars(spec)["_initializing"] = True  # the module enters itself in sys.modules before it is complete
        try:
            module = module_from_spec(spec)
            spec.loader.exec_module(module)
        except ImportError:
            return None
        finally:
            vars(spec)["_initializing"] = False
            sys.modules.pop(NAME, None)  # a later import of POT binds the module to its package
        return module


def _find_solver() -> ModuleSpec | None:
    """Find the file of the compiled module; named so that its relative import of ``utils`` ends here."""
    package = find_spec("ot")
    if package is None or package.origin is None:
        return None
    finder = FileFinder(str(Path(package.origin).parent / "lp"), (ExtensionFileLoader, EXTENSION_SUFFIXES))
    return finder.find_spec(f"{__name__}.lp.emd_wrap")
