"""What a run looks like to data it has never seen: W1 bracketed, and more."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otdist.learn.evaluation import (
    duplicate_share,
    median_distance,
    memorisation,
    neighbourhoods,
    vendi_score,
)
from otdist.learn.wgan.bracket import Bracketed, Potential, bracketed, difference
from otdist.learn.wgan.check import Check
from otdist.learn.wgan.objectives import generator_loss
from otdist.learn.wgan.probe import NOISE, probe
from otdist.learn.wgan.real import Real
from otdist.learn.wgan.state import State
from otdist.learn.wgan.stopping import TESTED, energy_pvalue

NEIGHBOURS = 5
KINDS = 256  # points of a Vendi score: its cost is their cube
JUDGED = 2048  # points of either kind that the critic judges, or more where a check has more
SEEN = 4096  # training points that fakes are held against, fewer where points are long
ENTRIES = 2**22  # numbers of them in all
SAME = 5  # of the seeds of a run: 0 to 3 are its streams, 6 its strips, 7 its networks
UNITS = ("orthogonal", "spectral", "gp", "lp")  # constraints whose critics have slopes of 1


@torch.no_grad()
def look(state: State, real: Real, seconds: float, last: Check | None = None) -> Check:
    """Check a run against data kept aside; of training, only the stream "check" moves.

    The check before, if there was one, knows the floor: held-out points are the same every time.
    """
    n = min(state.settings.check_points, len(real.heldout) // 2)
    constant = state.constant()
    # The critic has seen no held-out point: where its slopes are bounded, its gap is a bound as well.
    known = math.isfinite(constant) and state.settings.packing == 1
    fixed, made = _same(state, real, 2 * n)
    critic = _critic(state, constant) if known else None
    floor = None if last is None else last.floor / real.scale.length
    seen = bracketed(_array(fixed[: 2 * n]), _array(made), critic, floor=floor)
    lengths = _distances(seen, real.scale.length, last)
    heldout = _rows(state, real.heldout, max(2 * n, JUDGED))
    fresh = fakes(state, len(heldout))
    x, y = _array(heldout[: 2 * n]), _array(fresh[: 2 * n])
    train = _array(_rows(state, real.train, min(SEEN, ENTRIES // state.d)))
    judged = _judged(state, real, heldout, fresh, constant)
    return Check(
        step=state.step,
        seconds=seconds,
        n=n,
        **lengths,
        pvalue=energy_pvalue(x[:n][:TESTED], y[:n][:TESTED], _seed(state)),
        **judged,
        reach=_reach(state, fixed[n : 2 * n], seen.potential, constant),
        **_critic_now(state, real, heldout),
        **_fakes(x, y, train, _seed(state)),
        n_critic=state.n_critic,
    )


def fakes(
    state: State,
    size: int,
    *,
    averaged: bool = True,
    grad: bool = False,
    stream: torch.Generator | None = None,
) -> Tensor:
    """Points (size, d) for a check: of the averaged generator, which is what a user samples, or the other."""
    stream = state.streams["check"] if stream is None else stream
    z = torch.randn(size, state.latent, generator=stream).to(state.device)
    module = state.average if averaged else state.generator
    module.eval()
    with torch.set_grad_enabled(grad):
        return module(z).flatten(1).float()


def _same(state: State, real: Real, size: int) -> tuple[Tensor, Tensor]:
    """All held-out points in a fixed order, and fakes of fixed latent numbers.

    What differs between two checks is then the generator alone: their noise is common, and W1 that falls by a
    fraction of it is seen to fall.
    """
    stream = torch.Generator().manual_seed(state.seed * 8 + SAME)
    order = torch.randperm(len(real.heldout), generator=stream)
    return real.heldout[order.to(real.heldout.device)], fakes(state, size, stream=stream)


def _distances(seen: Bracketed, length: float, last: Check | None) -> dict[str, float]:
    names = ("lower", "upper", "estimate", "floor", "debiased")
    found = {name: getattr(seen, name) * length for name in names}
    return found if last is None else found | {"floor": last.floor}  # to the bit


def _judged(state: State, real: Real, heldout: Tensor, fresh: Tensor, constant: float) -> dict[str, Any]:
    """What the critic makes of training points and of held-out ones, against the same fakes."""
    length = real.scale.length / ((constant if math.isfinite(constant) else 1.0) * state.settings.packing)
    train = _scored(state, _rows(state, real.train, JUDGED))
    held, made = _scored(state, heldout), _scored(state, fresh)
    heldout_gap, error = difference(held, made)
    excess, excess_error = difference(train, held)
    scores = np.concatenate([train, held, made])
    return {
        "gap": (heldout_gap + excess) * length,
        "heldout_gap": heldout_gap * length,
        "heldout_gap_error": error * length,
        "excess_error": excess_error * length,
        "score": float(np.abs(scores - scores.mean()).max()),
    }


def _critic_now(state: State, real: Real, heldout: Tensor) -> dict[str, Any]:
    """The critic against the generator that it was trained against, which the averaged one lags behind."""
    x, y = (_packed(state, points) for points in (heldout, fakes(state, len(heldout), averaged=False)))
    # Its steps cost as much as the rest of a check, so it is made where something follows from it.
    follows = state.settings.n_critic == "auto"
    return {
        "probe": probe(state, real.train, x, y) if follows else None,
        **_slopes(state, x, y),
        "gradient": _gradient(state),
    }


def _reach(state: State, x: Tensor, potential: Potential, constant: float) -> float | None:
    """Gap of the critic as a share of that of a potential, on points that neither was made from."""
    s = state.settings
    if s.objective != "w1" or s.packing > 1 or s.constraint not in UNITS:
        return None
    y = fakes(state, len(x), averaged=False)
    there, error = difference(potential(_array(x)), potential(_array(y)))
    if not there > NOISE * error:
        return None
    unit = constant if math.isfinite(constant) else 1.0
    return difference(_scored(state, x), _scored(state, y))[0] / unit / there


def _slopes(state: State, x: Tensor, y: Tensor) -> dict[str, float]:
    """Mean and 99th percentile of the norm of the critic's gradient on lines between points."""
    t = torch.rand(len(x), 1, generator=state.streams["check"]).to(x.device)
    with torch.enable_grad():
        places = (y + t * (x - y)).requires_grad_()
        (gradient,) = torch.autograd.grad(state.scores(places).sum(), places)
    norms = gradient.double().norm(dim=1).cpu().numpy()
    return {"slope": float(norms.mean()), "slope_99": float(np.quantile(norms, 0.99))}


def _gradient(state: State) -> float:
    """Norm of the gradient that moves the generator."""
    s = state.settings
    moved = [p for p in state.generator.parameters() if p.requires_grad]
    with torch.enable_grad():
        packed = state.pack(fakes(state, s.batch_size, averaged=False, grad=True))
        loss = generator_loss(s.objective, state.scores(packed)) / len(packed)
        parts = torch.autograd.grad(loss, moved, allow_unused=True)
    return math.sqrt(sum(float(part.double().square().sum()) for part in parts if part is not None))


def _fakes(
    x: NDArray[np.float64], y: NDArray[np.float64], train: NDArray[np.float64], seed: int
) -> dict[str, float]:
    """Quality, diversity and copies of fakes y, against held-out points x."""
    n = len(x) // 2
    shares = neighbourhoods(x[:n], y[:n], min(NEIGHBOURS, n - 1))
    repeated = duplicate_share(y[:n], x[:n])
    few, made = x[:n][:KINDS], y[:n][:KINDS]
    width = median_distance(few)
    near = memorisation(y[:n], train, x, rng=seed)
    return {
        **shares._asdict(),
        "duplicates": repeated.share,
        "real_duplicates": repeated.expected,
        "vendi": vendi_score(made, bandwidth=width) / vendi_score(few, bandwidth=width),
        "spread": math.sqrt(float(y.var(0).sum() / x.var(0).sum())),
        "memorised": near.pvalue,
        "nearer": near.closer,
    }


def _critic(state: State, constant: float) -> Potential:
    """The critic as a 1-Lipschitz function."""

    def potential(z: NDArray[np.float64]) -> NDArray[np.float64]:
        return _scored(state, torch.from_numpy(z).float().to(state.device)) / constant

    return potential


def _scored(state: State, points: Tensor) -> NDArray[np.float64]:
    state.critic.eval()
    return np.asarray(state.scores(_packed(state, points)).double().cpu().numpy())


def _packed(state: State, points: Tensor) -> Tensor:
    """Whole packs of points; what is left over is left out."""
    return state.pack(points[: len(points) // state.settings.packing * state.settings.packing])


def _rows(state: State, points: Tensor, size: int) -> Tensor:
    """Rows in random order, without replacement, so that disjoint parts are independent."""
    order = torch.randperm(len(points), generator=state.streams["check"])[:size]
    return points[order.to(points.device)]


def _seed(state: State) -> int:
    return int(torch.randint(2**31, (), generator=state.streams["check"]))


def _array(points: Tensor) -> NDArray[np.float64]:
    return np.asarray(points.double().cpu().numpy())
