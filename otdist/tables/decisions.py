"""Verdicts from p-values, and the number of relabellings that they need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from otdist.stats.relabelling import RelabellingTest
from otdist.tables.comparison import Verdict
from otdist.typing import Array

Outcome = RelabellingTest | float | None

MAX_COLUMN_DRAWS = 100_000  # relabellings of one column
DRAWS_FACTOR = 2.0  # ratio of the deciding p-value to the smallest possible one


@dataclass(frozen=True, eq=False)
class Decision:
    """P-value, q-value and verdict of one test."""

    pvalue: float
    qvalue: float
    draws: int
    verdict: Verdict


def compute_required_draws(outcomes: Sequence[Outcome], level: float) -> int:
    """Compute the number of relabellings after which tests without exceedances are decided.

    By the rule of Benjamini and Hochberg the smallest of K p-values must be at most ``level / K``, or R of
    them at most ``level R / K``. Returns 0 if no test is undecided.
    """
    pvalues = np.array([_compute_attainable_pvalue(outcome) for outcome in outcomes if outcome is not None])
    undecided = [test for test in outcomes if isinstance(test, RelabellingTest) and test.exceedances == 0]
    if not undecided or not len(pvalues):
        return 0
    reachable = int((_adjust_pvalues(pvalues) <= level).sum())
    if not reachable:
        return 0
    return min(math.ceil(DRAWS_FACTOR * len(pvalues) / (level * reachable)), MAX_COLUMN_DRAWS)


def decide(outcomes: Sequence[Outcome], level: float) -> list[Decision]:
    """Decide all outcomes at a false discovery rate."""
    tested = [k for k, outcome in enumerate(outcomes) if outcome is not None]
    pvalues = np.array([_get_pvalue(outcomes[k]) for k in tested])
    qvalues = dict(zip(tested, _adjust_pvalues(pvalues), strict=True)) if tested else {}
    decisions = []
    for k, outcome in enumerate(outcomes):
        if outcome is None:
            decisions.append(Decision(math.nan, math.nan, 0, "not measured"))
            continue
        q = float(qvalues[k])
        draws = outcome.draws if isinstance(outcome, RelabellingTest) else 0
        decisions.append(Decision(_get_pvalue(outcome), q, draws, _decide_verdict(outcome, q, level)))
    return decisions


def _decide_verdict(outcome: Outcome, qvalue: float, level: float) -> Verdict:
    if qvalue <= level:
        return "moved"
    # No relabelling reached the observed distance: more of them could give significance.
    undecided = isinstance(outcome, RelabellingTest) and outcome.exceedances == 0
    return "undecided" if undecided else "not moved"


def _get_pvalue(outcome: Outcome) -> float:
    return outcome.pvalue if isinstance(outcome, RelabellingTest) else float(outcome or 0.0)


def _compute_attainable_pvalue(outcome: Outcome) -> float:
    """Compute the p-value that more relabellings could give."""
    if isinstance(outcome, RelabellingTest):
        return outcome.exceedances / max(outcome.draws, 1)
    return float(outcome or 0.0)


def _adjust_pvalues(pvalues: Array) -> Array:
    from scipy.stats import false_discovery_control

    return np.asarray(false_discovery_control(np.clip(pvalues, 0.0, 1.0)))
