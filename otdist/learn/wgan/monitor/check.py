"""Figures of one check of a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Check:
    """Figures of one check of a run on held-out data; None where a figure is undefined.

    Distances are in the units of the data (of the columns' spreads, if each has its own). Fakes are points of
    the averaged generator, unless said otherwise.

    Attributes
    ----------
    step : int
        Step of the generator.
    seconds : float
        Training time so far.
    n : int
        Points of a minibatch, half of the held-out points that were drawn.
    lower, upper : float
        Bounds of W1 between the distributions of the data and of the generator, with joint level 95 %.
        ``lower``: the mean difference of a 1-Lipschitz function, on points that it does not depend on.
        ``upper``: the estimate, which is biased upwards, and a margin for its noise.
    estimate : float
        Mean W1 between minibatches of held-out and fresh points.
    floor : float
        The same between two minibatches of held-out points.
    debiased : float
        Estimate less half of W1 between two minibatches of each distribution.
    debiased_error : float or None
        Standard error of ``debiased``: it is 0 for a perfect generator up to about two of them. None in runs
        of files without it.
    pvalue : float
        p-value of the permutation test by energy distance between two minibatches (of at most 1,024 points),
        large if fakes are indistinguishable from real points at this size.
    gap, heldout_gap : float
        Mean difference of the critic between training points, or held-out points, and the same fakes.
    heldout_gap_error, excess_error : float
        Standard errors of ``heldout_gap`` and of ``gap - heldout_gap``.
    gap_ratio : float or None
        Held-out gap of the critic as a share of the gap of the exact potential on the same points, or of its
        own gap if that is larger, so at most 1; fakes of the generator in training. None if the gap of the
        potential is within two standard errors of 0, or the critic has no unit.
    probe : float or None
        Relative increase of the critic's held-out gap after extra training steps on a copy; 0 if it is not
        significant, None if the gap is not, or n_critic is not "auto".
    slope, slope_99 : float
        Mean and 99th percentile of the critic's gradient norm on lines between real and fake points.
    score : float
        Largest deviation of a score of the critic from the mean score.
    gradient : float
        Norm of the gradient of the generator's loss.
    n_critic : int
        Steps of the critic for one of the generator, so far.
    precision, recall, density, coverage : float
        See :func:`~otdist.learn.neighbourhoods`.
    duplicates, real_duplicates : float
        Shares of fakes, and of real points, that have a near duplicate.
    vendi : float
        Vendi score of fakes, divided by the Vendi score of real points.
    spread : float
        Root mean square distance of fakes from their mean, divided by the same for real points.
    mean_error : float or None
        Distance of the mean of fakes from the mean of held-out points. None in runs of files without it.
    drift : float or None
        Distance by which the mean of fakes of the same latent numbers has moved since the last check. None
        for the first check, and in runs of files without it.
    memorisation_pvalue : float
        p-value, small if fakes are nearest to training points more often than by chance.
    closer : float
        Probability that a fake is nearer to the training points than a held-out point is; ideally 0.5.
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
    gap_ratio: float | None
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
    memorisation_pvalue: float
    closer: float
    # With defaults, since older files do not have them.
    debiased_error: float | None = None
    mean_error: float | None = None
    drift: float | None = None

    def to_dict(self) -> dict[str, float | None]:
        """Return names and values, for files."""
        return asdict(self)
