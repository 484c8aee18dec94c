"""What a trained critic is worth: its gaps, and what they say about the populations."""

from __future__ import annotations

import numpy as np

from otdist.errors import InputError
from otdist.learn.constraints import corrected_gap
from otdist.learn.critics.confidence import Confidence, confidence
from otdist.learn.critics.fitting import Outcome
from otdist.learn.critics.penalised import WEIGHT
from otdist.problem import Problem


def require_metric(problem: Problem) -> None:
    """Raise InputError for costs that no Lipschitz function bounds."""
    if problem.verdict is not None or not problem.metric.triangle or problem.p != 1:
        raise InputError(
            "metric",
            f"{problem.metric.name!r} with p={problem.p:g} is no metric: no Lipschitz function is its dual",
            "use one such as 'euclidean' with p=1, or Metric(name, matrix, triangle=True) if yours is one",
        )


def judged(
    outcome: Outcome, weighted: tuple[bool, bool] | None, level: float
) -> tuple[dict[str, float], Confidence]:
    """Gaps on the three parts, and what the test points say about the populations."""
    fitted, data = outcome.critic, outcome.data
    gaps: dict[str, float] = {}
    for name, part in (("train", data.train), ("validation", data.validation), ("test", data.test)):
        of_x, of_y = fitted.at_features(part.x), fitted.at_features(part.y)
        gaps[name] = float(of_x @ part.a.cpu().numpy() - of_y @ part.b.cpu().numpy())
    test = data.test  # the last of the loop: its values serve for the confidence bounds
    if fitted.lipschitz > 1.0:
        gaps["certified"] = gaps["test"] / fitted.lipschitz
        of_x, of_y = of_x / fitted.lipschitz, of_y / fitted.lipschitz
        if getattr(fitted.module, "constraint", "") == "gp":
            weight = float(fitted.placement.units(np.asarray(WEIGHT * fitted.frame.unit)))
            gaps["corrected"] = corrected_gap(max(gaps["test"], 0.0), weight)
    known = (False, False) if weighted is None else weighted
    a, b = (w.cpu().numpy() if given else None for w, given in zip((test.a, test.b), known, strict=True))
    return gaps, confidence(of_x, of_y, a, b, fitted.diameter, level)
