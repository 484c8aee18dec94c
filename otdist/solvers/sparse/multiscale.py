"""Multiscale solver: each copy has half as many points as the next, which starts from its solution."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from otdist.runtime.deadline import Deadline, OutOfTimeError
from otdist.solvers.pairs import hierarchy
from otdist.solvers.pairs.hierarchy import Level, Masses
from otdist.solvers.pairs.integer_masses import all_equal
from otdist.solvers.pairs.pairwise_costs import Arcs, Dual, PairwiseCosts
from otdist.solvers.pairs.point_costs import PointCosts
from otdist.solvers.sparse.column_generation import Certificate, ColumnGeneration
from otdist.solvers.sparse.initial_plans import greedy_plan, northwest_corner, refine_plan
from otdist.typing import Array

Show = Callable[[int, Certificate | None], None]
OnBest = Callable[[Certificate], None]

COARSE_GAP = 1e-6  # relative gap to which coarse copies are solved
ENTROPIC_START_COLUMNS = 8  # from so many columns on, and
ENTROPIC_START_POINTS = 1000  # so many points a side, entropic potentials are a better start than a copy's
PASSES_TO_FIRST_PIVOT = 4  # over all pairs of a level before its first pivot
GREEDY_PASSES, GREEDY_SECONDS_PER_POINT = (
    5,
    25e-6,
)  # passes over all pairs for a greedy plan, and seconds a point, about
ENTROPIC_START_PASSES = 60  # approximate number of passes over all pairs for entropic potentials
TIMED_PAIRS = 2**21  # pairs on which the time of a pass is measured


class MultiscaleSolver:
    """Solve every level from the coarsest to the finest.

    Parameters
    ----------
    ground, a, b
        The problem, in kd order.
    goal : float
        Relative gap at which the solver stops.
    deadline : Deadline
        When to stop with the best interval.
    show_progress : bool
        Whether intervals on the way are reported.
    start : tuple of int and ndarray, optional
        Level to start from, by how many times its points were halved, and its columns' potentials.
    quick_dual : callable, optional
        Makes feasible potentials without a pass over all pairs, for when time is short. None: zeros.

    Attributes
    ----------
    on_certificate : callable
        ``on_certificate(size, certificate)`` is called after every round: number of points of the current
        level, and the best certificate for the finest level (None: there is none yet).
    on_best : callable
        ``on_best(certificate)`` is called with every new best certificate for the finest level.
    """

    on_certificate: Show = staticmethod(lambda size, certificate: None)
    on_best: OnBest = staticmethod(lambda certificate: None)

    def __init__(
        self,
        ground: PairwiseCosts,
        a: Masses,
        b: Masses,
        goal: float,
        deadline: Deadline,
        show_progress: bool = False,
        start: tuple[int, Array] | None = None,
        quick_dual: Callable[[], Dual] | None = None,
    ) -> None:
        self.goal, self.deadline, self.quick_dual = goal, deadline, quick_dual
        self.levels = [Level(ground, a, b)]
        self.start = None if start is None else start[1]
        while self.levels[-1].size > hierarchy.COARSEST_POINTS and (
            start is None or len(self.levels) <= start[0]
        ):
            self.levels.append(self.levels[-1].coarsen())
        self.finest, self._level = self.levels[0], self.levels[-1]
        self.columns: ColumnGeneration | None = None
        # Intervals on the way are computed only if one may be the answer, or is reported.
        self.anytime = ground.lipschitz and (goal >= 0.9 * COARSE_GAP or deadline.is_finite or show_progress)
        self.best: Certificate | None = None  # for the finest level
        self.seconds_per_pair = 0.0  # seconds a pair, measured

    def run(self) -> tuple[Certificate, bool]:
        """Solve until the goal is reached; returns the best certificate, and False if time was up before."""
        try:
            with self.deadline.enforce(grace=True):
                return self._solve_levels()
        except OutOfTimeError:
            best = self._evaluate_last_plan()
            return best, best.reaches(self.goal)

    def _solve_levels(self) -> tuple[Certificate, bool]:
        """Solve level by level."""
        if self.deadline.is_finite and not self.finest.ground.lipschitz:
            self.seconds_per_pair = measure_seconds_per_pair(self.finest.ground)
        columns = (
            self._start_from_entropic()
            if self._entropic_start_pays()
            else self._start_level(self.levels.pop(), None)
        )
        while self.levels:
            self.columns, level, is_out_of_time = (
                columns,
                self._level,
                partial(self._is_out_of_time, self._level),
            )
            columns.solve(max(COARSE_GAP, self.goal / 16), is_out_of_time, self._report)
            if self.anytime:
                best = (
                    self._evaluate_on_finest(level)
                    if self.best is None or not is_out_of_time()
                    else self.best
                )
                if best.reaches(self.goal) or not self._is_affordable(self.levels[-1]):
                    return self._spend_rest_on_finest()
            elif self.deadline.is_finite and (
                len(self.levels) == 1 or not self._is_affordable(self.levels[-1])
            ):
                # Here an evaluation takes as long as a pass over all pairs: only the last level is evaluated.
                worth = not self.deadline.is_over(
                    self.seconds_per_pair * self._pairs_per_evaluation(level) / 2
                )
                best = self._evaluate_on_finest(level) if worth else self._evaluate_last_plan()
                if best.reaches(self.goal) or not self._is_affordable(self.levels[-1]):
                    return self._spend_rest_on_finest()
            columns = self._start_level(self.levels.pop(), level)
        self.columns = columns
        finished = columns.solve(self.goal, partial(self._is_out_of_time, self.finest), self._report)
        best = self._update_best(columns.certificate)
        return best, finished or best.reaches(self.goal)

    def _spend_rest_on_finest(self) -> tuple[Certificate, bool]:
        """Spend the remaining time on better potentials and a greedy plan, instead of the last level."""
        assert self.best is not None
        if self.deadline.is_finite and not self.best.reaches(self.goal):
            ground, a, b = self.finest.ground, self.finest.a, self.finest.b
            n, m = ground.shape
            dual = Dual(np.zeros(n), np.zeros(m)) if self.quick_dual is None else self.quick_dual()
            self._update_best(Certificate.of(self.best.plan, dual))
            if ground.lipschitz and not self.deadline.is_over(self.seconds_per_pair * n * m):
                g = self.best.dual.g
                dual = Dual(ground.c_transform(g), g).allow_rounding(ground)
                self._update_best(Certificate.of(self.best.plan, dual))
            elif not ground.lipschitz and not self.deadline.is_over(2 * self.seconds_per_pair * n * m):
                dual = Dual.from_columns(ground, dual.g).allow_rounding(ground)
                self._update_best(Certificate.of(self.best.plan, dual))
            if not self.deadline.is_over(self._greedy_seconds):
                self._update_best(
                    Certificate.of(greedy_plan(ground, a.copy(), b.copy(), self.best.dual), self.best.dual)
                )
        return self.best, self.best.reaches(self.goal)

    @property
    def _has_few_columns(self) -> bool:
        """Whether there are so few columns that the plan of a copy is a good start."""
        ground = self.finest.ground
        return isinstance(ground, PointCosts) and ground.x.points.shape[1] < ENTROPIC_START_COLUMNS

    @property
    def _greedy_seconds(self) -> float:
        n, m = self.finest.ground.shape
        return GREEDY_PASSES * self.seconds_per_pair * n * m + GREEDY_SECONDS_PER_POINT * (n + m)

    def _evaluate_last_plan(self) -> Certificate:
        """Certify the plan of the last level by quick potentials, unless there is a better certificate."""
        if self.columns is not None and self.columns.ground is self.finest.ground:
            return self._update_best(self.columns.certificate)
        if self.best is not None:
            return self.best
        ground, a, b = self.finest.ground, self.finest.a, self.finest.b
        if self.columns is None:
            rows, cols, flow = northwest_corner(a.copy(), b.copy())
        else:
            rows, cols, flow = refine_plan(self.columns.certificate.plan, a, b)
        dual = Dual(np.zeros(len(a)), np.zeros(len(b))) if self.quick_dual is None else self.quick_dual()
        return self._update_best(Certificate.of(Arcs(rows, cols, ground.costs(rows, cols), flow), dual))

    def statistics(self) -> dict[str, int]:
        """Numbers of points, rounds, arcs and pivots, for ``Result.info``."""
        if self.columns is None:
            return {"points": self._level.size, "rounds": 0, "arcs": 0, "pivots": 0}
        network = self.columns.network
        return {
            "points": self._level.size,
            "rounds": self.columns.rounds,
            "arcs": network.count,
            "pivots": network.pivots,
        }

    def _entropic_start_pays(self) -> bool:
        """Whether entropic potentials are a better start than those of a copy; an auction needs neither."""
        ground, a, b = self.finest.ground, self.finest.a, self.finest.b
        deep = isinstance(ground, PointCosts) and ground.x.points.shape[1] >= ENTROPIC_START_COLUMNS
        if not deep or self.anytime or min(ground.shape) < ENTROPIC_START_POINTS or all_equal(a, b, a[0]):
            return False
        return not self.deadline.is_over(
            ENTROPIC_START_PASSES * self.seconds_per_pair * ground.shape[0] * ground.shape[1]
        )

    def _start_from_entropic(self) -> ColumnGeneration:
        """Start on the finest level, with entropic potentials."""
        from otdist.solvers.entropic.warm_start import entropic_dual  # compiled code of its own

        level = self._level = self.finest
        assert isinstance(level.ground, PointCosts)
        self.levels.clear()
        return ColumnGeneration(level.ground, level.a, level.b, entropic_dual(level.ground, level.a, level.b))

    def _start_level(self, level: Level, coarser: Level | None) -> ColumnGeneration:
        """Start a level with the potentials of the coarser one."""
        self._level = level
        if coarser is None and self.start is not None:
            dual = Dual(level.ground.c_transform(self.start), self.start)
        elif coarser is None:
            n, m = level.ground.shape
            dual = Dual(np.zeros(n), np.zeros(m))
        elif level is self.finest and self.best is not None:
            dual = self.best.dual  # already extended by the last evaluation
        else:
            assert self.columns is not None
            dual = _extend_dual(level.ground, coarser.ground, self.columns.certificate.dual)
        return ColumnGeneration(level.ground, level.a, level.b, dual)

    def _evaluate_on_finest(self, level: Level) -> Certificate:
        """Refine the solution of a level to the finest one, and certify it there."""
        assert self.columns is not None
        start = time.monotonic()
        dual = _extend_dual(self.finest.ground, level.ground, self.columns.certificate.dual)
        self.seconds_per_pair = (time.monotonic() - start) / self._pairs_per_evaluation(level)
        rows, cols, flow = refine_plan(self.columns.certificate.plan, self.finest.a, self.finest.b)
        return self._update_best(
            Certificate.of(Arcs(rows, cols, self.finest.ground.costs(rows, cols), flow), dual)
        )

    def _pairs_per_evaluation(self, level: Level) -> int:
        """Number of pairs that an evaluation of a level's solution goes through."""
        n, m = self.finest.ground.shape
        if self.finest.ground.lipschitz:
            return (n + m) * level.size
        return n * (level.ground.shape[1] + m)  # only potentials of a metric extend without a c-transform

    def _update_best(self, certificate: Certificate) -> Certificate:
        """Combine the better plan and the better potentials of the best certificate and another."""
        if self.best is not None:
            plan = min(self.best, certificate, key=lambda one: one.upper).plan
            dual = max(self.best, certificate, key=lambda one: one.lower).dual
            certificate = Certificate.of(plan, dual)
        self.best = certificate
        self.on_best(certificate)
        return certificate

    def _is_affordable(self, level: Level) -> bool:
        """Whether there is time for a level's first pivot and for refining its solution."""
        n, m = level.ground.shape
        passes = (
            PASSES_TO_FIRST_PIVOT if level.ground.lipschitz else 2 * PASSES_TO_FIRST_PIVOT
        )  # others need c-transforms
        return not self._is_out_of_time(level, passes * self.seconds_per_pair * n * m)

    def _is_out_of_time(self, level: Level, seconds: float = 0.0) -> bool:
        """Whether time is up in so many seconds, less the time for evaluating the level."""
        if level is not self.finest:
            seconds += self.seconds_per_pair * self._pairs_per_evaluation(level)
            if not (self.finest.ground.lipschitz or self._has_few_columns) and len(self.levels) > 1:
                # The plan of a copy is a poor start here: a greedy plan is made instead.
                seconds += self._greedy_seconds
        return self.deadline.is_over(seconds)

    def _report(self, certificate: Certificate) -> None:
        if self._level is self.finest:
            self._update_best(certificate)
        self.on_certificate(self._level.size, self.best)


def measure_seconds_per_pair(ground: PairwiseCosts) -> float:
    """Measure the seconds a pair of a pass over all pairs, on some of the rows."""
    seconds = []
    n, m = ground.shape
    part = ground.subset(np.arange(0, n, -(-n * m // TIMED_PAIRS)), np.arange(m))
    for _ in range(2):
        start = time.monotonic()
        part.c_transform(np.zeros(m))
        seconds.append(time.monotonic() - start)
    return min(seconds) / (part.shape[0] * m)


def _extend_dual(fine: PairwiseCosts, coarse: PairwiseCosts, dual: Dual) -> Dual:
    return Dual(*fine.extend(coarse, dual.g)).allow_rounding(fine)
