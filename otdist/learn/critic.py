"""The neural dual estimator: a 1-Lipschitz critic, trained, chosen and judged on points of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otdist.arrays import is_torch, read
from otdist.clouds import as_points
from otdist.errors import InputError
from otdist.learn.critics.confidence import Confidence
from otdist.learn.critics.fitted import Fitted
from otdist.learn.critics.fitting import Outcome, fit_samples, fit_streams
from otdist.learn.critics.judging import judged, require_metric
from otdist.learn.critics.race import Budget
from otdist.learn.critics.saved import read_critic, write_critic
from otdist.learn.critics.settings import SECONDS, Settings
from otdist.problem import Problem
from otdist.progress import working

Array = NDArray[np.float64]
Source = Callable[[int], Any]

FACTS = ("settings", "gaps", "history", "converged", "message", "confidence")  # kept with a critic


class Critic:
    r"""Kantorovich-Rubinstein critic: a 1-Lipschitz function that tells two samples, or two sources, apart.

    .. math:: W_1(P, Q) = \max_{|f(z) - f(z')| \le d(z, z')} \mathrm{E}_P f - \mathrm{E}_Q f

    Parameters
    ----------
    family : {"auto", "anchors", "orthogonal", "folds", "pieces"} or list of them
        Which critics enter the race: soft maxima and minima of distances to learned points
        (:class:`~otdist.learn.critics.Anchors`), orthogonal networks
        (:class:`~otdist.learn.critics.Orthogonal`, "euclidean" only), heads with folds of their own
        (:class:`~otdist.learn.critics.Folds`, "euclidean" only), affine pieces
        (:class:`~otdist.learn.critics.Pieces`, "euclidean" only). "auto": anchors and orthogonal networks.
        For comparison, alone and "euclidean" only: "gp", "lp", "clip", "spectral"
        (:class:`~otdist.learn.critics.Penalised`).
    metric : str or Metric
        Ground metric, as in :func:`otdist.w1`, but a function only within a :class:`~otdist.metrics.Metric`
        that says ``triangle=True``. Anchors move for "euclidean", "cityblock" and "chebyshev", and
        stay at random points of the samples for all others.
    anchors : int
        Learned points, at most; fewer on small samples.
    batch : int
        Points of each side in a step, over all processes.
    max_seconds : float, optional
        Time to train. None, without ``steps``: 30 s.
    steps : int, optional
        Steps to train, all trials together; the same seed then gives the same critic on the same machine.
    rng : int
        Seed.
    device : str
        "auto" takes CUDA, else MPS, else the CPU.
    precision : {"auto", "float32", "bfloat16"}
        Of products in orthogonal networks, in training only: what is reported is computed in float64. "auto"
        takes bfloat16 where the processor or GPU has instructions for it.
    level : float
        Probability of the confidence bounds.

    Attributes
    ----------
    gaps : dict
        ``mean f(x) - mean f(y)`` on the "train", "validation" and "test" points, in the units of the points.
        Only the last one is an unbiased estimate of a lower bound of W1 between the populations; and for
        "gp", "lp" and "clip" not even that: their "certified" is the last one divided by ``lipschitz``, and
        with "gp" their "corrected" is :func:`~otdist.learn.corrected_gap`, an estimate.
    confidence : Confidence
        Lower confidence bounds of W1 between the populations, from the test points.
    lipschitz : float
        Constant of the function that :meth:`__call__` computes, from above: 1, or less, for all kinds but
        "gp", "lp" and "clip".
    history : list of dict
        Validation gap after steps and seconds.
    converged : bool
        Whether training went to its end. If not, ``message`` says what happened.

    Notes
    -----
    Each kind of critic has a short trial; the one with the largest gap on the validation points gets the rest
    of the budget, and ends in the best state it had there. So what the test points say has not been chosen
    by. A gap on points that were trained on is biased upwards, the more the higher the dimension.

    Cost: O(batch d anchors) a step for anchors, O(batch width (d + depth width)) for orthogonal networks.
    Source: Arjovsky, Chintala, Bottou (2017) for the critic; Anil, Lucas, Grosse (2019) for orthogonal ones.
    Differs in that no constraint is left to a penalty. Not run on a GPU so far.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist.learn import Critic
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(4000, 2)), rng.normal(size=(4000, 2)) + [3.0, 0.0]
    >>> critic = Critic(steps=200, batch=256, anchors=64, rng=0).fit(x, y)
    >>> abs(critic.gaps["test"] - 3.0) < 0.3
    True
    >>> critic([[0.0, 0.0], [3.0, 0.0]]).shape
    (2,)
    """

    def __init__(
        self,
        *,
        family: str | Sequence[str] = "auto",
        metric: Any = "euclidean",
        anchors: int = 512,
        batch: int = 1024,
        max_seconds: float | None = None,
        steps: int | None = None,
        rng: int = 0,
        device: str = "auto",
        precision: str = "auto",
        level: float = 0.95,
    ) -> None:
        self.settings = Settings(family, anchors, batch, max_seconds, steps, rng, device, precision, level)
        self.metric = metric
        self.gaps: dict[str, float] = {}
        self.confidence: Confidence | None = None
        self.history: list[dict[str, Any]] = []
        self.converged, self.message = False, "Not fitted."
        self._fitted: Fitted | None = None

    def fit(
        self,
        x: ArrayLike | Source,
        y: ArrayLike | Source,
        a: ArrayLike | None = None,
        b: ArrayLike | None = None,
        *,
        resume: bool = False,
        progress: bool = False,
    ) -> Self:
        """Train on two samples, or on two sources of fresh points.

        Parameters
        ----------
        x, y : array_like, shape (n, d) and (m, d), or callables
            Samples; or functions that take a number and return as many new points, arrays or tensors.
        a, b : array_like, shape (n,) and (m,), optional
            Weights of given samples.
        resume : bool
            Go on with the critic there is, for another budget, in place of a new race.
        progress : bool
            Show the held-out lower bound rising, on standard error.

        Returns
        -------
        Critic
            This object.

        Raises
        ------
        InputError
            If samples are too small to be split (fewer than 20 rows), points are not finite, a source gives
            points of another shape, or nothing was fitted that could be resumed.
        """
        settings, former = self.settings, self._fitted if resume else None
        if resume and former is None:
            raise InputError("resume", "there is no fitted critic", "call fit without resume first")
        seconds = settings.max_seconds
        budget = Budget(SECONDS if seconds is None and settings.steps is None else seconds, settings.steps)
        with working(progress, "critic") as tell:
            if callable(x) and callable(y):
                outcome = fit_streams((x, y), self.metric, settings, budget, tell, former)
                sides = None
            elif callable(x) or callable(y):
                raise InputError("y", "is a sample and x a source, or the reverse", "give two of one kind")
            else:
                problem = Problem.of(x, y, a, b, metric=self.metric)
                require_metric(problem)
                outcome = fit_samples(problem.tamed(), settings, budget, tell, former)
                sides = (a is not None, b is not None)
        return self._take(outcome, sides)

    def __call__(self, z: ArrayLike) -> Any:
        """Evaluate the critic at points.

        Parameters
        ----------
        z : array_like, shape (k, d)
            Points, in the units of the samples.

        Returns
        -------
        ndarray, shape (k,)
            Values, large where the first sample is; a tensor (without gradient) where a tensor was given. For
            gradients in torch see :meth:`gradient`.

        Raises
        ------
        InputError
            If nothing is fitted, or the points have other columns or are not finite.
        """
        values = self.fitted.values(self._points(z))
        return _like(values, z)

    def gradient(self, z: ArrayLike) -> Any:
        """Gradient of the critic at points, shape (k, d): the direction in which a point of y should not go.

        Raises
        ------
        InputError
            As in calls; and for metrics without learned anchors.
        """
        return _like(self.fitted.gradient(self._points(z)), z)

    @property
    def fitted(self) -> Fitted:
        """What was trained; raises InputError if nothing was."""
        if self._fitted is None:
            raise InputError("critic", "is not fitted", "call fit(x, y) first")
        return self._fitted

    @property
    def lipschitz(self) -> float:
        """Lipschitz constant of the critic, from above."""
        return self.fitted.lipschitz

    @property
    def name(self) -> str:
        """Which kind of critic won."""
        return self.fitted.name

    def save(self, folder: str | Path) -> Path:
        """Write the critic to a folder: ``critic.safetensors`` and ``critic.json``, no pickle.

        Raises
        ------
        InputError
            If nothing is fitted, or the metric has no name by which it could be found again.
        """
        facts: dict[str, Any] = {
            "settings": asdict(self.settings),
            "gaps": self.gaps,
            "history": self.history,
        }
        facts |= {"converged": self.converged, "message": self.message}
        facts["confidence"] = None if self.confidence is None else self.confidence._asdict()
        return write_critic(Path(folder), self.fitted, facts)

    @classmethod
    def load(cls, folder: str | Path, device: str = "auto") -> Self:
        """Read a critic that :meth:`save` wrote.

        Raises
        ------
        InputError
            If files are missing, damaged or of another kind.
        """
        fitted, facts = read_critic(Path(folder), Settings(device=device).where(), FACTS)
        critic = cls(metric=fitted.frame.metric, **(facts["settings"] | {"device": device}))
        critic._fitted = fitted
        critic.gaps, critic.history = facts["gaps"], facts["history"]
        critic.converged, critic.message = facts["converged"], facts["message"]
        critic.confidence = None if facts["confidence"] is None else Confidence(**facts["confidence"])
        return critic

    def __repr__(self) -> str:
        if self._fitted is None:
            return "Critic(not fitted)"
        return f"Critic({self.name}, held-out lower bound {self.gaps['test']:.4g})"

    def _points(self, z: ArrayLike) -> Array:
        points = as_points(read(z, "z"), "z")
        frame = self.fitted.frame
        columns = len(frame.centre)
        if points.shape[1] != columns:
            raise InputError("z", f"has {points.shape[1]} columns, x has {columns}", "give the same columns")
        if not np.isfinite(points).all():
            row = int(np.argmax(~np.isfinite(points).all(axis=1)))
            raise InputError("z", f"row {row} is not finite", "drop it")
        if frame.metric.check is not None:
            frame.metric.check(points, "z", None)
        return points

    def _take(self, outcome: Outcome, weighted: tuple[bool, bool] | None) -> Self:
        self._fitted, self.history = outcome.critic, outcome.history
        self.converged, self.message = not outcome.trouble, outcome.trouble
        self.gaps, self.confidence = judged(outcome, weighted, self.settings.level)
        return self


def _like(values: Array, z: Any) -> Any:
    if not is_torch(z):
        return values
    import torch

    return torch.as_tensor(values, device=z.device, dtype=z.dtype if z.is_floating_point() else None)
