"""Settings of a run, checked once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal, TypedDict

import torch

from otdist.errors import InputError
from otdist.inputs.arguments import (
    check_choice,
    check_flag,
    check_integer,
    check_names,
    check_number,
    format_value,
    get_option_names,
    set_option,
)
from otdist.typing import Json

Objective = Literal["w1", "gan", "saturating", "hinge", "relativistic"]
Constraint = Literal["orthogonal", "spectral", "lp", "gp", "clip", "none", "own"]
Precision = Literal["float32", "bfloat16"]
ScaleRule = Literal["auto", "common", "columns"]
OBJECTIVES = ("w1", "gan", "saturating", "hinge", "relativistic")
CONSTRAINTS = ("orthogonal", "spectral", "lp", "gp", "clip", "none", "own")
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
# In units of the spread of the data. The usual 10 is for pixels; with few columns the critic stays flat.
PENALTY_WEIGHTS = {"gp": 1.0, "lp": 1.0}
# In the same units: Huang et al. have 0.05 to 2 for pixels of spread 0.5, which is 0.2 to 8 here.
RELATIVISTIC_PENALTY = 1.0
CHOICES = {
    "objective": OBJECTIVES,
    "constraint": CONSTRAINTS,
    "precision": tuple(PRECISIONS),
    "scale": ("auto", "common", "columns"),
}
MIN_INTEGERS = {
    "n_critic": 1,
    "batch_size": 2,
    "packing": 1,
    "check_every": 1,
    "check_points": 16,
    "latent": 1,
}
MIN_INTEGERS |= {"width": 2}
OTHER_VALUES = (
    ("constraint", None),
    ("n_critic", "auto"),
    ("n_critic", None),
    ("check_every", "clock"),
    ("latent", None),
    ("width", None),
)
UPPER_LIMITS: dict[str, float | None] = {"learning_rate": None, "critic_rate": None, "penalty": None}
UPPER_LIMITS |= {"held_out": 1.0, "average": 1.0, "decay_from": 1.0}
PENALISED_CRITIC_STEPS = 3  # with a gradient penalty, where fewer steps fail on a ring
DEFAULT_CRITIC_STEPS = 1  # more cost time and do not improve the generator; "auto" starts with it


# Names of other packages, and other arguments of fit_wgan, for what these settings are called here.
ALIASES = {
    "lr": "learning_rate",
    "lr_g": "learning_rate",
    "g_lr": "learning_rate",
    "generator_lr": "learning_rate",
    "generator_rate": "learning_rate",
    "learning_rate_init": "learning_rate",
    "lr_d": "critic_rate",
    "d_lr": "critic_rate",
    "lr_critic": "critic_rate",
    "critic_lr": "critic_rate",
    "critic_learning_rate": "critic_rate",
    "discriminator_lr": "critic_rate",
    "batch": "batch_size",
    "epochs": "steps",
    "n_epochs": "steps",
    "n_steps": "steps",
    "n_iter": "steps",
    "iterations": "steps",
    "max_iter": "steps",
    "max_steps": "steps",
    "timeout": "max_seconds",
    "time_limit": "max_seconds",
    "seconds": "max_seconds",
    "rng": "seed",
    "random_state": "seed",
    "verbose": "progress",
    "callback": "on_check",
    "discriminator": "critic",
    "critic_steps": "n_critic",
    "discriminator_steps": "n_critic",
    "n_discriminator": "n_critic",
    "z_dim": "latent",
    "latent_dim": "latent",
    "noise_dim": "latent",
    "embedding_dim": "latent",
    "hidden": "width",
    "hidden_dim": "width",
    "hidden_size": "width",
    "loss": "objective",
    "lambda_gp": "penalty",
    "gp_weight": "penalty",
    "pac": "packing",
    "ema": "average",
    "ema_decay": "average",
    "patience": "stop",
    "early_stopping": "stop",
    "test_size": "held_out",
    "validation_fraction": "held_out",
    "dtype": "precision",
}


class SettingOptions(TypedDict, total=False):
    """Keyword arguments of :class:`Settings`."""

    objective: Objective
    constraint: Constraint | None
    n_critic: int | Literal["auto"] | None
    batch_size: int
    latent: int | None
    width: int | None
    learning_rate: float | None
    critic_rate: float | None
    decay_from: float
    average: float
    packing: int
    penalty: float | None
    r1: float | None
    r2: float | None
    scale: ScaleRule
    held_out: float
    check_every: int | Literal["clock"]
    check_points: int
    stop: bool
    precision: Precision


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a run; all are stored in its files.

    Attributes
    ----------
    objective : {"w1", "gan", "saturating", "hinge", "relativistic"}
        Objective of critic and generator: the Wasserstein distance, the original game with non-saturating or
        saturating generator loss, the hinge loss, or the logistic loss of score differences of pairs (R3GAN,
        Huang et al. 2024). Only "w1" estimates a distance.
    constraint : {"orthogonal", "spectral", "lp", "gp", "clip", "none", "own"}, optional
        Lipschitz constraint of the critic: orthogonal layers or spectral norms, with a computed constant; a
        one-sided or two-sided gradient penalty; weight clipping; "own": the ``lipschitz()`` and ``retract()``
        of the caller's critic. None: "own" for such a critic, else "none" for the objective "relativistic",
        "spectral" for other critics of the caller, and "orthogonal".
    n_critic : int or "auto", optional
        Critic steps per generator step. None: 1, and 3 with a gradient penalty, which slows the critic down.
        "auto": twice as many where extra steps raise the critic's held-out gap, a quarter fewer where they do
        not, at steps 10, 20, 40, ... until the first check, and at each check.
    batch_size : int
        Real and fake points in a step, each, over all processes. By default 256, and 64 for images of
        12 x 12 pixels or more on a CPU.
    latent : int, optional
        Dimension of the latent numbers. None: by the size of a point.
    width : int, optional
        Width of the hidden layers. None: 64 for points of up to 16 numbers, else 256. An alarm says so if it
        is below twice the numbers of a point.
    learning_rate, critic_rate : float, optional
        Learning rates of Adam, with betas (0, 0.9). None: 0.256 / ``width``, which is 4e-3 for 64 and 1e-3
        for 256, and for a critic of orthogonal layers this times ``min(4 d, 512) / width``, between 1 and 4,
        for points of d numbers, since a narrow critic is slow; 1e-3 with a gradient penalty, for the caller's
        networks, and for generators of images of 12 x 12 pixels or more.
    decay_from : float
        Share of the run after which both rates fall linearly to a hundredth.
    average : float
        Decay of the moving average of the generator's weights, from which points are sampled.
    packing : int
        Points per input of the critic, against mode collapse (Lin et al. 2018).
    penalty : float, optional
        Weight of "gp" or "lp" in units of the spread of the data; None: 1. The bound of "clip" is 0.01.
    r1, r2 : float, optional
        Weights of penalties ``r / 2 * mean |grad f|^2`` at real points (R1, Mescheder et al. 2018) and at
        fakes (R2), in units of the spread of the data. None: 1 for the objective "relativistic" without a
        constraint, else 0.
    scale : {"auto", "common", "columns"}
        One unit for all numbers of a point, or a unit for each column. "auto": "columns" for tables with
        column names, else "common".
    held_out : float
        Share of the data that is not used for training.
    check_every : int or "clock"
        Generator steps between two checks. "clock": the first check after 10 s, and later ones so that they
        take at most a twentieth of the time, 20 s or more apart; as checks can end a run, it is then not
        reproducible bit by bit. By default 500, and "clock" for images of 12 x 12 pixels or more.
    check_points : int
        Points of each side in a check.
    stop : bool
        Whether to stop early when the distance to held-out data no longer falls.
    precision : {"float32", "bfloat16"}
        Precision of matrix products in training; penalties and checks use float32 and float64.
    """

    objective: Objective = "w1"
    constraint: Constraint | None = None
    n_critic: int | Literal["auto"] | None = None
    batch_size: int = 256
    latent: int | None = None
    width: int | None = None
    learning_rate: float | None = None
    critic_rate: float | None = None
    decay_from: float = 0.3
    average: float = 0.999
    packing: int = 1
    penalty: float | None = None
    r1: float | None = None
    r2: float | None = None
    scale: ScaleRule = "auto"
    held_out: float = 0.2
    check_every: int | Literal["clock"] = 500
    check_points: int = 512
    stop: bool = True
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if (name, getattr(self, name)) not in OTHER_VALUES:
                check_choice(getattr(self, name), name, choices)
        set_option(self, "stop", check_flag(self.stop, "stop"))
        for name, at_least in MIN_INTEGERS.items():
            value = getattr(self, name)
            if (name, value) not in OTHER_VALUES:
                set_option(self, name, check_integer(value, name, at_least=at_least))
        for name, limit in UPPER_LIMITS.items():
            if (value := getattr(self, name)) is not None:
                set_option(self, name, check_number(value, name, above=0.0, below=limit))
        for name in ("r1", "r2"):
            if (value := getattr(self, name)) is not None:
                set_option(self, name, check_number(value, name, at_least=0.0))
        self._require_fit()

    def _require_fit(self) -> None:
        """Raise InputError for inconsistent settings."""
        if self.batch_size % self.packing:
            problem = f"must be a multiple of packing={self.packing}, got {self.batch_size}"
            raise InputError("batch_size", problem, "use a multiple")
        if self.objective == "w1" and self.constraint == "none":
            raise InputError("constraint", "must not be 'none' with objective='w1'", "use 'orthogonal'")
        if self.width is not None and self.width % 2:
            raise InputError("width", f"must be even, got {self.width}", "use an even number")

    @property
    def weight(self) -> float:
        """Weight of the gradient penalty."""
        return PENALTY_WEIGHTS[str(self.constraint)] if self.penalty is None else self.penalty

    @property
    def zero_centred_weights(self) -> tuple[float, float]:
        """Weights of the penalties of gradient norms other than 0, at real points and at fakes."""
        is_relativistic = self.objective == "relativistic" and self.constraint == "none"
        default = RELATIVISTIC_PENALTY if is_relativistic else 0.0
        return default if self.r1 is None else self.r1, default if self.r2 is None else self.r2

    @property
    def is_certified(self) -> bool:
        """Return True if the critic's Lipschitz constant is computed, so that its gap is a bound."""
        return self.constraint in ("orthogonal", "spectral", "own")

    def to_dict(self) -> dict[str, Json]:
        """Return names and values, for files."""
        return asdict(self)


def make_settings(
    options: Mapping[str, object], has_user_critic: bool, is_self_constrained: bool = False
) -> Settings:
    """Make settings from keyword arguments; an unknown name is an error that lists the known ones."""
    check_names(options, get_option_names(Settings), "the trainer", ALIASES)
    values = dict(options)
    constraint = values.get("constraint")
    if constraint is None:
        certified = "spectral" if has_user_critic else "orthogonal"
        constraint = "none" if values.get("objective") == "relativistic" else certified
        constraint = "own" if is_self_constrained else constraint
    elif is_self_constrained and constraint != "own":
        problem = f"must be 'own' for a critic with lipschitz() and retract(), got {format_value(constraint)}"
        raise InputError("constraint", problem, "leave it out")
    elif constraint == "own" and not is_self_constrained:
        problem = "must not be 'own' without a critic with lipschitz() and retract()"
        raise InputError("constraint", problem, "pass such a critic, or use 'orthogonal'")
    elif constraint == "orthogonal" and has_user_critic:
        problem = "must not be 'orthogonal' for a critic of yours, which has other layers"
        raise InputError("constraint", problem, "use 'spectral', or leave critic out")
    values["constraint"] = constraint
    make: Callable[..., Settings] = Settings  # which checks the values
    return make(**values)
