"""Neural dual estimator of W1: a 1-Lipschitz critic with training, validation and test points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Self

from otdist.errors import InputError
from otdist.inputs.arguments import Rng
from otdist.inputs.arrays import is_torch, read
from otdist.inputs.clouds import as_points, check_points
from otdist.learn.critics.confidence import Confidence
from otdist.learn.critics.files import name_damage, read_critic, write_critic
from otdist.learn.critics.fit import Outcome, fit_samples, fit_sources
from otdist.learn.critics.fitted import Fitted
from otdist.learn.critics.gaps import evaluate_gaps, require_metric
from otdist.learn.critics.selection import Budget
from otdist.learn.critics.settings import DEFAULT_SECONDS, Settings
from otdist.learn.modes import refuse_transforms, require_outside
from otdist.problem import Problem
from otdist.runtime.progress import display_progress
from otdist.typing import Array, ArrayInput, ArrayOrTensor, GroundMetric, Json

Source = Callable[[int], ArrayInput]

SAVED_FIELDS = ("settings", "gaps", "history", "converged", "message", "confidence")  # stored with a critic


class Critic:
    r"""Kantorovich-Rubinstein critic: a 1-Lipschitz function that separates two samples or two sources.

    .. math:: W_1(P, Q) = \max_{|f(z) - f(z')| \le d(z, z')} \mathrm{E}_P f - \mathrm{E}_Q f

    Parameters
    ----------
    family : {"auto", "anchors", "orthogonal", "folds", "pieces"} or list of them
        Candidates for model selection: soft maxima and minima of distances to learned points
        (:class:`~otdist.learn.critics.Anchors`), orthogonal networks
        (:class:`~otdist.learn.critics.Orthogonal`, "euclidean" only), heads with separate folds
        (:class:`~otdist.learn.critics.Folds`, "euclidean" only), affine pieces
        (:class:`~otdist.learn.critics.Pieces`, "euclidean" only). "auto": anchors and orthogonal networks.
        For comparison, as a single name and "euclidean" only: "gp", "lp", "clip", "spectral"
        (:class:`~otdist.learn.critics.Penalised`).
    metric : str or Metric
        Ground metric, as in :func:`otdist.w1`, but a function only within a :class:`~otdist.metrics.Metric`
        with ``triangle=True``. Anchors are learned for "euclidean", "cityblock" and "chebyshev", and are
        fixed at random points of the samples for all others.
    anchors : int
        Largest number of learned points; there are fewer on small samples.
    batch : int
        Points of each sample in a step, over all processes.
    max_seconds : float, optional
        Training time. None, without ``steps``: 30 s.
    steps : int, optional
        Number of steps, including all trials; the same seed then gives the same critic on the same machine.
    rng : int or numpy.random.Generator
        Seed; a generator draws one at construction.
    device : str
        "auto": CUDA if available, else the CPU; or the name of a device, "cpu", "cuda", "mps", ...
    precision : {"auto", "float32", "bfloat16"}
        Precision of matrix products of orthogonal networks, in training only; reported values are computed
        in float64. "auto": bfloat16 if the CPU or GPU has instructions for it.
    level : float
        Level of the confidence bounds.

    Attributes
    ----------
    gaps : dict
        ``mean f(x) - mean f(y)`` on the "train", "validation" and "test" points, in the units of the points.
        Only the test gap is an unbiased estimate of a lower bound of W1 between the populations. For "gp",
        "lp" and "clip" it is not a bound: "certified" is the test gap divided by ``lipschitz``, and with
        "gp" there is also "corrected", an estimate by :func:`~otdist.learn.corrected_gap`.
    confidence : Confidence
        Lower confidence bounds of W1 between the populations, from the test points.
    lipschitz : float
        Upper bound of the Lipschitz constant: at most 1 for all kinds but "gp", "lp" and "clip".
    history : list of dict
        Validation gap, one row per evaluation, with steps and seconds.
    converged : bool
        Whether training was completed. If not, ``message`` says what happened.

    Notes
    -----
    Each kind of critic has a short trial. The one with the largest gap on the validation points is trained on
    the remaining budget, and its best state on these points is kept. The test points have no part in the
    selection. The gap on training points is biased upwards, and the bias grows with the dimension.

    Cost: O(batch d anchors) a step for anchors, O(batch width (d + depth width)) for orthogonal networks.
    Source: Arjovsky, Chintala, Bottou (2017) for the critic; Anil, Lucas, Grosse (2019) for orthogonal ones.
    Differs in that the constraint holds exactly and is not a penalty. Not run on a GPU so far.

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

    settings: Settings
    converged: bool
    message: str

    def __init__(
        self,
        *,
        family: str | Sequence[str] = "auto",
        metric: GroundMetric = "euclidean",
        anchors: int = 512,
        batch: int = 1024,
        max_seconds: float | None = None,
        steps: int | None = None,
        rng: Rng = 0,
        device: str = "auto",
        precision: str = "auto",
        level: float = 0.95,
    ) -> None:
        self.settings = Settings(family, anchors, batch, max_seconds, steps, rng, device, precision, level)
        self.metric = metric
        self.gaps: dict[str, float] = {}
        self.confidence: Confidence | None = None
        self.history: list[dict[str, Json]] = []
        self.converged, self.message = False, "Not fitted."
        self._fitted: Fitted | None = None

    def fit(
        self,
        x: ArrayInput | Source,
        y: ArrayInput | Source,
        a: ArrayInput | None = None,
        b: ArrayInput | None = None,
        *,
        resume: bool = False,
        progress: bool = False,
    ) -> Self:
        """Train on two samples, or on two sources of fresh points.

        Parameters
        ----------
        x, y : array_like, shape (n, d) and (m, d), or callables
            Samples; or functions that take a number and return so many new points, an array or a tensor.
        a, b : array_like, shape (n,) and (m,), optional
            Weights of the samples.
        resume : bool
            Continue to train the current critic for another budget, without model selection.
        progress : bool
            Show the held-out lower bound on standard error.

        Returns
        -------
        Critic
            This object.

        Raises
        ------
        InputError
            If a sample has fewer than 20 rows, points are not finite, a source gives points of another shape,
            or ``resume`` is True and nothing is fitted.
        """
        refuse_transforms(x=x, y=y, a=a, b=b)
        require_outside("critic", "cannot be trained", "call fit outside of it")
        settings, previous = self.settings, self._fitted if resume else None
        if resume and previous is None:
            raise InputError("resume", "must be False before the first fit", "call fit without resume first")
        seconds = settings.max_seconds
        budget = Budget(
            DEFAULT_SECONDS if seconds is None and settings.steps is None else seconds, settings.steps
        )
        with display_progress(progress, "critic") as report_progress:
            if callable(x) and callable(y):
                outcome = fit_sources((x, y), self.metric, settings, budget, report_progress, previous)
                sides = None
            elif callable(x) or callable(y):
                raise InputError("y", "must be a sample or a source like x", "give two of one kind")
            else:
                problem = Problem.of(x, y, a, b, metric=self.metric)
                require_metric(problem)
                outcome = fit_samples(problem.rescale(), settings, budget, report_progress, previous)
                sides = (a is not None, b is not None)
        return self._set_outcome(outcome, sides)

    def __call__(self, z: ArrayInput) -> ArrayOrTensor:
        """Evaluate the critic at points.

        Parameters
        ----------
        z : array_like, shape (k, d)
            Points, in the units of the samples.

        Returns
        -------
        ndarray, shape (k,)
            Values, large where the first sample has mass; a tensor without gradient if ``z`` is a tensor. For
            gradients see :meth:`gradient`.

        Raises
        ------
        InputError
            If nothing is fitted, or the points have another number of columns or are not finite.
        """
        values = self.fitted.values(self._points(z))
        return _match_type(values, z)

    def gradient(self, z: ArrayInput) -> ArrayOrTensor:
        """Return the gradient of the critic at points, shape (k, d).

        Raises
        ------
        InputError
            As for values; and for metrics without learned anchors.
        """
        return _match_type(self.fitted.gradient(self._points(z)), z)

    @property
    def fitted(self) -> Fitted:
        """Trained critic; raises InputError if nothing is fitted."""
        if self._fitted is None:
            raise InputError("critic", "must be fitted first", "call fit(x, y)")
        return self._fitted

    @property
    def lipschitz(self) -> float:
        """Upper bound of the Lipschitz constant of the critic."""
        return self.fitted.lipschitz

    @property
    def name(self) -> str:
        """Kind of the selected critic."""
        return self.fitted.name

    def save(self, folder: str | Path) -> Path:
        """Write the critic to a folder: ``critic.safetensors`` and ``critic.json``, no pickle.

        Raises
        ------
        InputError
            If nothing is fitted, or the metric cannot be found by its name.
        """
        metadata: dict[str, object] = {
            "settings": asdict(self.settings),
            "gaps": self.gaps,
            "history": self.history,
        }
        metadata |= {"converged": self.converged, "message": self.message}
        metadata["confidence"] = None if self.confidence is None else self.confidence._asdict()
        return write_critic(Path(folder), self.fitted, metadata)

    @classmethod
    def load(cls, folder: str | Path, device: str = "auto") -> Self:
        """Read a critic that :meth:`save` wrote.

        Raises
        ------
        InputError
            If files are missing, damaged or of another format.
        """
        fitted, metadata = read_critic(Path(folder), Settings(device=device).resolve_device(), SAVED_FIELDS)
        with name_damage(Path(folder)):
            critic = cls(metric=fitted.feature_map.metric, **(metadata["settings"] | {"device": device}))
            confidence = metadata["confidence"]
            critic.confidence = None if confidence is None else Confidence(**confidence)
        critic._fitted = fitted
        critic.gaps, critic.history = metadata["gaps"], metadata["history"]
        critic.converged, critic.message = metadata["converged"], metadata["message"]
        return critic

    def __repr__(self) -> str:
        if self._fitted is None:
            return "Critic(not fitted)"
        return f"Critic({self.name}, held-out lower bound {self.gaps['test']:.4g})"

    def _points(self, z: ArrayInput) -> Array:
        refuse_transforms(z=z)
        points = as_points(read(z, "z"), "z")
        feature_map = self.fitted.feature_map
        check_points(points, "z", len(feature_map.centre), feature_map.metric)
        return points

    def _set_outcome(self, outcome: Outcome, weighted: tuple[bool, bool] | None) -> Self:
        self._fitted, self.history = outcome.critic, outcome.history
        self.converged, self.message = not outcome.failure, outcome.failure
        self.gaps, self.confidence = evaluate_gaps(outcome, weighted, self.settings.level)
        return self


def _match_type(values: Array, z: object) -> ArrayOrTensor:
    if not is_torch(z):
        return values
    import torch

    return torch.as_tensor(values, device=z.device, dtype=z.dtype if z.is_floating_point() else None)
