"""otdist as a solver of benchopt's benchmark of optimal transport, ``benchopt/benchmark_ot`` on GitHub.

Copy this file into its folder ``solvers``. The objective there is the mean Euclidean distance under the
plan, which is W1, with a penalty where the plan misses its marginals.
"""

from __future__ import annotations

from typing import Any

from benchopt import BaseSolver
from numpy.typing import NDArray

import otdist

WIDE = 0.9  # the widest relative gap to ask for; benchopt begins with 3e38


class Solver(BaseSolver):  # type: ignore[misc]
    """Plans whose proved relative gap is at most what benchopt asks for, narrower from call to call."""

    name = "otdist"
    install_cmd = "conda"
    requirements = ("pip::otdist",)
    sampling_strategy = "tolerance"
    parameters = {"method": ["auto", "sparse", "sinkhorn"]}  # noqa: RUF012  benchopt reads it from the class

    @staticmethod
    def get_next(stop_val: float) -> float:
        """Ask for a much narrower gap: between small steps nothing changes, and benchopt would stop."""
        return min(stop_val, 1.0) / 30

    def set_objective(self, x: NDArray[Any], a: NDArray[Any], y: NDArray[Any], b: NDArray[Any]) -> None:
        """Keep the points, (n, d) and (m, d), and their masses."""
        self.given = x, y, a, b

    def warm_up(self) -> None:
        """Load compiled code: the first call on a machine compiles for 10 to 20 s."""
        self.run(WIDE)

    def run(self, stop_val: float) -> None:
        """Solve to a relative gap; ``"dense"`` is exact whatever it is."""
        self.answer = otdist.w1(*self.given, method=self.method, tol=min(stop_val, WIDE))

    def get_result(self) -> dict[str, NDArray[Any]]:
        """Give the plan, (n, m), as the objective takes it."""
        return {"P": self.answer.plan.toarray()}
