"""Candidates for model selection: critics of each family, and their initial parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from otdist.errors import InputError
from otdist.inputs.arguments import check_choice
from otdist.learn.constraints.certified import get_orthogonal_matrices
from otdist.learn.critics.families.affine import Pieces
from otdist.learn.critics.families.anchors import Anchors, Orientation
from otdist.learn.critics.families.folds import Folds
from otdist.learn.critics.families.kmeans import kmeans_centres as kmeans_centres
from otdist.learn.critics.families.landmarks import Landmarks
from otdist.learn.critics.families.orthogonal import Orthogonal, default_width
from otdist.learn.critics.families.penalised import CONSTRAINTS, Constraint, Penalised
from otdist.learn.critics.families.subspace import Subspace, find_differing_directions
from otdist.learn.critics.samples import Data
from otdist.learn.critics.training import Training
from otdist.learn.distributed import broadcast_from_first, rank_and_world_size

FAMILIES = ("anchors", "orthogonal", "folds", "pieces")
# Initial step sizes, in units of the spread of distances.
ANCHOR_RATE, ORTHOGONAL_RATE, PENALISED_RATE = 0.016, 0.01, 0.001
ORIENTATIONS: tuple[Orientation, ...] = ("max", "min", "both")
POOL_POINTS = 2**17  # fresh points from which inner points are taken
POOL_BATCH_POINTS = 2**13  # points drawn at a time for the pool
INNER_SHARE = 0.2  # share of the points, nearest to the middle, that count as inner
MAX_MEMBERS = 32  # affine functions in a group: enough to enclose a point in few columns
MIN_GROUP_POINTS = 4  # points per group, below which there are too few inner points
NETWORK_WIDTH, NETWORK_DEPTH, NETWORK_HEADS = 256, 4, 256  # of orthogonal networks with heads
WIDE_COLUMNS = 32  # columns above which half as many heads of Folds are enough
PLANE_COLUMNS = 2  # columns up to which half the network width is enough
PLACING_POINTS = 2**14  # points used to initialise folds and heads

Start = Callable[[torch.Generator], Training]


def make_candidates(
    families: Sequence[str],
    data: Data,
    count: int,
    metric_info: tuple[str, bool],
    precision: torch.dtype,
    generator: torch.Generator,
) -> list[list[Start]]:
    """List the requested critics that the metric allows, each with all its initialisations.

    ``metric_info``: the name of the metric, and whether its anchors are learned.
    """
    metric, learned = metric_info
    if len(families) == 1 and families[0] in CONSTRAINTS and metric == "euclidean":
        return [[_start_penalised(data, families[0])]]
    for family in families:
        if family in CONSTRAINTS and metric == "euclidean":
            raise InputError(
                "family",
                f"must be one name if it is {family!r}, whose bound is not comparable with the others",
                f"use family={family!r} alone",
            )
        check_choice(family, "family", ("auto", *FAMILIES, *CONSTRAINTS))
        if family != "anchors" and metric != "euclidean":
            raise InputError(
                "family",
                f"must be 'anchors' for metric={metric!r}, got {family!r}, which is 1-Lipschitz for "
                "metric='euclidean' only",
                "use family='anchors'",
            )
    if learned:
        anchor_starts = _anchor_starts(data, count, metric)
    else:
        anchor_starts = [_start_landmarks(data, count, orientation) for orientation in ORIENTATIONS]
    if metric == "euclidean" and "anchors" in families:
        anchor_starts += _subspace_starts(data, count, generator)
    kinds: dict[str, list[list[Start]]] = {
        "anchors": [anchor_starts],
        "orthogonal": [
            [_start_orthogonal(data, precision)],
            [_start_orthogonal_heads(data, precision, orientation) for orientation in ("max", "min")],
        ],
        "folds": [_folds_starts(data, count)],
        "pieces": [[_start_pieces(data, count)]],
    }
    return [starts for family in families for starts in kinds[family]]


def default_rate(module: torch.nn.Module) -> float:
    """Return the initial step size for a critic."""
    if isinstance(module, Penalised) and not get_orthogonal_matrices(module):
        return PENALISED_RATE
    return ORTHOGONAL_RATE if isinstance(module, Orthogonal | Penalised) else ANCHOR_RATE


def _start_anchors(data: Data, count: int, metric: str, orientation: Orientation, inner: bool) -> Start:
    """Start anchors at k-means centres of the samples, or of their inner points.

    With many columns and hundreds of apexes, cones that start at random points of a sample all drift to its
    middle and leave it slowly; cones that start at k-means centres do not. The mass that has moved farthest
    towards an apex lies inside the sample, so groups of inner points are closer to the apexes. Offsets start
    at 0: debiased entropic potentials of the centres saved at most thirty steps, and misled in 128 columns.
    """

    def start(generator: torch.Generator) -> Training:
        apexes = _apex_centres(
            lambda side: _draw_pool(data, side, inner, generator), count, orientation, generator
        )
        module = Anchors(apexes, orientation=orientation, metric=metric)
        return Training(f"anchors, {orientation}{', inner' if inner else ''}", module, ANCHOR_RATE)

    return start


def _apex_centres(
    points: Callable[[int], Tensor], count: int, orientation: Orientation, generator: torch.Generator
) -> Tensor:
    """Return k-means centres of the samples at the apexes, equally many of each."""
    sides = {"max": (0,), "min": (1,), "both": (0, 1)}[orientation]
    seeds = [kmeans_centres(points(side), count // len(sides), generator) for side in sides]
    fewest = min(len(part) for part in seeds)
    return torch.cat([part[:fewest] for part in seeds])


def _subspace_starts(data: Data, count: int, generator: torch.Generator) -> list[Start]:
    """Start anchors in the subspace in which the samples differ, if it has few dimensions."""
    points = _draw_placing_points(data, generator)
    broadcast_from_first(*points)
    basis = find_differing_directions(*points, generator)
    if basis is None:
        return []

    def make_start(orientation: Orientation) -> Start:
        def start(generator: torch.Generator) -> Training:
            apexes = _apex_centres(lambda side: points[side] @ basis.T, count, orientation, generator)
            inner = Anchors(apexes, orientation=orientation)
            name = f"anchors, {orientation}, in {len(basis)} directions"
            return Training(name, Subspace(basis, inner), ANCHOR_RATE)

        return start

    return [make_start(orientation) for orientation in ORIENTATIONS]


def _start_landmarks(data: Data, count: int, orientation: Orientation) -> Start:
    def start(generator: torch.Generator) -> Training:
        del generator
        return Training(
            f"landmarks, {orientation}",
            Landmarks(count, orientation=orientation).to(_device(data)),
            ANCHOR_RATE,
        )

    return start


def _start_penalised(data: Data, constraint: Constraint) -> Start:
    def start(generator: torch.Generator) -> Training:
        module = Penalised(data.validation.x.shape[1], constraint, generator=generator)
        return Training(constraint, module.to(_device(data)), PENALISED_RATE)

    return start


def _start_orthogonal(data: Data, precision: torch.dtype) -> Start:
    """Start a network with almost no folds: a shift is then met by a plane at once."""

    def start(generator: torch.Generator) -> Training:
        d = data.validation.x.shape[1]
        module = Orthogonal(d, width=default_width(d), generator=generator).to(_device(data))
        module.initialise_heads(*_draw_placing_points(data, generator), generator)
        return Training("orthogonal", module, ORTHOGONAL_RATE, precision)

    return start


def _start_orthogonal_heads(data: Data, precision: torch.dtype, orientation: Literal["max", "min"]) -> Start:
    """Start a network with one head for each group of one sample.

    A network with a single head costs as much per step and learns less: with 64 apexes in 64 columns its
    gradient has a cosine of 0.73 with the true one after 600 steps, and 0.83 with many heads.
    """

    def start(generator: torch.Generator) -> Training:
        d = data.validation.x.shape[1]
        heads = NETWORK_HEADS
        if not data.has_fresh_batches:
            heads = min(heads, max(2, _smaller_size(data) // MIN_GROUP_POINTS))
        width = NETWORK_WIDTH if d > PLANE_COLUMNS else NETWORK_WIDTH // 2
        module = Orthogonal(
            d,
            width=width,
            depth=NETWORK_DEPTH,
            activation="wave",
            heads=heads,
            orientation=orientation,
            generator=generator,
        )
        module.to(_device(data)).initialise(*_draw_placing_points(data, generator), generator)
        return Training(f"orthogonal, {orientation}", module, ORTHOGONAL_RATE, precision)

    return start


def _start_pieces(data: Data, count: int) -> Start:
    def start(generator: torch.Generator) -> Training:
        seeds = kmeans_centres(_draw_pool(data, 0, False, generator), count, generator)
        members = min(2 ** (seeds.shape[1] + 2), MAX_MEMBERS)
        module = Pieces(seeds.cpu(), members=members, generator=generator).to(_device(data))
        return Training("pieces", module, ANCHOR_RATE)

    return start


def _folds_starts(data: Data, count: int) -> list[Start]:
    d = data.validation.x.shape[1]
    heads = count if d <= WIDE_COLUMNS else max(2, count // 2)

    def make_start(orientation: Literal["max", "min"], inner: bool) -> Start:
        def start(generator: torch.Generator) -> Training:
            side = 1 if orientation == "min" else 0
            seeds = kmeans_centres(_draw_pool(data, side, inner, generator), heads, generator)
            module = Folds(seeds.cpu(), orientation=orientation, generator=generator).to(_device(data))
            return Training(f"folds, {orientation}{', inner' if inner else ''}", module, ANCHOR_RATE)

        return start

    too_few = not data.has_fresh_batches and INNER_SHARE * _smaller_size(data) < MIN_GROUP_POINTS * heads
    orientations: tuple[Literal["max"], Literal["min"]] = ("max", "min")
    inners = (False,) if too_few else (False, True)
    return [make_start(orientation, inner) for orientation in orientations for inner in inners]


def _anchor_starts(data: Data, count: int, metric: str) -> list[Start]:
    options: list[tuple[Orientation, bool]] = [("max", False), ("max", True), ("min", False), ("min", True)]
    options.append(("both", False))
    if not data.has_fresh_batches and INNER_SHARE * _smaller_size(data) < MIN_GROUP_POINTS * count:
        options = [(orientation, inner) for orientation, inner in options if not inner]
    return [_start_anchors(data, count, metric, orientation, inner) for orientation, inner in options]


def _draw_placing_points(data: Data, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return points of both samples in random order, the same on all processes if samples are given."""
    if data.has_fresh_batches:
        return data.batch(PLACING_POINTS * rank_and_world_size()[1], generator)
    x, y = (
        part[torch.randperm(len(part), generator=generator)[:PLACING_POINTS].to(part.device)]
        for part in (data.train.x, data.train.y)
    )
    return x, y


@torch.no_grad()
def _draw_pool(data: Data, side: int, inner: bool, generator: torch.Generator) -> Tensor:
    """Return points of one sample, or those nearest to the middle of both samples."""
    if not data.has_fresh_batches:
        sample = data.train.y if side else data.train.x
        # k-means holds all distances to the centres at once.
        count = POOL_POINTS if inner else round(INNER_SHARE * POOL_POINTS)
        order = torch.randperm(len(sample), generator=generator)[:count]
        points = sample[order.to(sample.device)]
    else:
        size = POOL_POINTS if inner else round(INNER_SHARE * POOL_POINTS)
        # Each process draws a whole pool, and all use the anchors of the first process.
        share = POOL_BATCH_POINTS * rank_and_world_size()[1]
        parts = [data.batch(share, generator)[side] for _ in range(size // POOL_BATCH_POINTS)]
        points = torch.cat(parts)
    if not inner:
        return points
    middle = (data.validation.x.mean(0) + data.validation.y.mean(0)) / 2
    nearest = (points - middle).norm(dim=1).topk(round(INNER_SHARE * len(points)), largest=False)
    return points[nearest.indices]


def _smaller_size(data: Data) -> int:
    return min(len(data.train.x), len(data.train.y))


def _device(data: Data) -> torch.device:
    return data.validation.x.device
