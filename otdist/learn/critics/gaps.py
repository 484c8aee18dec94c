"""Gaps of a trained critic, and confidence bounds of W1 between the populations."""

from __future__ import annotations

import numpy as np

from otdist.errors import InputError
from otdist.learn.constraints import corrected_gap
from otdist.learn.critics.confidence import Confidence, confidence_bounds
from otdist.learn.critics.families.penalised import PENALTY_WEIGHT
from otdist.learn.critics.fit import Outcome
from otdist.problem import Problem


def require_metric(problem: Problem) -> None:
    """Raise InputError if the cost is not a metric, so that no Lipschitz function bounds it."""
    if problem.fixed_value is not None or not problem.metric.triangle or problem.p != 1:
        raise InputError(
            "metric",
            f"must be a metric, with p=1 (duality), got {problem.metric.name!r} with p={problem.p:g}",
            "use one such as 'euclidean' with p=1, or declare yours by Metric(name, matrix, triangle=True)",
        )


def evaluate_gaps(
    outcome: Outcome, weighted: tuple[bool, bool] | None, level: float
) -> tuple[dict[str, float], Confidence]:
    """Compute the gaps on the three parts, and confidence bounds from the test part."""
    fitted, data = outcome.critic, outcome.data
    gaps: dict[str, float] = {}
    for name, part in (("train", data.train), ("validation", data.validation), ("test", data.test)):
        of_x, of_y = fitted.values_at_features(part.x), fitted.values_at_features(part.y)
        gaps[name] = float(of_x @ part.a.cpu().numpy() - of_y @ part.b.cpu().numpy())
    test = data.test  # the last part of the loop, so of_x and of_y are its values
    if fitted.lipschitz > 1.0:
        gaps["certified"] = gaps["test"] / fitted.lipschitz
        of_x, of_y = of_x / fitted.lipschitz, of_y / fitted.lipschitz
        if getattr(fitted.module, "constraint", "") == "gp":
            weight = float(fitted.scaling.to_units(np.asarray(PENALTY_WEIGHT * fitted.feature_map.unit)))
            gaps["corrected"] = corrected_gap(max(gaps["test"], 0.0), weight)
    weighted_sides = (False, False) if weighted is None else weighted
    a, b = (
        w.cpu().numpy() if is_weighted else None
        for w, is_weighted in zip((test.a, test.b), weighted_sides, strict=True)
    )
    return gaps, confidence_bounds(of_x, of_y, a, b, fitted.diameter, level)
