"""POT's network simplex, called only if memory suffices: otherwise it would end the process."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from otdist.runtime.budget import require_room
from otdist.runtime.limits import process_is_limited
from otdist.typing import Array

UNLIMITED_ITERATIONS = 2**62  # iterations
POT_BYTES_PER_PAIR = 33  # plan and arcs, besides the cost matrix
BYTES_PER_POINT = 200  # nodes of its tree, and lists of them
SPARE_BYTES = 2**24  # overhead of the allocator
IMPORT_BYTES = 400 * 2**20  # address space that POT and what it imports take, without torch


def network_simplex(a: Array, b: Array, cost: Array, max_iter: int) -> tuple[Array, Array, int]:
    """Run POT's solver; returns the plan, the potentials of the columns, and POT's exit code.

    Raises
    ------
    BudgetError
        If the process cannot map the memory that the solver needs.
    """
    if "ot.lp.emd_wrap" not in sys.modules:
        require_room(
            _import_size(),
            "loading POT",
            "raise the limit of the process (ulimit -v), or use method='sparse'",
        )
    # The solver is called directly: ot.emd repeats checks already made here, and reports an iteration
    # limit as a warning, which cannot be caught without touching global filters.
    from ot.lp.emd_wrap import emd_c

    n, m = cost.shape
    require_room(
        POT_BYTES_PER_PAIR * n * m + BYTES_PER_POINT * (n + m) + SPARE_BYTES,
        f"the network simplex on {n} x {m} points",
        "use method='sparse', pass a random subset of the rows, or raise the limit of the process",
    )
    flow, _, _, v, code = emd_c(a, b, cost, max_iter, 1, None, None)
    return flow, v, code


def _import_size() -> int:
    """Address space that importing POT takes, including torch if it is installed."""
    if not process_is_limited():
        return SPARE_BYTES
    torch = None if "torch" in sys.modules else importlib.util.find_spec("torch")
    return IMPORT_BYTES + (0 if torch is None else _library_size(torch))


def _library_size(spec: Any) -> int:
    """Size of the shared libraries of torch, and of those that it loads from other packages."""
    folder = Path(spec.origin).parent
    files = [*folder.glob("lib/*.so*"), *folder.parent.glob("nvidia/*/lib/*.so*")]
    return int(1.2 * sum(file.stat().st_size for file in files))
