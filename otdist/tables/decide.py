"""From p-values to verdicts: how many relabellings are needed, and what has moved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otdist.stats.relabel import RelabellingTest
from otdist.tables.comparison import Verdict

Array = NDArray[np.float64]
Outcome = RelabellingTest | float | None

MOST_DRAWS = 100_000  # relabellings of one column
MARGIN = 2.0  # smallest p-value possible, below the one that decides


@dataclass(frozen=True, eq=False)
class Decision:
    """P-value, q-value and verdict of one test."""

    pvalue: float
    qvalue: float
    draws: int
    verdict: Verdict


def draws_needed(outcomes: Sequence[Outcome], level: float) -> int:
    """Relabellings after which the tests that no relabelling has reached are decided.

    By the rule of Benjamini and Hochberg the smallest of K p-values is to be below ``level / K``, and where
    R are small enough, all R below ``level R / K``. Returns 0 if no test waits.
    """
    pvalues = np.array([_optimistic(outcome) for outcome in outcomes if outcome is not None])
    waiting = [one for one in outcomes if isinstance(one, RelabellingTest) and one.exceeded == 0]
    if not waiting or not len(pvalues):
        return 0
    reachable = int((_adjusted(pvalues) <= level).sum())
    if not reachable:
        return 0
    return min(math.ceil(MARGIN * len(pvalues) / (level * reachable)), MOST_DRAWS)


def decide(outcomes: Sequence[Outcome], level: float) -> list[Decision]:
    """Verdicts at a false discovery rate over all outcomes."""
    tested = [k for k, outcome in enumerate(outcomes) if outcome is not None]
    pvalues = np.array([_pvalue(outcomes[k]) for k in tested])
    qvalues = dict(zip(tested, _adjusted(pvalues), strict=True)) if tested else {}
    decisions = []
    for k, outcome in enumerate(outcomes):
        if outcome is None:
            decisions.append(Decision(math.nan, math.nan, 0, "not measured"))
            continue
        q = float(qvalues[k])
        draws = outcome.draws if isinstance(outcome, RelabellingTest) else 0
        decisions.append(Decision(_pvalue(outcome), q, draws, _verdict(outcome, q, level)))
    return decisions


def _verdict(outcome: Outcome, qvalue: float, level: float) -> Verdict:
    if qvalue <= level:
        return "moved"
    # Further apart than every relabelling: more of them might have told.
    waits = isinstance(outcome, RelabellingTest) and outcome.exceeded == 0
    return "undecided" if waits else "not moved"


def _pvalue(outcome: Outcome) -> float:
    return outcome.pvalue if isinstance(outcome, RelabellingTest) else float(outcome or 0.0)


def _optimistic(outcome: Outcome) -> float:
    """P-value that more relabellings might give."""
    if isinstance(outcome, RelabellingTest):
        return outcome.exceeded / max(outcome.draws, 1)
    return float(outcome or 0.0)


def _adjusted(pvalues: Array) -> Array:
    from scipy.stats import false_discovery_control

    return np.asarray(false_discovery_control(np.clip(pvalues, 0.0, 1.0)))
