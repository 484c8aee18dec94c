"""The figures of a check."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Check:
    """Figures of one check of a run, on data kept aside; None where one cannot be had.

    Distances are in the units of the data (of the columns' spreads, where each has its own). Fakes are those
    of the averaged generator, unless said otherwise.

    Attributes
    ----------
    step : int
        Of the generator.
    seconds : float
        Of training until then.
    n : int
        Points of a minibatch: half of the held-out points that were drawn.
    lower, upper : float
        Together at 95 % around W1 between the law of the data and that of the generator. ``lower``: the mean
        difference of a 1-Lipschitz function, on points it was not made from. ``upper``: the estimate, which
        is too large on average, and a margin for its noise.
    estimate : float
        Mean W1 between minibatches of held-out and fresh points.
    floor : float
        The same between two minibatches of held-out points.
    debiased : float
        Estimate less half of what two minibatches of one law are apart, for either law.
    pvalue : float
        Of the permutation test by energy distance between two minibatches (of 1,024 points at most): large if
        fakes cannot be told from real points at this size.
    gap, heldout_gap : float
        What the critic makes of training points and of held-out ones, against the same fakes.
    heldout_gap_error, excess_error : float
        Standard errors of ``heldout_gap`` and of ``gap - heldout_gap``.
    reach : float or None
        Held-out gap of the critic as a share of that of the transport's potential, on the same points; fakes
        of the generator as it trains. None where there is no distance to reach, or no unit to measure it in.
    probe : float or None
        How much that gap rises when a copy of the critic makes further steps, as a share of the gap after
        them; 0 where that is noise, None where the gap is, and where n_critic is not "auto".
    slope, slope_99 : float
        Mean and 99th percentile of the critic's slopes on lines between real and fake points.
    score : float
        Largest distance of a score of the critic from the mean score.
    gradient : float
        Norm of the gradient of the generator's loss.
    n_critic : int
        Steps of the critic for one of the generator, until then.
    precision, recall, density, coverage : float
        See :func:`~otdist.learn.neighbourhoods`.
    duplicates, real_duplicates : float
        Shares of fakes, and of real points, with a near duplicate.
    vendi : float
        Vendi score of fakes, as a share of that of real points.
    spread : float
        Root mean square distance of fakes from their mean, as a share of that of real points.
    memorised : float
        p-value: small if fakes are nearest to training points more often than chance has it.
    nearer : float
        Chance that a fake is nearer to the training points than a held-out point is; 0.5 is right.
    """

    step: int
    seconds: float
    n: int
    lower: float
    upper: float
    estimate: float
    floor: float
    debiased: float
    pvalue: float
    gap: float
    heldout_gap: float
    heldout_gap_error: float
    excess_error: float
    reach: float | None
    probe: float | None
    slope: float
    slope_99: float
    score: float
    gradient: float
    n_critic: int
    precision: float
    recall: float
    density: float
    coverage: float
    duplicates: float
    real_duplicates: float
    vendi: float
    spread: float
    memorised: float
    nearer: float

    def to_dict(self) -> dict[str, Any]:
        """Names and values, for files."""
        return asdict(self)
