"""Check of a run on held-out data: bracket of W1, gaps of the critic, and quality measures."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from otdist.learn.evaluation import (
    duplicate_share,
    median_distance,
    memorisation,
    neighbourhoods,
    vendi_score,
)
from otdist.learn.wgan.monitor.best import BestGenerator, CheckArrays
from otdist.learn.wgan.monitor.bracket import (
    MISS_PROBABILITY,
    Potential,
    SampleBracket,
    bracket_w1,
    mean_difference,
    standard_error,
)
from otdist.learn.wgan.monitor.check import Check
from otdist.learn.wgan.monitor.probe import NOISE_ERRORS, probe
from otdist.learn.wgan.monitor.stopping import MAX_TEST_POINTS, energy_pvalue
from otdist.learn.wgan.objectives import PAIRED_OBJECTIVES, generator_loss
from otdist.learn.wgan.real import RealData
from otdist.learn.wgan.state import State
from otdist.typing import Array

N_NEIGHBOURS = 5
VENDI_POINTS = 256  # points of a Vendi score, whose cost is cubic
CRITIC_POINTS = 2048  # fewest real and fake points for the gaps of the critic
MAX_TRAIN_POINTS = 4096  # training points that fakes are compared with
MAX_TRAIN_ENTRIES = 2**22  # entries of these points
MEMORISATION_FAKES = 1024  # fakes, and at most as many held-out points, whose nearest points are compared
# Of the seeds of a run: 0 to 3 are its streams, 6 its snapshots, 7 its networks.
FINAL_SEED, COMMON_SEED = 4, 5
# Constraints that keep the gradient norm at 1.
UNIT_CONSTRAINTS = ("orthogonal", "spectral", "gp", "lp", "own")


@torch.no_grad()
def run_check(
    state: State,
    real: RealData,
    seconds: float,
    last: Check | None = None,
    arrays: CheckArrays | None = None,
) -> Check:
    """Check a run on held-out data; of the training state, only the stream "check" changes.

    The floor is taken from the last check, if there is one, since the held-out points are the same.
    ``arrays`` are those of the last check, and become those of this one.
    """
    arrays = CheckArrays() if arrays is None else arrays
    n = min(state.settings.check_points, len(real.heldout) // 2)
    constant = state.constant()
    fixed_heldout, fixed_fakes = _common_samples(state, real, 2 * n)
    critic = _certified_potential(state, constant)
    bracket = bracket_w1(_to_numpy(fixed_heldout[: 2 * n]), _to_numpy(fixed_fakes), critic)
    lengths = _scale_distances(bracket, real.scale.distance_unit, last)
    mean_error, drift = _move_mean(arrays, fixed_heldout[: 2 * n], fixed_fakes, real.scale.distance_unit)
    arrays.influence = torch.from_numpy(bracket.influence * real.scale.distance_unit)
    heldout = _random_rows(state, real.heldout, max(2 * n, CRITIC_POINTS))
    fresh = generate_fakes(state, max(len(heldout), MEMORISATION_FAKES))
    x, y = _to_numpy(heldout[: 2 * n]), _to_numpy(fresh[: 2 * n])
    train = _to_numpy(_random_rows(state, real.train, min(MAX_TRAIN_POINTS, MAX_TRAIN_ENTRIES // state.d)))
    gaps = _critic_gaps(state, real, heldout, fresh[: len(heldout)], constant)
    return Check(
        step=state.step,
        seconds=seconds,
        n=n,
        **lengths,
        pvalue=energy_pvalue(x[:n][:MAX_TEST_POINTS], y[:n][:MAX_TEST_POINTS], _draw_seed(state)),
        **gaps,
        gap_ratio=_gap_ratio(state, fixed_heldout[n : 2 * n], bracket.potential, constant),
        **_current_critic_figures(state, real, heldout),
        **_sample_measures(x, y),
        **_memorisation_figures(fresh, train, heldout, _draw_seed(state)),
        mean_error=mean_error,
        drift=drift,
        n_critic=state.n_critic,
    )


@torch.no_grad()
def evaluate_best(state: State, real: RealData, best: BestGenerator, n_checks: int) -> Check | None:
    """Evaluate the distances of the best check anew, with fresh latent numbers; None without a check.

    The check was chosen among several by its distance to these held-out points, so its own figures are
    optimistic. Fresh latent numbers take away the part of the fakes. For the part of the held-out points the
    bounds have the level that all checks have jointly: each may miss W1 in 2.5 % of cases over ``n_checks``
    (Bonferroni).
    """
    if best.check is None:
        return None
    n, length, constant = best.check.n, real.scale.distance_unit, state.constant()
    heldout, _ = _common_samples(state, real, 2 * n)
    stream = torch.Generator().manual_seed(state.seed * 8 + FINAL_SEED)
    fakes = generate_fakes(state, 2 * n, stream=stream, module=best.load_into(state.average))
    critic = _certified_potential(state, constant)
    miss = MISS_PROBABILITY / n_checks
    bracket = bracket_w1(_to_numpy(heldout), _to_numpy(fakes), critic, miss=miss)
    distances: dict[str, Any] = _scale_distances(bracket, length, best.check)
    return replace(best.check, **distances)


def generate_fakes(
    state: State,
    size: int,
    *,
    averaged: bool = True,
    grad: bool = False,
    stream: torch.Generator | None = None,
    module: nn.Module | None = None,
) -> Tensor:
    """Generate points (size, d) for a check, by the averaged generator, the one in training, or another."""
    stream = state.streams["check"] if stream is None else stream
    z = torch.randn(size, state.latent, generator=stream).to(state.device)
    if module is None:
        module = state.average if averaged else state.generator
    module.eval()
    with torch.set_grad_enabled(grad):
        return module(z).flatten(1).float()


def _common_samples(state: State, real: RealData, size: int) -> tuple[Tensor, Tensor]:
    """Return the first held-out points in a fixed order, and fakes of fixed latent numbers.

    Two checks then differ by the generator alone: they share their noise, so a decrease of W1 by a fraction
    of the noise is detected.
    """
    stream = torch.Generator().manual_seed(state.seed * 8 + COMMON_SEED)
    order = torch.randperm(len(real.heldout), generator=stream)
    rows = real.heldout[order.to(real.heldout.device)[:size]].to(state.device)
    return rows, generate_fakes(state, size, stream=stream)


def _scale_distances(bracket: SampleBracket, length: float, last: Check | None) -> dict[str, Any]:
    names = ("lower", "upper", "estimate", "floor", "debiased")
    distances = {name: getattr(bracket, name) * length for name in names}
    distances["debiased_error"] = standard_error(bracket.influence) * length
    return distances if last is None else distances | {"floor": last.floor}  # bit by bit


def _move_mean(
    arrays: CheckArrays, heldout: Tensor, fakes: Tensor, length: float
) -> tuple[float, float | None]:
    """Store the mean of the fakes, and return its distance from the real mean and from the last one."""
    mean, last_mean = fakes.cpu().double().mean(0), arrays.mean
    arrays.mean = mean
    error = float((mean - heldout.cpu().double().mean(0)).norm()) * length
    return error, None if last_mean is None else float((mean - last_mean).norm()) * length


def _critic_gaps(
    state: State, real: RealData, heldout: Tensor, fresh: Tensor, constant: float
) -> dict[str, float]:
    """Compute the critic's gaps on training and on held-out points, against the same fakes."""
    length = real.scale.distance_unit / (
        (constant if math.isfinite(constant) else 1.0) * state.settings.packing
    )
    train = _critic_scores(state, _random_rows(state, real.train, CRITIC_POINTS))
    heldout_scores, fixed_fakes = _critic_scores(state, heldout), _critic_scores(state, fresh)
    heldout_gap, error = mean_difference(heldout_scores, fixed_fakes)
    excess, excess_error = mean_difference(train, heldout_scores)
    scores = np.concatenate([train, heldout_scores, fixed_fakes])
    return {
        "gap": (heldout_gap + excess) * length,
        "heldout_gap": heldout_gap * length,
        "heldout_gap_error": error * length,
        "excess_error": excess_error * length,
        "score": float(np.abs(scores - scores.mean()).max()),
    }


def _current_critic_figures(state: State, real: RealData, heldout: Tensor) -> dict[str, Any]:
    """Compute figures of the critic against the generator in training, which the average lags behind."""
    x, y = (_pack(state, points) for points in (heldout, generate_fakes(state, len(heldout), averaged=False)))
    # The probe costs as much as the rest of a check, so it runs only if n_critic depends on it.
    is_adaptive = state.settings.n_critic == "auto"
    return {
        "probe": probe(state, real.train, x, y) if is_adaptive else None,
        **_grad_norms(state, x, y),
        "gradient": _generator_grad_norm(state, x),
    }


@torch.no_grad()
def probe_critic(state: State, real: RealData) -> float | None:
    """Probe the critic between two checks; of the training state, only the stream "check" changes."""
    heldout = _random_rows(state, real.heldout, max(2 * state.settings.check_points, CRITIC_POINTS))
    x, y = (_pack(state, points) for points in (heldout, generate_fakes(state, len(heldout), averaged=False)))
    return probe(state, real.train, x, y)


def _gap_ratio(state: State, x: Tensor, potential: Potential, constant: float) -> float | None:
    """Return the critic's gap divided by the gap of a potential, on points that neither depends on."""
    s = state.settings
    if s.objective != "w1" or s.packing > 1 or s.constraint not in UNIT_CONSTRAINTS:
        return None
    y = generate_fakes(state, len(x), averaged=False)
    potential_gap, error = mean_difference(potential(_to_numpy(x)), potential(_to_numpy(y)))
    if not potential_gap > NOISE_ERRORS * error:
        return None
    scale = constant if math.isfinite(constant) else 1.0
    gap = mean_difference(_critic_scores(state, x), _critic_scores(state, y))[0] / scale
    # The potential of few points is not the best function on others, so a critic can do better.
    return gap / max(gap, potential_gap)


def _grad_norms(state: State, x: Tensor, y: Tensor) -> dict[str, float]:
    """Return mean and 99th percentile of the critic's gradient norm on lines between points."""
    t = torch.rand(len(x), 1, generator=state.streams["check"]).to(x.device)
    with torch.enable_grad():
        points_between = (y + t * (x - y)).requires_grad_()
        (gradient,) = torch.autograd.grad(state.scores(points_between).sum(), points_between)
    norms = gradient.cpu().double().norm(dim=1).numpy()
    return {"slope": float(norms.mean()), "slope_99": float(np.quantile(norms, 0.99))}


def _generator_grad_norm(state: State, packed_heldout: Tensor) -> float:
    """Return the norm of the gradient of the generator's loss."""
    s = state.settings
    parameters = [p for p in state.generator.parameters() if p.requires_grad]
    with torch.enable_grad():
        packed = state.pack(generate_fakes(state, s.batch_size, averaged=False, grad=True))
        # Pairs of real points and fakes, for objectives that compare them; held-out points may be fewer.
        rows = torch.arange(len(packed), device=packed.device) % len(packed_heldout)
        real = state.scores(packed_heldout[rows]) if s.objective in PAIRED_OBJECTIVES else None
        loss = generator_loss(s.objective, state.scores(packed), real) / len(packed)
        parts = torch.autograd.grad(loss, parameters, allow_unused=True)
    return math.sqrt(sum(float(part.cpu().double().square().sum()) for part in parts if part is not None))


def _memorisation_figures(fresh: Tensor, train: Array, heldout: Tensor, seed: int) -> dict[str, float]:
    """Compare the nearest neighbours of fakes among training and held-out points.

    The labels "training" and "held out" are permuted, so the test is valid for any number of fakes. With no
    more fakes than half of the held-out points, copies of some hundred rows would never be significant.
    """
    fakes = _to_numpy(fresh[:MEMORISATION_FAKES])
    result = memorisation(fakes, train, _to_numpy(heldout[:MEMORISATION_FAKES]), rng=seed)
    return {"memorisation_pvalue": result.pvalue, "closer": result.closer}


def _sample_measures(x: Array, y: Array) -> dict[str, float]:
    """Compute quality and diversity of fakes y, compared with held-out points x."""
    n = len(x) // 2
    shares = neighbourhoods(x[:n], y[:n], min(N_NEIGHBOURS, n - 1))
    duplicates = duplicate_share(y[:n], x[:n])
    subset, fixed_fakes = x[:n][:VENDI_POINTS], y[:n][:VENDI_POINTS]
    width = median_distance(subset)
    return {
        **shares._asdict(),
        "duplicates": duplicates.share,
        "real_duplicates": duplicates.expected,
        "vendi": vendi_score(fixed_fakes, bandwidth=width) / vendi_score(subset, bandwidth=width),
        "spread": math.sqrt(float(y.var(0).sum() / x.var(0).sum())),
    }


def _certified_potential(state: State, constant: float) -> Potential | None:
    """Return the critic as a 1-Lipschitz function; None if its constant is unknown, or it scores packs.

    The critic does not depend on held-out points, so the gap of this function on them is a bound of W1.
    """
    if not math.isfinite(constant) or state.settings.packing > 1:
        return None

    def potential(z: Array) -> Array:
        return _critic_scores(state, torch.from_numpy(z).float().to(state.device)) / constant

    return potential


def _critic_scores(state: State, points: Tensor) -> Array:
    state.critic.eval()
    return np.asarray(state.scores(_pack(state, points)).cpu().double().numpy())


def _pack(state: State, points: Tensor) -> Tensor:
    """Return whole packs of points, without the remainder."""
    return state.pack(points[: len(points) // state.settings.packing * state.settings.packing])


def _random_rows(state: State, points: Tensor, size: int) -> Tensor:
    """Draw rows without replacement, so that disjoint parts are independent."""
    order = torch.randperm(len(points), generator=state.streams["check"])[:size]
    return points[order.to(points.device)].to(state.device)


def _draw_seed(state: State) -> int:
    return int(torch.randint(2**31, (), generator=state.streams["check"]))


def _to_numpy(points: Tensor) -> Array:
    return np.asarray(points.cpu().double().numpy())
