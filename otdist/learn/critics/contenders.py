"""Which critics enter a race, and where they start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from otdist.errors import InputError
from otdist.learn.critics.anchors import Anchors, Poles
from otdist.learn.critics.folds import Folds
from otdist.learn.critics.groups import centres as centres
from otdist.learn.critics.landmarks import Landmarks
from otdist.learn.critics.orthogonal import Orthogonal, units
from otdist.learn.critics.penalised import CONSTRAINTS, Constraint, Penalised
from otdist.learn.critics.pieces import Pieces
from otdist.learn.critics.processes import of_first, rank_and_world
from otdist.learn.critics.samples import Data
from otdist.learn.critics.subspace import Subspace, differing
from otdist.learn.critics.training import Training

FAMILIES = ("anchors", "orthogonal", "folds", "pieces")
MOVE, TURN, LEARN = 0.016, 0.01, 0.001  # first steps, in units of the spread of distances
POLES: tuple[Poles, ...] = ("max", "min", "both")
POOL = 2**17  # fresh points of which the inner ones are grouped
BLOCK = 2**13  # at a time
INNER = 0.2  # share of the points that counts as inner
MEMBERS = 32  # affine functions of a group, at most: enough to enclose a point in few columns
GROUP = 4  # points a group below which inner points are too few
WIDTH, DEPTH, HEADS = 256, 4, 256  # of networks
MANY = 32  # columns above which half the heads with folds of their own are enough
PLANE = 2  # columns up to which half the width is enough
HELD = 2**14  # points that folds and heads are placed at

Start = Callable[[torch.Generator], Training]


def contenders(
    families: Sequence[str],
    data: Data,
    count: int,
    ground: tuple[str, bool],
    precision: torch.dtype,
    generator: torch.Generator,
) -> list[list[Start]]:
    """Every kind of critic that is asked for and that the metric allows, with all its ways to start.

    ``ground``: the name of the metric, and whether its anchors move.
    """
    metric, moving = ground
    if len(families) == 1 and families[0] in CONSTRAINTS and metric == "euclidean":
        return [[_penalised(data, families[0])]]
    for family in families:
        if family in CONSTRAINTS and metric == "euclidean":
            raise InputError(
                "family", f"{family!r} has no certificate that others could be held against", "use it alone"
            )
        if family not in (*FAMILIES, *CONSTRAINTS):
            raise InputError("family", f"{family!r} is unknown", f"use 'auto' or some of {list(FAMILIES)}")
        if family != "anchors" and metric != "euclidean":
            raise InputError(
                "family", f"{family!r} is 1-Lipschitz for 'euclidean' only, not {metric!r}", "use 'anchors'"
            )
    cones = _cones(data, count, metric) if moving else [_landmarks(data, count, one) for one in POLES]
    if metric == "euclidean" and "anchors" in families:
        cones += _within(data, count, generator)
    kinds: dict[str, list[list[Start]]] = {
        "anchors": [cones],
        "orthogonal": [[_smooth(data, precision)], [_folded(data, precision, one) for one in ("max", "min")]],
        "folds": [_folds(data, count)],
        "pieces": [[_pieces(data, count)]],
    }
    return [kind for family in families for kind in kinds[family]]


def rate_of(module: torch.nn.Module) -> float:
    """First step for a critic."""
    if isinstance(module, Penalised):
        return LEARN
    return TURN if isinstance(module, Orthogonal) else MOVE


def _anchors(data: Data, count: int, metric: str, poles: Poles, inner: bool) -> Start:
    """Anchors at centres of groups of the samples, or of their inner parts.

    Cones from random points of a sample all come to point at its middle where there are many columns and
    hundreds of tips, and are slow to leave; centres of groups are not. The mass that has moved farthest
    towards a tip lies within the rest, so groups of the inner points are closer to tips. Offsets start at 0:
    debiased entropic potentials of the centres led by a step or thirty, and in 128 columns astray.
    """

    def start(generator: torch.Generator) -> Training:
        tips = _tips(lambda side: _pool(data, side, inner, generator), count, poles, generator)
        module = Anchors(tips, poles=poles, metric=metric)
        return Training(f"anchors, {poles}{', inner' if inner else ''}", module, MOVE)

    return start


def _tips(points: Callable[[int], Tensor], count: int, poles: Poles, generator: torch.Generator) -> Tensor:
    """Centres of groups of the samples that have tips, as many of each."""
    sides = {"max": (0,), "min": (1,), "both": (0, 1)}[poles]
    seeds = [centres(points(side), count // len(sides), generator) for side in sides]
    fewest = min(len(part) for part in seeds)
    return torch.cat([part[:fewest] for part in seeds])


def _within(data: Data, count: int, generator: torch.Generator) -> list[Start]:
    """Anchors in the directions in which the samples differ, where these are few."""
    points = _seen(data, generator)
    of_first(*points)
    basis = differing(*points, generator)
    if basis is None:
        return []

    def way(poles: Poles) -> Start:
        def start(generator: torch.Generator) -> Training:
            inner = Anchors(_tips(lambda side: points[side] @ basis.T, count, poles, generator), poles=poles)
            name = f"anchors, {poles}, in {len(basis)} directions"
            return Training(name, Subspace(basis, inner), MOVE)

        return start

    return [way(poles) for poles in POLES]


def _landmarks(data: Data, count: int, poles: Poles) -> Start:
    def start(generator: torch.Generator) -> Training:
        del generator
        return Training(f"landmarks, {poles}", Landmarks(count, poles=poles).to(_like(data)), MOVE)

    return start


def _penalised(data: Data, constraint: Constraint) -> Start:
    def start(generator: torch.Generator) -> Training:
        module = Penalised(data.validation.x.shape[1], constraint, generator=generator)
        return Training(constraint, module.to(_like(data)), LEARN)

    return start


def _smooth(data: Data, precision: torch.dtype) -> Start:
    """A network that hardly folds at first: for a shift, a plane at once."""

    def start(generator: torch.Generator) -> Training:
        d = data.validation.x.shape[1]
        module = Orthogonal(d, width=units(d), generator=generator).to(_like(data))
        module.aim(*_seen(data, generator), generator)
        return Training("orthogonal", module, TURN, precision)

    return start


def _folded(data: Data, precision: torch.dtype, poles: Literal["max", "min"]) -> Start:
    """A network with heads for the groups of one sample.

    Steps of one with a single head cost as much and learn less: with 64 tips in 64 columns the gradient has
    a cosine of 0.83 with the true one after 600 steps, with one head 0.73.
    """

    def start(generator: torch.Generator) -> Training:
        d = data.validation.x.shape[1]
        heads = HEADS if data.plentiful else min(HEADS, max(2, _fewest(data) // GROUP))
        width = WIDTH if d > PLANE else WIDTH // 2
        module = Orthogonal(
            d, width=width, depth=DEPTH, activation="wave", heads=heads, poles=poles, generator=generator
        )
        module.to(_like(data)).settle(*_seen(data, generator), generator)
        return Training(f"orthogonal, {poles}", module, TURN, precision)

    return start


def _pieces(data: Data, count: int) -> Start:
    def start(generator: torch.Generator) -> Training:
        seeds = centres(_pool(data, 0, False, generator), count, generator)
        members = min(2 ** (seeds.shape[1] + 2), MEMBERS)
        module = Pieces(seeds.cpu(), members=members, generator=generator).to(_like(data))
        return Training("pieces", module, MOVE)

    return start


def _folds(data: Data, count: int) -> list[Start]:
    d = data.validation.x.shape[1]
    heads = count if d <= MANY else max(2, count // 2)

    def way(poles: Literal["max", "min"], inner: bool) -> Start:
        def start(generator: torch.Generator) -> Training:
            side = 1 if poles == "min" else 0
            seeds = centres(_pool(data, side, inner, generator), heads, generator)
            module = Folds(seeds.cpu(), poles=poles, generator=generator).to(_like(data))
            return Training(f"folds, {poles}{', inner' if inner else ''}", module, MOVE)

        return start

    few = not data.plentiful and INNER * _fewest(data) < GROUP * heads
    both: tuple[Literal["max"], Literal["min"]] = ("max", "min")
    return [way(poles, inner) for poles in both for inner in ((False,) if few else (False, True))]


def _cones(data: Data, count: int, metric: str) -> list[Start]:
    ways: list[tuple[Poles, bool]] = [("max", False), ("max", True), ("min", False), ("min", True)]
    ways.append(("both", False))
    if not data.plentiful and INNER * _fewest(data) < GROUP * count:
        ways = [(poles, inner) for poles, inner in ways if not inner]
    return [_anchors(data, count, metric, poles, inner) for poles, inner in ways]


def _seen(data: Data, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points of both samples in random order: of given ones the same on all processes."""
    if data.plentiful:
        return data.batch(HELD * rank_and_world()[1], generator)
    x, y = (
        part[torch.randperm(len(part), generator=generator)[:HELD].to(part.device)]
        for part in (data.train.x, data.train.y)
    )
    return x, y


@torch.no_grad()
def _pool(data: Data, side: int, inner: bool, generator: torch.Generator) -> Tensor:
    """Points of one sample, or the share of them that lies nearest to the middle of both."""
    if not data.plentiful:
        given = data.train.y if side else data.train.x
        most = POOL if inner else round(INNER * POOL)  # all distances to the centres are held at once
        order = torch.randperm(len(given), generator=generator)[:most]
        points = given[order.to(given.device)]
    else:
        size = POOL if inner else round(INNER * POOL)
        # Of several processes each draws a whole pool, and the anchors of the first are taken over.
        share = BLOCK * rank_and_world()[1]
        parts = [data.batch(share, generator)[side] for _ in range(size // BLOCK)]
        points = torch.cat(parts)
    if not inner:
        return points
    middle = (data.validation.x.mean(0) + data.validation.y.mean(0)) / 2
    near = (points - middle).norm(dim=1).topk(round(INNER * len(points)), largest=False)
    return points[near.indices]


def _fewest(data: Data) -> int:
    return min(len(data.train.x), len(data.train.y))


def _like(data: Data) -> torch.device:
    return data.validation.x.device
