"""Training of a Wasserstein GAN with checks on held-out data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from otdist.errors import InputError, Option, Remedy
from otdist.inputs.arguments import Rng, check_callback
from otdist.learn.devices import resolve_device
from otdist.learn.distributed import rank_and_world_size, require_equal
from otdist.learn.modes import refuse_transforms, require_outside, training_mode
from otdist.learn.sinkhorn.options import check_torch_seed
from otdist.learn.wgan import checkpoint
from otdist.learn.wgan.columns.generator import Assembly
from otdist.learn.wgan.loop import Loop
from otdist.learn.wgan.monitor.alarms import data_alarms, output_range_alarms, settings_alarms
from otdist.learn.wgan.monitor.check import Check
from otdist.learn.wgan.networks import describe_critic, set_image_defaults
from otdist.learn.wgan.real import RealData
from otdist.learn.wgan.report.summary import merge_versions
from otdist.learn.wgan.schedule import Schedule
from otdist.learn.wgan.settings import make_settings
from otdist.learn.wgan.state import build_state
from otdist.learn.wgan.wgan import WGAN
from otdist.tables.columns import as_names

if TYPE_CHECKING:
    from typing import Unpack

    from otdist.learn.wgan.real import WGANData, WGANLabels
    from otdist.learn.wgan.settings import SettingOptions


@training_mode()
def fit_wgan(
    data: WGANData,
    *,
    y: WGANLabels | None = None,
    categorical: Sequence[str] = (),
    steps: int | None = None,
    max_seconds: float | None = None,
    seed: Rng = None,
    generator: nn.Module | None = None,
    critic: nn.Module | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
    on_check: Callable[[Check, WGAN], object] | None = None,
    device: str = "auto",
    **settings: Unpack[SettingOptions],
) -> WGAN:
    r"""Train a generator of points like the data, against a critic that estimates W1.

    .. math:: \min_G \max_{f \text{ 1-Lipschitz}} \; \frac1m \sum_j f(x_j) - \frac1n \sum_i f(G(z_i))

    A share of the data is held out. Every ``check_every`` steps the generator is compared with it by exact
    transport: the history has a bracket of W1, and the value that real data would reach.

    Parameters
    ----------
    data : array_like, shape (n, d), (n, height, width) or (n, channels, height, width), or DataFrame
        Points, series or small images, or a table of numbers, labels, times and gaps: whatever
        :func:`otdist.compare` reads. At least 32 rows.
    y : array_like, shape (n,), or str, optional
        Class of each row or image, or the column of ``data`` that holds it. Classes are an input of the
        generator, see :meth:`WGAN.sample`; the critic sees them beside the point, so W1 is that of points and
        classes together, where two classes are as far apart as two random points in the root mean square.
    categorical : sequence of str
        Columns of numbers that are labels, such as codes.
    steps : int, optional
        Steps of the generator. None, and ``max_seconds`` None: 20,000, or fewer if nothing more is gained.
    max_seconds : float, optional
        Time for training and checks. Runs that end by time are not reproducible bit by bit.
    seed : int or numpy.random.Generator, optional
        Seed; the same seed gives the same bytes on one CPU. A generator draws a seed. None: 0.
    generator : Module, optional
        Generator that maps (n, latent) to (n, ...) with the numbers of a point, centred and of spread 1.
        With ``y``, its input is (n, latent + k) with the one-hot code of k classes last. For a table, its
        numbers at labels and gaps are logits. None: a network sized by the data.
    critic : Module, optional
        Critic that maps ``(n, *shape)`` to (n,) or (n, 1); with ``packing`` from ``(n, packing, *shape)``.
        With methods ``lipschitz()`` and ``retract()`` (:class:`~otdist.learn.CertifiedCritic`) it is its own
        constraint, on which the bounds of the run then rely; critics of :mod:`otdist.learn.critics` have them
        and map from flat points.
        For a table or with ``y``, a point is flat: d encoded numbers, and those of the classes.
    folder : path, optional
        Folder for a checkpoint at every check, and for logs: a line of JSON per check in ``log.jsonl``, and
        scalars in ``tensorboard`` if that is installed.
    resume : bool
        Continue the run in ``folder`` from its checkpoint.
    progress : bool
        Show the bracket during training.
    on_check : callable, optional
        Called after every check as ``on_check(check, run)``, with the :class:`~otdist.learn.wgan.Check` and
        the run so far, whose ``sample`` and ``save`` do not change training. What it returns is ignored, its
        time counts, and what it raises ends training after the check was saved. With several processes each
        calls it, and all must raise if one does.
    device : str
        "auto": CUDA if available, else the CPU; or the name of a device, "cpu", "cuda", "cuda:1", ...
    **settings
        See :class:`~otdist.learn.wgan.settings.Settings`.

    Returns
    -------
    WGAN
        ``sample``, ``w1``, ``best``, ``history``, ``alarms``, ``report``, ``save``. Samples are those of the
        best check, by W1 to the held-out data, or of the last one that cannot be told from it.

    Raises
    ------
    InputError
        If data are not points, or not finite; for columns that cannot be learned, such as identifiers; for
        labels ``y`` that are missing, of one class, or of a class with a single row; for settings that are
        unknown or inconsistent; for modules that cannot be generator or critic (BatchNorm or a squashed
        output in a critic); for a device that this machine does not have; if ``folder`` holds a run and
        ``resume`` is False, or a run with other settings.

    Warns
    -----
    ConvergenceWarning
        If training was interrupted, or values were not finite after three rollbacks.

    Notes
    -----
    Ctrl-C ends training after the current step, saves the run if there is a folder, and returns it. Cost: a
    step takes ``n_critic + 1`` passes of the networks, a check a few exact transports of ``check_points``
    points. With several processes (torchrun) each computes a part of the batch, and all have the same
    result. On other devices than the CPU, the host reads every 50 steps whether values are finite; no weight
    changes after one that is not. Not run on a GPU so far.

    Source: Arjovsky, Chintala, Bottou (2017); Gulrajani et al. (2017); for "relativistic" Huang et al.
    (2024). Differs in that the critic is 1-Lipschitz by construction, and in the checks.

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
    refuse_transforms(data=data)
    require_outside("data", "cannot be learned", "call fit_wgan outside of it")
    check_callback(on_check, "on_check")
    data = list(data) if isinstance(data, Iterator) else data
    torch_device = resolve_device(device)
    run_folder = None if folder is None else Path(folder)
    schedule = Schedule.of(steps, max_seconds, settings.get("decay_from", 0.3))
    seed = None if seed is None else check_torch_seed(seed, "seed")
    if resume:
        run = _load_run(
            run_folder, generator, critic, torch_device, settings | ({} if seed is None else {"seed": seed})
        )
        if steps is not None or max_seconds is not None:
            run.schedule = run.schedule.extend(schedule)
    else:
        if run_folder is not None and checkpoint.has_run(run_folder):
            remedy = Remedy("use {}, or another folder", Option("resume", "True"))
            raise InputError("folder", f"must not hold a run, got {run_folder}", remedy)
        labels = (y, as_names(categorical, "categorical"))
        run = _new_run(data, labels, schedule, seed or 0, (generator, critic), settings, torch_device)
    checked_settings = run.settings
    real = run.real or run.read_data(data, y)
    if real.sha256 != run.sha256:
        raise InputError("data", "must be the data of the run", "use another folder")
    require_equal(torch_device, {"data": real.sha256, "seed": run.state.seed, "settings": checked_settings})
    n_packs, world_size = checked_settings.batch_size // checked_settings.packing, rank_and_world_size()[1]
    if n_packs < world_size:
        problem = f"must be at least packing * {world_size} processes, got {checked_settings.batch_size}"
        raise InputError("batch_size", problem, "raise it")
    run.versions, run.real = merge_versions(run.versions), real
    run.sizes = len(real.train), len(real.heldout)
    return Loop(run, real.to(torch_device), run_folder, progress, on_check).train()


def _new_run(
    data: WGANData,
    labels: tuple[WGANLabels | None, Sequence[str]],
    schedule: Schedule,
    seed: int,
    user_modules: tuple[nn.Module | None, nn.Module | None],
    settings: SettingOptions,
    device: torch.device,
) -> WGAN:
    checked_settings = make_settings(settings, *describe_critic(user_modules[1]))
    y, categorical = labels
    real = RealData.of(
        data,
        held_out=checked_settings.held_out,
        scale=checked_settings.scale,
        seed=seed,
        y=y,
        categorical=categorical,
    )
    checked_settings = set_image_defaults(checked_settings, settings, real.shape, device)
    names = tuple(
        name for name, module in zip(("generator", "critic"), user_modules, strict=True) if module is not None
    )
    assembly = Assembly(real.encoder, real.classes, real.scale)
    state = build_state(checked_settings, real.shape, seed, *user_modules, device, assembly)
    run = WGAN(state, real.scale, real.shape, schedule, real.sha256, real.columns, names, real=real)
    run.encoder, run.classes = real.encoder, real.classes
    run.alarms = data_alarms(real.notes)
    if user_modules[1] is None:
        run.alarms += settings_alarms(run.settings, state.d)
    if user_modules[0] is not None:
        run.alarms += output_range_alarms(state.generator, state.latent, real.train.to(device))
    return run


def _load_run(
    folder: Path | None,
    generator: nn.Module | None,
    critic: nn.Module | None,
    device: torch.device,
    requested: Mapping[str, object],
) -> WGAN:
    """Load the run of a folder, and check that its settings are the requested ones."""
    if folder is None:
        raise InputError("resume", "needs the folder of a run", Remedy("pass {}", Option("folder", "...")))
    run = WGAN.load(folder, generator=generator, critic=critic, device=str(device))
    saved = run.settings.to_dict() | {"seed": run.state.seed}
    for name, value in requested.items():
        if name not in saved or saved[name] != value:
            problem = f"must be {saved.get(name)!r}, as in the run of {folder}, got {value!r}"
            raise InputError(name, problem, "leave it out, or use another folder")
    return run
