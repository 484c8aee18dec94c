"""What a run looks like to data it has never seen: W1 bracketed, and more."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from otdist.learn.wgan.real import Real
from otdist.learn.wgan.state import State

DRAWS = 2  # independent pairs of minibatches in a check
NORMAL = 1.6448536269514722  # one-sided 95 %


@dataclass(frozen=True)
class Check:
    """Figures of one check; distances in the units of the data (of columns' spreads, where each has its own).

    Attributes
    ----------
    step : int
        Of the generator.
    seconds : float
        Of training until then.
    lower : float
        At 95 % below W1 between the law of the data and that of the generator: from a potential, on points
        that it was not made from.
    upper : float
        At 95 % above it: W1 between samples is larger than between laws, on average.
    estimate : float
        Mean W1 between minibatches of held-out and fresh points.
    floor : float
        The same between minibatches of real points.
    debiased : float
        Estimate less half of what minibatches of one law are apart, on either side.
    gap, heldout_gap : float
        What the critic makes of training batches and of held-out ones.
    n : int
        Points of a minibatch.
    """

    step: int
    seconds: float
    lower: float
    upper: float
    estimate: float
    floor: float
    debiased: float
    gap: float
    heldout_gap: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Names and values, for files."""
        return asdict(self)


@torch.no_grad()
def look(state: State, real: Real, seconds: float) -> Check:
    """Check a run against data kept aside; of training, only the stream "check" moves."""
    n = min(state.settings.check_points, len(real.heldout) // 2, len(real.train))
    length = real.scale.length
    pairs, potentials = [], []
    for _ in range(DRAWS):
        x, y = _rows(state, real.heldout, 2 * n), _fresh(state, 2 * n)
        result = _w1(x[:n], y[:n])
        pairs.append(float(result))
        potentials.append(_gap(result.critic, x[n:], y[n:]))
    floor = [float(_w1(*_rows(state, real.heldout, 2 * n).chunk(2))) for _ in range(DRAWS)]
    itself = float(_w1(*_fresh(state, 2 * n).chunk(2)))
    lower = _lower(state, real, potentials, n)
    spread = float(np.std([*pairs], ddof=1)) / math.sqrt(DRAWS) if DRAWS > 1 else 0.0
    upper = float(np.mean(pairs)) + 2 * NORMAL * spread
    estimate = float(np.mean(pairs))
    gap, heldout_gap = _gaps(state, real, n)
    return Check(
        step=state.step,
        seconds=seconds,
        lower=max(lower, 0.0) * length,
        upper=upper * length,
        estimate=estimate * length,
        floor=float(np.mean(floor)) * length,
        debiased=(estimate - (float(np.mean(floor)) + itself) / 2) * length,
        gap=gap * length,
        heldout_gap=heldout_gap * length,
        n=n,
    )


def _w1(x: Tensor, y: Tensor) -> Any:
    import otdist

    return otdist.w1(x.double().cpu().numpy(), y.double().cpu().numpy())


def _rows(state: State, points: Tensor, size: int) -> Tensor:
    order = torch.randperm(len(points), generator=state.streams["check"])[:size]
    return points[order.to(points.device)]


def _fresh(state: State, size: int) -> Tensor:
    """Points of the averaged generator: what a user samples."""
    z = torch.randn(size, state.latent, generator=state.streams["check"]).to(state.device)
    state.average.eval()
    return state.average(z).flatten(1).float()


def _gap(potential: Any, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Gap of a potential on points it was not made from, and its standard error."""
    f, g = potential(x.double().cpu().numpy()), potential(y.double().cpu().numpy())
    return float(np.mean(f) - np.mean(g)), math.sqrt(np.var(f, ddof=1) / len(f) + np.var(g, ddof=1) / len(g))


def _lower(state: State, real: Real, potentials: list[tuple[float, float]], n: int) -> float:
    """Lower bound at 95 %: the better of two, each at 97.5 %."""
    margin = 1.959963984540054
    gaps, errors = zip(*potentials, strict=True)
    bounds = [float(np.mean(gaps)) - margin * math.sqrt(float(np.square(errors).sum())) / len(errors)]
    constant = state.constant()
    if math.isfinite(constant) and state.settings.packing == 1:
        state.critic.eval()
        x, y = _rows(state, real.heldout, 2 * n), _fresh(state, 2 * n)
        f, g = (state.scores(z).double().cpu().numpy() / constant for z in (x, y))
        error = math.sqrt(np.var(f, ddof=1) / len(f) + np.var(g, ddof=1) / len(g))
        bounds.append(float(f.mean() - g.mean()) - margin * error)
    return max(bounds)


def _gaps(state: State, real: Real, n: int) -> tuple[float, float]:
    """What the critic makes of training points and of held-out ones, against the same kind of fakes."""
    constant = state.constant()
    unit = (constant if math.isfinite(constant) else 1.0) * state.settings.packing
    size = 2 * n // state.settings.packing * state.settings.packing
    state.critic.eval()
    fake = state.scores(state.pack(_fresh(state, size))).mean()
    means = [
        state.scores(
            state.pack(
                _rows(state, part, size)[: len(part) // state.settings.packing * state.settings.packing]
            )
        ).mean()
        for part in (real.train, real.heldout)
    ]
    return float(means[0] - fake) / unit, float(means[1] - fake) / unit
