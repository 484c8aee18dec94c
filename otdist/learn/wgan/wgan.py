"""A trained generator, with everything that is known about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from otdist.errors import InputError
from otdist.learn.wgan import checkpoint
from otdist.learn.wgan.alarms import Alarm
from otdist.learn.wgan.card import card_of, line, paragraph
from otdist.learn.wgan.check import Check
from otdist.learn.wgan.facts import facts_of, read_run
from otdist.learn.wgan.real import Real, Scale
from otdist.learn.wgan.schedule import Schedule
from otdist.learn.wgan.settings import Settings
from otdist.learn.wgan.state import State
from otdist.learn.wgan.strips import Strips

BLOCK = 4096  # points that are made at a time


@dataclass(frozen=True)
class Bracket:
    """W1 between the law of the data and that of the generator, from data kept aside.

    Attributes
    ----------
    lower, upper : float
        Bounds at 95 %, each.
    estimate : float
        Mean W1 between minibatches of ``n`` held-out and ``n`` fresh points: too large on average.
    floor : float
        The same between real and real: what the estimate would be for a perfect generator.
    n : int
        Points of a minibatch.
    """

    lower: float
    estimate: float
    upper: float
    floor: float
    n: int

    def __str__(self) -> str:
        samples = f"between samples of {self.n} {self.estimate:.4g}, floor {self.floor:.4g}"
        return f"W1 in [{self.lower:.4g}, {self.upper:.4g}]; {samples}"


@dataclass(eq=False)
class WGAN:
    """A generator that has been trained against a critic, and the record of how.

    Made by :func:`~otdist.learn.fit_wgan` or :meth:`load`.

    Attributes
    ----------
    history : list of Check
        One entry a check, the last one at the end.
    alarms : list of Alarm
        What went wrong, when, why, and what to do.
    message : str
        Why training ended.
    steps : int
        Of the generator so far.
    seconds : float
        Of training, checks included.
    settings : Settings
        Every choice of the run.
    card : dict
        What a reader of a figure needs: settings, versions, hash of the data, networks.
    sizes : tuple of int
        Points trained on, and kept aside.
    strips : Strips
        What the same latent numbers gave at some checks, for pictures.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist.learn import fit_wgan
    >>> rng = np.random.default_rng(0)
    >>> run = fit_wgan(rng.normal(3.0, 1.0, size=(500, 2)), steps=40, check_every=20)
    >>> run.sample(5).shape
    (5, 2)
    >>> run.w1.lower <= run.w1.upper
    True
    """

    state: State
    scale: Scale
    shape: tuple[int, ...]
    schedule: Schedule
    sha256: str
    columns: tuple[str, ...] | None = None
    own: tuple[str, ...] = ()
    history: list[Check] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    seconds: float = 0.0
    message: str = ""
    sizes: tuple[int, int] = (0, 0)
    strips: Strips = field(default_factory=Strips)
    versions: dict[str, str] = field(default_factory=dict)
    real: Real | None = None  # for pictures; never written to a file of the run

    def __repr__(self) -> str:
        return line(self)

    def __str__(self) -> str:
        return paragraph(self)

    @property
    def card(self) -> dict[str, Any]:
        """Settings, versions, hash of the data, networks, seconds: what a reader of a figure needs."""
        return card_of(self)

    @property
    def settings(self) -> Settings:
        """Every choice of the run."""
        return self.state.settings

    @property
    def steps(self) -> int:
        """Steps of the generator so far."""
        return self.state.step

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended training."""
        return self.message.startswith("interrupted")

    @property
    def diverged(self) -> bool:
        """Whether values that are not finite ended it."""
        return self.message.startswith("values are not finite")

    @property
    def w1(self) -> Bracket:
        """W1 to the law of the data, from the last check."""
        if not self.history:
            raise InputError("steps", "no check has been made", "train until the first one")
        last = self.history[-1]
        return Bracket(last.lower, last.estimate, last.upper, last.floor, last.n)

    def sample(self, n: int, *, rng: int = 0) -> NDArray[np.float64]:
        """Fresh points of the averaged generator, shape (n, ...) and units of the data.

        Parameters
        ----------
        n : int
            Number of points.
        rng : int
            Seed: the same points for the same seed.

        Returns
        -------
        ndarray, shape (n, ...)
            Points, float64.
        """
        if not isinstance(n, int) or isinstance(n, bool) or n < 1:
            raise InputError("n", f"{n!r} is no number of points", "give a whole number from 1 on")
        stream = torch.Generator().manual_seed(rng)
        self.state.average.eval()
        parts = []
        with torch.no_grad():
            for first in range(0, n, BLOCK):
                z = torch.randn(min(BLOCK, n - first), self.state.latent, generator=stream)
                parts.append(self.scale.restore(self.state.average(z.to(self.state.device)).flatten(1)))
        return np.concatenate(parts).reshape(n, *self.shape)

    def save(self, folder: str | Path) -> Path:
        """Write the run into a folder: one file of tensors and facts, nothing that runs code when read.

        Parameters
        ----------
        folder : path
            Made if it is not there; a run in it is replaced, whole or not at all.

        Returns
        -------
        Path
            The file.
        """
        tensors = checkpoint.tensors_of(self.state) | self.strips.tensors()
        return checkpoint.write(Path(folder), tensors, facts_of(self))

    def report(self, path: str | Path, data: Any = None) -> Path:
        """Write one HTML page about the run: how far from the data, curves, samples, alarms, settings.

        Parameters
        ----------
        path : path
            File to write; its folder must exist. It loads nothing: no script, no font, no picture.
        data : array_like, optional
            What the run was made with, to be drawn beside the samples. None: known after training; a run from
            a file does not hold its data, and its page shows samples alone.

        Returns
        -------
        Path
            Absolute path of the page. With data it shows some hundred points of them.

        Raises
        ------
        InputError
            If the page cannot be written, or ``data`` are others.
        """
        from otdist.learn.wgan.report import write_report

        return write_report(self, Path(path), data)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        generator: nn.Module | None = None,
        critic: nn.Module | None = None,
        device: str = "cpu",
    ) -> WGAN:
        """Read a run that :meth:`save`, or training with a folder, wrote.

        Parameters
        ----------
        folder : path
            Where it is.
        generator, critic : Module, optional
            Your own ones, if the run was made with such: files hold their numbers, not their code.
        device : str
            Where to put it.

        Returns
        -------
        WGAN
            As it was.

        Raises
        ------
        InputError
            If there is no run, its file is damaged, or modules do not fit it.
        """
        return read_run(cls, Path(folder), (generator, critic), torch.device(device))
