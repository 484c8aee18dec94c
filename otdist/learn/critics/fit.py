"""Training of a critic on samples or on sources of fresh points."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass

import numpy as np
import torch

from otdist.errors import InputError
from otdist.inputs.arguments import check_integer
from otdist.inputs.clouds import require_finite
from otdist.learn.critics.candidates import default_rate, make_candidates
from otdist.learn.critics.families.orthogonal import Orthogonal
from otdist.learn.critics.feature_map import LEARNED_METRICS, FeatureMap
from otdist.learn.critics.fitted import ExactScaling, Fitted
from otdist.learn.critics.samples import Data, Samples, Source, Sources, draw_points, split_rows
from otdist.learn.critics.selection import Budget, ReportProgress, Selection
from otdist.learn.critics.settings import Settings
from otdist.learn.critics.training import Training
from otdist.learn.distributed import (
    broadcast_array,
    broadcast_from_first,
    rank_and_world_size,
    require_distinct_points,
    require_equal,
)
from otdist.learn.modes import training_mode
from otdist.metrics import Metric
from otdist.metrics.base import bounding_box
from otdist.metrics.names import resolve
from otdist.problem import Problem
from otdist.typing import Array, ArrayOrTensor, GroundMetric, Json

FEATURE_MAP_POINTS = 4096  # fresh points of each source that give centre and unit


@dataclass(frozen=True, eq=False)
class Outcome:
    """Trained critic, with its data, history, failure message and training time."""

    critic: Fitted
    training: Training
    data: Data
    history: list[dict[str, Json]]
    failure: str
    seconds: float


@training_mode()
def fit_samples(
    problem: Problem,
    settings: Settings,
    budget: Budget,
    report_progress: ReportProgress,
    previous: Fitted | None = None,
) -> Outcome:
    """Train on the samples of a problem, on its scale; ``previous`` is a critic to resume."""
    sides, device = (problem.x, problem.y), settings.resolve_device()
    shared = {"metric": problem.metric.name, "x": problem.x, "y": problem.y, "a": problem.a, "b": problem.b}
    require_equal(device, settings.shared_values() | shared | {"resume": previous is None})
    scaling, feature_map = ExactScaling.of(problem), None if previous is None else previous.feature_map
    if previous is not None and (
        len(previous.feature_map.centre) != problem.d or not previous.scaling.equals(scaling)
    ):
        problem_text = "must have the scale and columns of the first fit"
        raise InputError("x", problem_text, "fit without resume")
    rows = split_rows((len(problem.a), len(problem.b)), settings.rng)
    if feature_map is None:
        # From training rows only: landmarks among the test points would bias the test gap.
        training_rows = [side[parts[0]] for side, parts in zip(sides, rows, strict=True)]
        feature_map = FeatureMap.of(
            training_rows[0], training_rows[1], problem.metric, device, settings.rng, settings.anchors
        )
    data = Samples.of(sides, (problem.a, problem.b), rows, feature_map.transform)
    return _fit(
        data,
        feature_map,
        scaling,
        box_diameter(*sides, problem.metric),
        settings,
        (budget, report_progress, previous),
    )


@training_mode()
def fit_sources(
    sources: tuple[Source, Source],
    metric: GroundMetric,
    settings: Settings,
    budget: Budget,
    report_progress: ReportProgress,
    previous: Fitted | None = None,
) -> Outcome:
    """Train on sources of fresh points; ``previous`` is a critic to resume."""
    metric_object = resolve(metric)
    x = _to_numpy(draw_points(sources[0], "x", FEATURE_MAP_POINTS))
    y = _to_numpy(draw_points(sources[1], "y", FEATURE_MAP_POINTS, x.shape[1]))
    device = settings.resolve_device()
    shared = {"metric": metric_object.name, "x": (x.shape, x.dtype), "y": (y.shape, y.dtype)}
    require_equal(device, settings.shared_values() | shared | {"resume": previous is None})
    require_distinct_points(device, {"x": x, "y": y})
    x, y = broadcast_array(x, device), broadcast_array(y, device)
    for name, points in (("x", x), ("y", y)):
        require_finite(points, name, "repair the source")
        if metric_object.check is not None:
            metric_object.check(points, name, None)
    if not metric_object.triangle:
        what = f"must satisfy the triangle inequality, got {metric_object.name!r}"
        raise InputError("metric", what, "use one such as 'euclidean'")
    if previous is not None and len(previous.feature_map.centre) != x.shape[1]:
        raise InputError("x", "must give points with the columns of the first fit", "fit without resume")
    feature_map = FeatureMap.of(x, y, metric_object, device, settings.rng, settings.anchors)
    feature_map = feature_map if previous is None else previous.feature_map
    data = Sources.of(sources, feature_map.transform, x.shape[1])
    return _fit(
        data,
        feature_map,
        ExactScaling(None, 0, 1),
        box_diameter(x, y, metric_object),
        settings,
        (budget, report_progress, previous),
    )


def box_diameter(x: Array, y: Array, metric: Metric) -> float:
    """Return the diameter of the bounding box of all points; NaN for metrics that are not norms."""
    low, high = bounding_box(x, y)
    return float(metric.matrix(low[None], high[None])[0, 0]) if metric.name in LEARNED_METRICS else math.nan


def _fit(
    data: Data,
    feature_map: FeatureMap,
    scaling: ExactScaling,
    diameter: float,
    settings: Settings,
    run: tuple[Budget, ReportProgress, Fitted | None],
) -> Outcome:
    budget, report_progress, previous = run
    start_time = time.monotonic()
    generator = torch.Generator().manual_seed(int(settings.rng))
    size = settings.batch if data.has_fresh_batches else min(settings.batch, max(64, len(data.train.x)))
    world = rank_and_world_size()[1]
    check_integer(size, "batch", at_least=world, remedy="give at least one point of each side per process")
    selection = Selection(data, size, generator, report_progress)
    device = data.validation.x.device
    metric, precision = feature_map.metric.name, settings.matmul_dtype(device)
    if previous is None:
        count = len(feature_map.landmarks) if feature_map.landmarks is not None else settings.anchors
        starts = make_candidates(
            settings.families_for(metric),
            data,
            count,
            (metric, feature_map.uses_points),
            precision,
            generator,
        )
        best = selection.select(starts, budget)
    else:
        module = copy.deepcopy(previous.module).float().to(device).requires_grad_(True)
        broadcast_from_first(*module.state_dict().values())
        precision = precision if isinstance(module, Orthogonal) else torch.float32
        best = selection.train(
            Training(previous.name, module, default_rate(module), precision), budget, final=True
        )
    critic = Fitted.of(best.name, best.module, feature_map, scaling, diameter)
    return Outcome(critic, best, data, selection.history, selection.failure, time.monotonic() - start_time)


def _to_numpy(points: ArrayOrTensor) -> Array:
    return np.asarray(points.cpu() if isinstance(points, torch.Tensor) else points)
