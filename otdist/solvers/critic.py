"""Neural dual as a solver: a trained critic, and the interval that it proves for the given samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF, ldexp_safely
from otdist.errors import InputError
from otdist.inputs.arguments import Rng, check_bytes, check_seed, set_option
from otdist.number import change
from otdist.problem import Problem
from otdist.result import Result
from otdist.runtime.deadline import Deadline, OutOfTimeError
from otdist.runtime.progress import display_progress
from otdist.solvers.answer import make_result
from otdist.solvers.costs import cost_rounding, weight_rounding_cost
from otdist.solvers.merge import MergedProblem
from otdist.solvers.quick import quick_result
from otdist.typing import Array, ArrayInput, Integers

if TYPE_CHECKING:
    from otdist.learn.critics.fitted import Fitted
    from otdist.solvers.pairs.pairwise_costs import Arcs, Dual, PairwiseCosts

Masses = Integers

MIN_TRAINING_SHARE = 0.3  # share of the time that is reserved for training
DUAL_PASSES = 2.5  # approximate number of passes over all pairs for potentials
GREEDY_PLAN_PASSES, GREEDY_SECONDS_PER_POINT = (
    5.5,
    25e-6,
)  # passes over all pairs for a greedy plan, and seconds a point, about
CRITIC_EVALUATIONS = 2  # evaluations at all points: for the gaps and for the interval
SECONDS_PER_CRITIC_VALUE = 1e-9  # approximate time per anchor and coordinate of a critic's value
EXTENDED_COLUMNS = 256  # columns from which potentials are extended if there is no time for all
GAP_MISSED = "The proved gap is {:.1e}, not {:.1e}: raise max_seconds, steps or tol, or use method='sparse'."
NO_PAIRS_CHECKED = (
    "Time was up before the critic was compared with the costs of all pairs: raise max_seconds."
)
UNTRAINED = "Time is too short to train a critic and evaluate it at all points: raise max_seconds."


@dataclass(frozen=True)
class NeuralDual:
    """Lower bound of W1 by a trained 1-Lipschitz critic; needs torch.

    Parameters
    ----------
    family, anchors, batch, steps, rng, device, precision, level
        As in :class:`otdist.learn.Critic`; ``max_seconds`` of the call covers training and proof. Without it,
        training takes 30 s.
    max_bytes : int, optional
        Memory limit of the proof. None: half of the free memory.

    Notes
    -----
    ``value`` and ``lower`` are the bound that the critic proves for the given samples, all rows together: its
    values on y, and on x their c-transform, which is never below the critic. ``upper`` is the cost of a plan
    that couples points greedily by the critic's reduced cost. ``result.critic(z)`` is the trained function
    itself. ``info`` holds the gaps on "train", "validation" and "test" points, the "lipschitz" constant, the
    kind of critic, and the lower "confidence" bounds for the populations.

    Cost: training; then a pass of O(n m d) over all pairs.
    """

    family: str | Sequence[str] = "auto"
    anchors: int = 512
    batch: int = 1024
    steps: int | None = None
    rng: Rng = 0
    device: str = "auto"
    precision: str = "auto"
    level: float = 0.95
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        set_option(self, "rng", check_seed(self.rng))
        set_option(self, "max_bytes", check_bytes(self.max_bytes))

    def __call__(self, problem: Problem) -> Result:
        """Train a critic, and prove its interval."""
        try:
            from otdist.learn.critics.fit import fit_samples
            from otdist.learn.critics.gaps import evaluate_gaps, require_metric
            from otdist.learn.critics.selection import Budget
            from otdist.learn.critics.settings import DEFAULT_SECONDS, Settings
        except ImportError as error:
            raise InputError("method", "'critic' needs torch", 'pip install "otdist[torch]"') from error
        require_metric(problem)
        problem = problem.rescale()
        deadline, seconds = Deadline(problem.max_seconds), problem.max_seconds
        choice = (
            self.family,
            self.anchors,
            self.batch,
            seconds,
            self.steps,
            check_seed(self.rng),
            self.device,
        )
        settings = Settings(*choice, self.precision, self.level)
        limit = DEFAULT_SECONDS if seconds is None and self.steps is None else seconds
        if seconds is not None and limit is not None:
            # Training must leave time for the proof.
            limit = self._training_seconds(problem, deadline)
            if CRITIC_EVALUATIONS * self._value_seconds(problem) > deadline.seconds / 2 + 2 * deadline.grace:
                return self._answer_without_training(problem, deadline)
        with display_progress(problem.progress, "critic") as report_progress:
            outcome = fit_samples(problem, settings, Budget(limit, self.steps), report_progress)
        even = tuple(bool((mass == mass[0]).all()) for mass in (problem.a, problem.b))
        gaps, bounds = evaluate_gaps(outcome, (not even[0], not even[1]), self.level)
        critic = outcome.critic
        info: dict[str, object] = {"critic": critic.name, "gaps": gaps, "lipschitz": critic.lipschitz}
        info |= {"confidence": bounds._asdict(), "steps": outcome.training.steps}
        result = self._certify(problem, outcome.critic, outcome.failure, info, deadline)
        # The answer is the critic's lower bound.
        return change(result, value=result.lower, _extend=partial(_values, problem, outcome.critic))

    def _value_seconds(self, problem: Problem) -> float:
        """Approximate time to evaluate a critic at all points."""
        return SECONDS_PER_CRITIC_VALUE * (len(problem.x) + len(problem.y)) * self.anchors * (problem.d + 4)

    def _answer_without_training(self, problem: Problem, deadline: Deadline) -> Result:
        """Return quick bounds if there is no time to train and evaluate a critic."""
        merged = MergedProblem.of(problem)
        if min(len(merged.a), len(merged.b)) == 0:
            return merged.zero_result("critic", weight_rounding_cost(merged.problem))
        result = quick_result(merged, "critic", UNTRAINED, deadline)
        return change(result, value=result.lower)

    def _training_seconds(self, problem: Problem, deadline: Deadline) -> float:
        """Time for training that leaves enough for the last evaluation and the proof."""
        from otdist.solvers.pairs.point_costs import PointCosts, cost_kernel
        from otdist.solvers.sparse.multiscale import measure_seconds_per_pair

        n, m = len(problem.x), len(problem.y)
        ending = self._value_seconds(problem)
        kind = cost_kernel(problem)
        if kind is not None:
            pace = measure_seconds_per_pair(PointCosts.of(problem.x, problem.y, kind))
            ending += pace * EXTENDED_COLUMNS * (n + m) + GREEDY_SECONDS_PER_POINT * (n + m) / 4
            whole = (DUAL_PASSES + GREEDY_PLAN_PASSES) * pace * n * m + GREEDY_SECONDS_PER_POINT * (n + m)
            if ending + whole <= (1 - MIN_TRAINING_SHARE) * deadline.seconds:
                ending += whole
            elif ending + DUAL_PASSES * pace * n * m <= (1 - MIN_TRAINING_SHARE) * deadline.seconds:
                ending += DUAL_PASSES * pace * n * m
        return max(deadline.seconds_left - ending, MIN_TRAINING_SHARE * deadline.seconds)

    def _certify(
        self, problem: Problem, critic: Fitted, failure: str, info: dict[str, object], deadline: Deadline
    ) -> Result:
        """Prove an interval from the critic's values on the samples."""
        from otdist.solvers.pairs.integer_masses import integer_masses
        from otdist.solvers.sparse.prepared_problem import PreparedProblem

        merged = MergedProblem.of(problem)
        if min(len(merged.a), len(merged.b)) == 0:
            return merged.zero_result("critic", weight_rounding_cost(merged.problem))
        try:
            with deadline.enforce():
                prepared = PreparedProblem.of(merged, self.max_bytes, "critic")
        except OutOfTimeError:  # while the cost matrix was computed
            return quick_result(merged, "critic", NO_PAIRS_CHECKED, deadline, info)
        ground, exponent = prepared.ground, prepared.exponent
        a, b = merged.a[prepared.rows], merged.b[prepared.cols]
        at_y = critic.scaled_values(problem.y[merged.sinks][prepared.cols])
        potential = np.ldexp(-at_y, -exponent)
        left, right, mass_exponent, mass_error = integer_masses(a, b)
        dual, arcs, whole = _dual_and_plan(ground, left, right, potential, deadline)
        failure = failure or ("" if whole else NO_PAIRS_CHECKED)
        lower = (math.fsum(a * dual.f) + math.fsum(b * dual.g)) / problem.mass
        # The comparison of f + g with a cost rounds at the size of the potentials.
        lower -= 8 * UNIT_ROUNDOFF * float(np.abs(dual.f).max() + np.abs(dual.g).max()) + dual.slack
        flows = np.ldexp(arcs.flow.astype(np.float64), -mass_exponent)
        upper = math.fsum(arcs.cost * flows) / problem.mass
        slack = (
            (cost_rounding(problem) + 8 * UNIT_ROUNDOFF) * upper
            + prepared.cost_error
            + mass_error / problem.mass * ground.extent
        )
        slack += math.ldexp(weight_rounding_cost(problem), -exponent)
        lower = min(max(lower - slack, 0.0), upper)
        interval = [ldexp_safely(bound, exponent) for bound in (lower, lower, upper + slack)]
        gap = (interval[2] - interval[1]) / interval[2] if interval[2] > 0 else 0.0
        missed = GAP_MISSED.format(gap, problem.tol) if gap > problem.tol > 0 else ""
        return make_result(
            problem,
            "critic",
            (interval[0], interval[1], interval[2]),
            plan=partial(merged.full_plan, prepared.rows[arcs.rows], prepared.cols[arcs.cols], flows),
            potentials=partial(prepared.full_potentials, dual.f, dual.g),
            converged=not (failure or missed),
            goal=math.inf,
            message=failure or missed,
            info=info,
        )


def _dual_and_plan(
    ground: PairwiseCosts, a: Masses, b: Masses, potential: Array, deadline: Deadline
) -> tuple[Dual, Arcs, bool]:
    """Compute potentials and a plan, as good as the time allows, and whether all pairs were checked."""
    from otdist.solvers.pairs.pairwise_costs import Dual
    from otdist.solvers.sparse.initial_plans import greedy_plan
    from otdist.solvers.sparse.multiscale import measure_seconds_per_pair

    n, m = ground.shape
    a_pass = measure_seconds_per_pair(ground) * n * m if deadline.is_finite else 0.0
    dual = None
    try:
        with deadline.enforce(grace=True):
            if deadline.is_over(DUAL_PASSES * a_pass - deadline.grace):
                raise OutOfTimeError
            dual = Dual.from_columns(ground, potential)
            if deadline.is_over(
                GREEDY_PLAN_PASSES * a_pass + GREEDY_SECONDS_PER_POINT * (n + m) - deadline.grace
            ):
                raise OutOfTimeError
            return dual, greedy_plan(ground, a.copy(), b.copy(), dual), True
    except OutOfTimeError:
        dual = _extend_potential(ground, potential) if dual is None else dual
        return dual, _ordered_plan(ground, a, b, dual), False


def _extend_potential(ground: PairwiseCosts, potential: Array) -> Dual:
    """Extend potentials of some columns to feasible potentials of all points."""
    from otdist.solvers.pairs.pairwise_costs import Dual

    n, m = ground.shape
    if not ground.lipschitz:
        return Dual(np.zeros(n), np.zeros(m))
    some = np.arange(0, m, -(-m // EXTENDED_COLUMNS))
    return Dual(*ground.extend(ground.subset(np.arange(1), some), potential[some])).allow_rounding(ground)


def _ordered_plan(ground: PairwiseCosts, a: Masses, b: Masses, dual: Dual) -> Arcs:
    """Make the cheaper plan of two: points coupled in kd order, or in the order of their potentials."""
    from otdist.solvers.pairs.pairwise_costs import Arcs
    from otdist.solvers.sparse.initial_plans import northwest_corner

    plans = []
    for by_row, by_col in (
        (np.arange(len(a)), np.arange(len(b))),
        (np.argsort(dual.f), np.argsort(-dual.g)),
    ):
        i, j, flow = northwest_corner(a[by_row], b[by_col])
        rows, cols = by_row[i], by_col[j]
        plans.append(Arcs(rows, cols, ground.costs(rows, cols), flow))
    return min(plans, key=lambda one: float(one.cost @ one.flow))


def _values(problem: Problem, critic: Fitted, g: Array, z: ArrayInput) -> Array:
    """Evaluate the trained function at the caller's points; the potentials are not used."""
    del g
    return np.asarray(problem.to_caller_costs(critic.scaled_values(problem.transform(z))))
