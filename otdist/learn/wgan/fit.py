"""Training: a loop that checks itself against data it has never seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from otdist.errors import InputError
from otdist.learn.critics.processes import require_alike
from otdist.learn.wgan import checkpoint
from otdist.learn.wgan.alarms import of_data, of_reach
from otdist.learn.wgan.card import versions
from otdist.learn.wgan.loop import Loop
from otdist.learn.wgan.real import Real
from otdist.learn.wgan.schedule import Schedule
from otdist.learn.wgan.settings import settings_of
from otdist.learn.wgan.state import state_of
from otdist.learn.wgan.wgan import WGAN


def fit_wgan(
    data: Any,
    *,
    steps: int | None = None,
    max_seconds: float | None = None,
    seed: int | None = None,
    generator: nn.Module | None = None,
    critic: nn.Module | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
    device: str = "auto",
    **settings: Any,
) -> WGAN:
    r"""Train a generator of points like the given ones, against a critic that measures W1.

    .. math:: \min_G \max_{f \text{ 1-Lipschitz}} \; \frac1m \sum_j f(x_j) - \frac1n \sum_i f(G(z_i))

    A share of the data is kept aside. Every ``check_every`` steps the generator is held against it by exact
    transport: the record shows W1 bracketed, and what real data would reach.

    Parameters
    ----------
    data : array_like, shape (n, d), (n, height, width) or (n, channels, height, width)
        Points, rows of a table, series or small images; a DataFrame of numbers. At least 32.
    steps : int, optional
        Steps of the generator. None, and ``max_seconds`` None: 20,000, or fewer if nothing more is gained.
    max_seconds : float, optional
        Time for training and checks. Runs that end by a clock are not repeatable to the bit.
    seed : int, optional
        Same seed, same bytes on one CPU. None: 0.
    generator : Module, optional
        Your own: takes (n, latent), gives (n, ...) with the numbers of a point, on the scale of networks
        (centred, spread 1). None: one sized from the data.
    critic : Module, optional
        Your own: takes ``(n, *shape)`` and gives (n,) or (n, 1); with ``packing`` ``(n, packing, *shape)``.
    folder : path, optional
        Where a checkpoint is written at every check, and a log: a line of JSON for each in ``log.jsonl``, and
        scalars in ``tensorboard`` if that is installed.
    resume : bool
        Go on with the run in ``folder``, exactly where its checkpoint was.
    progress : bool
        Show the bracket while training.
    device : str
        "auto", "cpu", "cuda", ...
    **settings
        See :class:`~otdist.learn.wgan.settings.Settings`.

    Returns
    -------
    WGAN
        ``sample``, ``w1``, ``history``, ``alarms``, ``report``, ``save``.

    Raises
    ------
    InputError
        If data are no points, or not finite; for settings that are unknown or do not go together; for
        modules that are no generator or critic (BatchNorm or a squashed output in a critic); if ``folder``
        holds a run and ``resume`` is False, or another run than asked for.

    Warns
    -----
    ConvergenceWarning
        If it was interrupted, or values that are not finite came back after going back three times.

    Notes
    -----
    Ctrl-C ends after the step, saves if there is a folder, and returns the run. Cost: a step is that of the
    networks, ``n_critic + 1`` times; a check a few exact transports of ``check_points`` points. In several
    processes (torchrun) each computes its part of a batch, and all end with the same numbers. Not run on a
    GPU so far.

    Source: Arjovsky, Chintala, Bottou (2017); Gulrajani et al. (2017). Differs in that the critic is
    1-Lipschitz by construction, and in the checks.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist.learn import fit_wgan
    >>> data = np.random.default_rng(0).normal(3.0, 1.0, size=(500, 2))
    >>> run = fit_wgan(data, steps=40, check_every=20)
    >>> run.sample(3).shape
    (3, 2)
    >>> [check.step for check in run.history]
    [20, 40]
    """
    place = _device(device)
    target = None if folder is None else Path(folder)
    schedule = Schedule.of(steps, max_seconds, settings.get("decay_from", 0.3))
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or seed < 0):
        raise InputError("seed", f"{seed!r} is no seed", "give a whole number from 0 on")
    if resume:
        run = _saved(target, generator, critic, place, settings | ({} if seed is None else {"seed": seed}))
        if steps is not None or max_seconds is not None:
            run.schedule = run.schedule.extended(schedule)
    else:
        if target is not None and checkpoint.occupied(target):
            raise InputError("folder", f"{target} holds a run", "use resume=True, or another folder")
        run = _new(data, schedule, seed or 0, (generator, critic), settings, place)
    chosen = run.settings
    real = Real.of(data, held_out=chosen.held_out, scale=chosen.scale, seed=run.state.seed)
    if real.sha256 != run.sha256:
        raise InputError("data", "are not those that the run was made with", "use another folder")
    require_alike(place, {"data": real.sha256, "seed": run.state.seed, "settings": chosen})
    run.versions, run.real = versions(run.versions), real
    run.sizes = len(real.train), len(real.heldout)
    return Loop(run, real.to(place), target, progress).go()


def _new(
    data: Any,
    schedule: Schedule,
    seed: int,
    own: tuple[nn.Module | None, nn.Module | None],
    settings: dict[str, Any],
    device: torch.device,
) -> WGAN:
    chosen = settings_of(settings, own[1] is not None)
    real = Real.of(data, held_out=chosen.held_out, scale=chosen.scale, seed=seed)
    names = tuple(
        name for name, module in zip(("generator", "critic"), own, strict=True) if module is not None
    )
    state = state_of(chosen, real.shape, seed, *own, device)
    run = WGAN(state, real.scale, real.shape, schedule, real.sha256, real.columns, names)
    run.alarms = of_data(real.notes)
    if own[0] is not None:
        run.alarms += of_reach(state.generator, state.latent, real.train.to(device))
    return run


def _saved(
    folder: Path | None,
    generator: nn.Module | None,
    critic: nn.Module | None,
    device: torch.device,
    asked: dict[str, Any],
) -> WGAN:
    """The run in a folder, if it is the one that is asked for."""
    if folder is None:
        raise InputError("resume", "needs to know which run", "pass folder=...")
    run = WGAN.load(folder, generator=generator, critic=critic, device=str(device))
    known = run.settings.to_dict() | {"seed": run.state.seed}
    for name, value in asked.items():
        if name not in known or known[name] != value:
            what = f"is {value!r}, and {known.get(name)!r} in the run of {folder}"
            raise InputError(name, what, "leave it out, or use another folder")
    return run


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise InputError("device", f"{name!r} is none", "use 'auto', 'cpu' or 'cuda'") from error
