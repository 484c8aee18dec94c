"""From points or sources to a trained critic."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from otdist.errors import InputError
from otdist.learn.critics.contenders import contenders, rate_of
from otdist.learn.critics.fitted import Fitted, Placement
from otdist.learn.critics.frame import LEARNED, Frame
from otdist.learn.critics.orthogonal import Orthogonal
from otdist.learn.critics.processes import (
    array_of_first,
    of_first,
    rank_and_world,
    require_alike,
    require_other_points,
)
from otdist.learn.critics.race import Budget, Race, Tell
from otdist.learn.critics.samples import Data, Draw, Samples, Streams, drawn, split
from otdist.learn.critics.settings import Settings, require
from otdist.learn.critics.training import Training
from otdist.metrics import Metric
from otdist.metrics.names import resolve
from otdist.problem import Problem

Array = NDArray[np.float64]

FIRST = 4096  # fresh points that centre and unit are found from


@dataclass(frozen=True, eq=False)
class Outcome:
    """A trained critic, the data it was judged on, and how it came about."""

    critic: Fitted
    training: Training
    data: Data
    history: list[dict[str, Any]]
    trouble: str
    seconds: float


def fit_samples(
    problem: Problem, settings: Settings, budget: Budget, tell: Tell, former: Fitted | None = None
) -> Outcome:
    """Train on given samples, on the problem's scale; ``former``: go on with that critic."""
    sides, device = (problem.x, problem.y), settings.where()
    given = {"metric": problem.metric.name, "x": problem.x, "y": problem.y, "a": problem.a, "b": problem.b}
    require_alike(device, settings.alike() | given | {"resume": former is None})
    placement, frame = Placement.of(problem), None if former is None else former.frame
    if former is not None and (len(former.frame.centre) != problem.d or not former.placement.same(placement)):
        raise InputError("x", "lies on another scale or has other columns than before", "fit without resume")
    rows = split((len(problem.a), len(problem.b)), settings.rng)
    if frame is None:  # from training rows alone: landmarks among the test points would fit these, too
        known = [side[parts[0]] for side, parts in zip(sides, rows, strict=True)]
        frame = Frame.of(known[0], known[1], problem.metric, device, settings.rng, settings.anchors)
    data = Samples.of(sides, (problem.a, problem.b), rows, frame.place)
    return _fitted(data, frame, placement, box(*sides, problem.metric), settings, (budget, tell, former))


def fit_streams(
    draws: tuple[Draw, Draw],
    metric: Any,
    settings: Settings,
    budget: Budget,
    tell: Tell,
    former: Fitted | None = None,
) -> Outcome:
    """Train on fresh points."""
    ground = resolve(metric)
    x = _on_host(drawn(draws[0], "x", FIRST))
    y = _on_host(drawn(draws[1], "y", FIRST, x.shape[1]))
    device = settings.where()
    given = {"metric": ground.name, "x": (x.shape, x.dtype), "y": (y.shape, y.dtype)}
    require_alike(device, settings.alike() | given | {"resume": former is None})
    require_other_points(device, {"x": x, "y": y})
    x, y = array_of_first(x, device), array_of_first(y, device)
    for name, points in (("x", x), ("y", y)):
        if not np.isfinite(points).all():
            row = int(np.argmax(~np.isfinite(points).all(axis=1)))
            raise InputError(name, f"gave a point that is not finite, row {row}", "repair the source")
    if not ground.triangle:
        raise InputError("metric", f"{ground.name!r} is no metric", "use one such as 'euclidean'")
    if former is not None and len(former.frame.centre) != x.shape[1]:
        raise InputError("x", "gives points with other columns than before", "fit without resume")
    frame = Frame.of(x, y, ground, device, settings.rng, settings.anchors)
    frame = frame if former is None else former.frame
    data = Streams.of(draws, frame.place, x.shape[1])
    return _fitted(data, frame, Placement(None, 0, 1), box(x, y, ground), settings, (budget, tell, former))


def box(x: Array, y: Array, metric: Metric) -> float:
    """Distance between opposite corners of the box around all points; the metric need not be a norm."""
    low, high = np.minimum(x.min(0), y.min(0)), np.maximum(x.max(0), y.max(0))
    return float(metric.matrix(low[None], high[None])[0, 0]) if metric.name in LEARNED else math.nan


def _fitted(
    data: Data,
    frame: Frame,
    placement: Placement,
    extent: float,
    settings: Settings,
    run: tuple[Budget, Tell, Fitted | None],
) -> Outcome:
    budget, tell, former = run
    since = time.monotonic()
    generator = torch.Generator().manual_seed(int(settings.rng))
    size = settings.batch if data.plentiful else min(settings.batch, max(64, len(data.train.x)))
    require(size >= rank_and_world()[1], "batch", size, "give at least one point of each side to a process")
    race = Race(data, size, generator, tell)
    metric, precision = frame.metric.name, settings.products(data.validation.x.device)
    if former is None:
        count = len(frame.landmarks) if frame.landmarks is not None else settings.anchors
        starts = contenders(
            settings.chosen(metric), data, count, (metric, frame.moving), precision, generator
        )
        best = race.won(starts, budget)
    else:
        module = copy.deepcopy(former.module).float().requires_grad_(True)
        of_first(*module.state_dict().values())
        precision = precision if isinstance(module, Orthogonal) else torch.float32
        best = race.run(Training(former.name, module, rate_of(module), precision), budget, final=True)
    critic = Fitted.of(best.name, best.module, frame, placement, extent)
    return Outcome(critic, best, data, race.history, race.trouble, time.monotonic() - since)


def _on_host(points: Any) -> Array:
    return np.asarray(points.cpu() if isinstance(points, torch.Tensor) else points)
