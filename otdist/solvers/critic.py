"""The neural dual as a solver: a trained critic, and the interval it proves for the given samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otdist.bounds import UNIT
from otdist.errors import InputError
from otdist.problem import Problem
from otdist.progress import working
from otdist.result import Result
from otdist.solvers.answer import make_result
from otdist.solvers.costs import rounding
from otdist.solvers.merge import Merged

if TYPE_CHECKING:
    from otdist.learn.critics.fitted import Fitted

Array = NDArray[np.float64]


@dataclass(frozen=True)
class NeuralDual:
    """W1 from below by a trained 1-Lipschitz critic; needs torch.

    Parameters
    ----------
    family, anchors, batch, steps, rng, device, precision, level
        As in :class:`otdist.learn.Critic`; ``max_seconds`` of the call is the time to train, 30 s without.
    max_bytes : int, optional
        Memory that the proof may take. None: half of what is free.

    Notes
    -----
    ``value`` and ``lower`` are what the critic proves for the given samples, all rows together: its values on
    y, and on x their c-transform, which is never below the critic there. ``upper`` is the cost of a plan that
    joins points in the order of the reduced cost that the critic leaves. ``result.critic(z)`` is the trained
    function itself. ``info`` holds the gaps on "train", "validation" and "test" points, the "lipschitz"
    constant, the kind of critic, and the lower "confidence" bounds for the populations.

    Cost: training; then a pass of O(n m d) over all pairs.
    """

    family: str | Sequence[str] = "auto"
    anchors: int = 512
    batch: int = 1024
    steps: int | None = None
    rng: int = 0
    device: str = "auto"
    precision: str = "auto"
    level: float = 0.95
    max_bytes: int | None = None

    def __call__(self, problem: Problem) -> Result:
        """Train, and prove."""
        try:
            from otdist.learn.critics.fitting import fit_samples
            from otdist.learn.critics.judging import judged, require_metric
            from otdist.learn.critics.race import Budget
            from otdist.learn.critics.settings import SECONDS, Settings
        except ImportError as error:
            raise InputError("method", "'critic' needs torch", 'pip install "otdist[torch]"') from error
        require_metric(problem)
        problem = problem.tamed()
        seconds = problem.max_seconds
        choice = (self.family, self.anchors, self.batch, seconds, self.steps, self.rng, self.device)
        settings = Settings(*choice, self.precision, self.level)
        limit = SECONDS if seconds is None and self.steps is None else seconds
        with working(problem.progress, "critic") as tell:
            outcome = fit_samples(problem, settings, Budget(limit, self.steps), tell)
        even = tuple(bool((mass == mass[0]).all()) for mass in (problem.a, problem.b))
        gaps, bounds = judged(outcome, (not even[0], not even[1]), self.level)
        critic = outcome.critic
        info: dict[str, Any] = {"critic": critic.name, "gaps": gaps, "lipschitz": critic.lipschitz}
        info |= {"confidence": bounds._asdict(), "steps": outcome.training.steps}
        result = self._proved(problem, outcome.critic, outcome.trouble, info)
        return replace(result, _extend=partial(_values, problem, outcome.critic))

    def _proved(self, problem: Problem, critic: Fitted, trouble: str, info: dict[str, Any]) -> Result:
        """Interval from the critic's values on the samples."""
        from otdist.solvers.sparse.ground import Dual
        from otdist.solvers.sparse.plans import greedy_plan
        from otdist.solvers.sparse.setting import Setting
        from otdist.solvers.sparse.supplies import whole_masses

        merged = Merged.of(problem)
        if min(len(merged.a), len(merged.b)) == 0:
            return merged.nothing_moves("critic", rounding(problem))
        setting = Setting.of(merged, self.max_bytes, "critic")
        ground, exponent = setting.ground, setting.exponent
        a, b = merged.a[setting.rows], merged.b[setting.cols]
        at_y = critic.values_placed(problem.y[merged.sinks][setting.cols])
        f = ground.least(np.ldexp(-at_y, -exponent))
        dual = Dual(f, ground.least(f, flip=True))
        lower = (math.fsum(a * dual.f) + math.fsum(b * dual.g)) / problem.mass
        # Comparing f + g with a cost rounds at the size of the potentials.
        lower -= 8 * UNIT * float(np.abs(dual.f).max() + np.abs(dual.g).max())
        left, right, k, moved = whole_masses(a, b)
        arcs = greedy_plan(ground, left.copy(), right.copy(), dual)
        flows = np.ldexp(arcs.flow.astype(np.float64), -k)
        upper = math.fsum(arcs.cost * flows) / problem.mass
        slack = (problem.d + 8) * UNIT * upper + setting.unsure + moved / problem.mass * ground.extent
        slack += math.ldexp(rounding(problem), -exponent)
        lower = min(max(lower - slack, 0.0), upper)
        interval = [math.ldexp(bound, exponent) for bound in (lower, lower, upper + slack)]
        return make_result(
            problem,
            "critic",
            (interval[0], interval[1], interval[2]),
            plan=partial(merged.full_plan, setting.rows[arcs.rows], setting.cols[arcs.cols], flows),
            potentials=partial(setting.full_potentials, dual.f, dual.g),
            converged=not trouble,
            goal=math.inf,
            message=trouble,
            info=info,
        )


def _values(problem: Problem, critic: Fitted, g: Array, z: ArrayLike) -> Array:
    """Trained function at the caller's points; the potentials are not needed."""
    del g
    return np.asarray(problem.cost_units(critic.values_placed(problem.place(z))))
