"""Trained generator with the record of its training."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import nn

from otdist.errors import InputError
from otdist.inputs.arguments import Rng, check_choice, check_integer
from otdist.learn.devices import resolve_device
from otdist.learn.sinkhorn.options import check_torch_seed
from otdist.learn.wgan import checkpoint
from otdist.learn.wgan.metadata import collect_metadata, read_run
from otdist.learn.wgan.monitor.alarms import Alarm
from otdist.learn.wgan.monitor.best import BestGenerator
from otdist.learn.wgan.monitor.check import Check
from otdist.learn.wgan.monitor.snapshots import Snapshots
from otdist.learn.wgan.real import RealData, Scale
from otdist.learn.wgan.report.summary import build_card, one_line_summary, summarise
from otdist.learn.wgan.schedule import Schedule
from otdist.learn.wgan.settings import Settings
from otdist.learn.wgan.state import State
from otdist.typing import Array

if TYPE_CHECKING:
    from otdist.learn.wgan.real import WGANData

SAMPLE_BATCH_POINTS = 4096  # points that are generated at a time


@dataclass(frozen=True)
class Bracket:
    """Bracket of W1 between the distributions of the data and of the generator, from held-out data.

    Attributes
    ----------
    lower, upper : float
        Bounds, with joint level 95 %.
    estimate : float
        Mean W1 between minibatches of ``n`` held-out and ``n`` fresh points, biased upwards.
    floor : float
        W1 between minibatches of real points, the estimate of a perfect generator.
    n : int
        Number of points in a minibatch.
    step : int
        Step of the generator at the check that it is from.
    """

    lower: float
    estimate: float
    upper: float
    floor: float
    n: int
    step: int

    def __str__(self) -> str:
        samples = f"between samples of {self.n} {self.estimate:.4g}, floor {self.floor:.4g}"
        return f"W1 in [{self.lower:.4g}, {self.upper:.4g}] at step {self.step:,}; {samples}"


@dataclass(eq=False)
class WGAN:
    """Generator trained against a critic, with the record of its training.

    Made by :func:`~otdist.learn.fit_wgan` or :meth:`load`.

    Attributes
    ----------
    history : list of Check
        Checks in order.
    best : Check or None
        Check whose generator :meth:`sample` uses.
    w1 : Bracket
        Bracket of W1 of that check.
    alarms : list of Alarm
        Failures, with step, cause and remedy.
    message : str
        Description of how training ended.
    stop_reason : {"", "budget", "converged", "interrupted", "diverged"}
        Reason why training ended; empty before its end.
    steps : int
        Steps of the generator so far.
    seconds : float
        Training time, including checks.
    settings : Settings
        Settings of the run.
    card : dict
        Settings, versions, hash of the data, networks and training time.
    sizes : tuple of int
        Numbers of training and held-out points.
    snapshots : Snapshots
        Points of the same latent numbers at some checks, for pictures.

    Notes
    -----
    Runs can be pickled and copied, with modules of the caller's that can.

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
    user_modules: tuple[str, ...] = ()
    history: list[Check] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    seconds: float = 0.0
    message: str = ""
    sizes: tuple[int, int] = (0, 0)
    snapshots: Snapshots = field(default_factory=Snapshots)
    versions: dict[str, str] = field(default_factory=dict)
    stop_reason: str = ""
    best_generator: BestGenerator = field(default_factory=BestGenerator)
    real: RealData | None = None  # for pictures; not written to the file of the run

    def __repr__(self) -> str:
        return one_line_summary(self)

    def __str__(self) -> str:
        return summarise(self)

    @property
    def card(self) -> dict[str, Any]:
        """Settings, versions, hash of the data, networks and training time."""
        return build_card(self)

    @property
    def settings(self) -> Settings:
        """Settings of the run."""
        return self.state.settings

    @property
    def steps(self) -> int:
        """Steps of the generator so far."""
        return self.state.step

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended training."""
        return self.stop_reason == "interrupted"

    @property
    def diverged(self) -> bool:
        """Whether values that are not finite ended training."""
        return self.stop_reason == "diverged"

    @property
    def best(self) -> Check | None:
        """Best check, whose generator :meth:`sample` uses; None before the first check.

        It is the last check whose ``debiased`` exceeds the lowest one by no more than noise. At the end of
        training its distances are evaluated anew with fresh latent numbers, and with wider bounds, since it
        was chosen among all checks.
        """
        return self.best_generator.final or self.best_generator.check

    @property
    def reported_check(self) -> Check | None:
        """Check of the generator that :meth:`sample` uses: the best, or the last if a file has no best."""
        return self.best or (self.history[-1] if self.history else None)

    @property
    def w1(self) -> Bracket:
        """Bracket of W1 to the distribution of the data, of the best check."""
        check = self.reported_check
        if check is None:
            raise InputError("steps", "must reach the first check", "train for more steps")
        return Bracket(check.lower, check.estimate, check.upper, check.floor, check.n, check.step)

    def sample(self, n: int, *, rng: Rng = 0, state: Literal["best", "last"] = "best") -> Array:
        """Generate points with the averaged generator, of shape (n, ...) and in units of the data.

        Parameters
        ----------
        n : int
            Number of points.
        rng : int, numpy.random.Generator or None
            Seed; the same seed gives the same points. A generator gives new points in every call, None points
            of a random seed.
        state : {"best", "last"}
            Generator of the best check, :attr:`best`, or of the last step. Before the first check, and for
            runs of files without a best check, both are the last.

        Returns
        -------
        ndarray, shape (n, ...)
            Points, float64.

        Raises
        ------
        InputError
            If ``n``, ``rng`` or ``state`` is not valid.
        """
        n, state_name = check_integer(n, "n"), check_choice(state, "state", ("best", "last"))
        stream = torch.Generator().manual_seed(check_torch_seed(rng))
        use_best = state_name == "best" and self.best_generator.check is not None
        generator = self.best_generator.load_into(self.state.average) if use_best else self.state.average
        generator.eval()
        parts = []
        with torch.no_grad():
            for first in range(0, n, SAMPLE_BATCH_POINTS):
                z = torch.randn(min(SAMPLE_BATCH_POINTS, n - first), self.state.latent, generator=stream)
                parts.append(self.scale.inverse_transform(generator(z.to(self.state.device)).flatten(1)))
        return np.concatenate(parts).reshape(n, *self.shape)

    def save(self, folder: str | Path) -> Path:
        """Write the run into a folder, as one file of tensors and metadata; no code runs when it is read.

        Parameters
        ----------
        folder : path
            Folder, created if needed; a run in it is replaced atomically.

        Returns
        -------
        Path
            Path of the file.
        """
        tensors = checkpoint.collect_tensors(self.state) | self.snapshots.tensors()
        tensors |= self.best_generator.tensors()
        return checkpoint.write(Path(folder), tensors, collect_metadata(self))

    def report(self, path: str | Path, data: WGANData | None = None, *, name: str | None = None) -> Path:
        """Write an HTML report: distance to the data, curves, samples, alarms and settings.

        Parameters
        ----------
        path : path
            File to write; its folder must exist. The page loads no other file.
        data : array_like, optional
            Data of the run, drawn beside the samples. None: the data are known after training, but not for a
            run from a file, whose page shows the samples alone.
        name : str, optional
            Heading of the page, such as the name of the data file. None: a description of the points.

        Returns
        -------
        Path
            Absolute path of the page. With data it shows some hundred of their points.

        Raises
        ------
        InputError
            If the page cannot be written, or ``data`` are not the data of the run.
        """
        from otdist.learn.wgan.report.page import write_report

        return write_report(self, Path(path), data, name)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        generator: nn.Module | None = None,
        critic: nn.Module | None = None,
        device: str = "cpu",
    ) -> WGAN:
        """Read a run from a folder of :meth:`save` or of training.

        Parameters
        ----------
        folder : path
            Folder of the run.
        generator, critic : Module, optional
            Your modules, if the run was made with yours: files hold their numbers, not their code.
        device : str
            Device of the run; "auto" is CUDA if available, else the CPU.

        Returns
        -------
        WGAN
            The run.

        Raises
        ------
        InputError
            If there is no run, its file is damaged, the modules do not fit, or there is no such device.
        """
        return read_run(cls, Path(folder), (generator, critic), resolve_device(device))
