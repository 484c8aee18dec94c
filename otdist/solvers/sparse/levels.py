"""From coarse to fine: each copy has half as many points, and starts from the one before."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.bounds import UNIT
from otdist.solvers.sparse.columns import Columns, Proof
from otdist.solvers.sparse.ground import Arcs, Dual, Ground
from otdist.solvers.sparse.order import pair_sums
from otdist.solvers.sparse.plans import handed_down
from otdist.solvers.sparse.pricing import Pairs
from otdist.solvers.sparse.supplies import alike

Masses = NDArray[Any]  # integers; floats for entropic plans
Show = Callable[[int, Proof | None], None]

BASE = 64  # points a side that need no coarser copy
COARSE_GOAL = 1e-6  # relative gap at which a coarse copy has told what it knows
DEEP = 8  # columns from which, and
MANY = 1000  # points a side from which entropic potentials are a better start than those of a copy
PASSES = 4  # over all pairs of a level before its first pivot


@dataclass(frozen=True, eq=False)
class Level:
    """A copy of the problem."""

    ground: Ground
    a: Masses
    b: Masses

    @property
    def size(self) -> int:
        """Points of the larger side."""
        return max(self.ground.shape)

    def coarser(self) -> Level:
        """Half as many points on each side that is still large."""
        a = self.a if len(self.a) > BASE else None
        b = self.b if len(self.b) > BASE else None
        ground = self.ground.coarser(a, b)
        left = self.a.copy() if a is None else pair_sums(a)
        right = self.b.copy() if b is None else pair_sums(b)
        if (
            not ground.planar
            and max(left[-1], right[-1]) <= left[0]
            and alike(left[:-1], right[:-1], left[0])
        ):
            # A matching does, if a last point without a neighbour counts like a pair. Never with less than it
            # has: of a plan that carries too much, the rest is dropped when it is handed down.
            left[-1] = right[-1] = left[0]
        return Level(ground, left, right)


class Descent:
    """Solve every level from the coarsest to the finest.

    Parameters
    ----------
    ground, a, b
        The problem, in nested order.
    goal : float
        Relative gap at which it is solved.
    deadline : float or None
        ``time.monotonic()`` at which to stop with the best interval.
    asked : bool
        Whether somebody wants to see intervals on the way.
    start : tuple of int and ndarray, optional
        A level, by how many times its points were halved, and columns' potentials to start it with.

    Attributes
    ----------
    show : callable
        ``show(size, proof)`` is called after every round: points of the level at work, and what is
        proved for the finest one so far (None: nothing yet).
    """

    show: Show = staticmethod(lambda size, proof: None)

    def __init__(
        self,
        ground: Ground,
        a: Masses,
        b: Masses,
        goal: float,
        deadline: float | None,
        asked: bool = False,
        start: tuple[int, NDArray[np.float64]] | None = None,
    ) -> None:
        self.goal, self.deadline = goal, deadline
        self.levels = [Level(ground, a, b)]
        self.start = None if start is None else start[1]
        while self.levels[-1].size > BASE and (start is None or len(self.levels) <= start[0]):
            self.levels.append(self.levels[-1].coarser())
        self.finest = self.levels[0]
        # Intervals on the way are worth their time only if one may be the answer, or is looked at.
        self.anytime = ground.lipschitz and (goal >= 0.9 * COARSE_GOAL or deadline is not None or asked)
        self.best: Proof | None = None  # for the finest level
        self.pace = 0.0  # seconds a pair, measured

    def run(self) -> tuple[Proof, bool]:
        """Go down until the goal is reached: what is proved, and False if time was up before."""
        self.columns = self._seeded() if self._worth_seeding() else self._prepared(self.levels.pop(), None)
        while self.levels:
            level, late = self._level, partial(self._late, self._level)
            self.columns.solve(max(COARSE_GOAL, self.goal / 16), late, self._tell)
            if self.anytime:
                best = self._look(level) if self.best is None or not late() else self.best
                if best.reached(self.goal) or not self._affordable(self.levels[-1]):
                    return best, best.reached(self.goal)
            self.columns = self._prepared(self.levels.pop(), level)
        finished = self.columns.solve(self.goal, partial(self._late, self.finest), self._tell)
        best = self._keep(self.columns.proof)
        return best, finished or best.reached(self.goal)

    def figures(self) -> dict[str, int]:
        """What it took, for ``Result.info``."""
        network = self.columns.network
        return {
            "points": self._level.size,
            "rounds": self.columns.rounds,
            "arcs": network.count,
            "pivots": network.pivots,
        }

    def _worth_seeding(self) -> bool:
        """Whether entropic potentials are a better start than a copy; an auction needs neither."""
        ground, a, b = self.finest.ground, self.finest.a, self.finest.b
        deep = isinstance(ground, Pairs) and ground.x.points.shape[1] >= DEEP
        return deep and not self.anytime and min(ground.shape) >= MANY and not alike(a, b, a[0])

    def _seeded(self) -> Columns:
        """Start with the points themselves."""
        from otdist.solvers.sinkhorn.coarse import seed  # compiled code of its own

        level = self._level = self.finest
        assert isinstance(level.ground, Pairs)
        self.levels.clear()
        return Columns(level.ground, level.a, level.b, seed(level.ground, level.a, level.b))

    def _prepared(self, level: Level, coarser: Level | None) -> Columns:
        """Start a level with the potentials of the one before."""
        self._level = level
        if coarser is None and self.start is not None:
            dual = Dual(level.ground.least(self.start), self.start)
        elif coarser is None:
            n, m = level.ground.shape
            dual = Dual(np.zeros(n), np.zeros(m))
        elif level is self.finest and self.best is not None:
            dual = self.best.dual  # the last look has extended them already
        else:
            dual = _extended(level.ground, coarser.ground, self.columns.proof.dual)
        return Columns(level.ground, level.a, level.b, dual)

    def _look(self, level: Level) -> Proof:
        """Hand the solution of a level down to the points, and judge it there."""
        start = time.monotonic()
        dual = _extended(self.finest.ground, level.ground, self.columns.proof.dual)
        self.pace = (time.monotonic() - start) / (sum(self.finest.ground.shape) * level.size)
        rows, cols, flow = handed_down(self.columns.proof.plan, self.finest.a, self.finest.b)
        return self._keep(Proof.of(Arcs(rows, cols, self.finest.ground.costs(rows, cols), flow), dual))

    def _keep(self, proof: Proof) -> Proof:
        """Join the better plan and the better potentials of the best proof and another."""
        if self.best is not None:
            plan = min(self.best, proof, key=lambda one: one.upper).plan
            dual = max(self.best, proof, key=lambda one: one.lower).dual
            proof = Proof.of(plan, dual)
        self.best = proof
        return proof

    def _affordable(self, level: Level) -> bool:
        """Whether a level can come to its first pivot in time, and what it finds be handed down."""
        n, m = level.ground.shape
        return not self._late(level, PASSES * self.pace * n * m)

    def _late(self, level: Level, seconds: float = 0.0) -> bool:
        """Whether time is up in so many seconds, but for the look at what a level has found."""
        if self.deadline is None:
            return False
        if level is not self.finest:
            seconds += self.pace * sum(self.finest.ground.shape) * level.size
        return time.monotonic() + seconds > self.deadline

    def _tell(self, proof: Proof) -> None:
        if self._level is self.finest:
            self._keep(proof)
        self.show(self._level.size, self.best)


def _extended(fine: Ground, coarse: Ground, dual: Dual) -> Dual:
    f, g = fine.extended(coarse, dual.g)
    # Feasible but for the rounding of potentials, which may be larger than the costs between neighbours.
    return Dual(f, g, 64 * UNIT * float(np.abs(f).max() + np.abs(g).max() + fine.extent))
