"""W1 between two batches as a loss, with a choice of estimators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from otdist.api.distance import w1
from otdist.api.sliced import sliced_w1
from otdist.errors import InputError
from otdist.inputs.arguments import Rng, check_choice, check_integer, check_names
from otdist.learn.modes import exclude_from_graph, training_mode
from otdist.learn.sinkhorn.divergence import divergence
from otdist.learn.sinkhorn.options import check_torch_seed
from otdist.learn.w1loss.batches import Batches, read_batches
from otdist.learn.w1loss.online_critic import CriticOptions, Family, OnlineCritic
from otdist.typing import ArrayInput

Method = Literal["critic", "exact", "sinkhorn", "sliced"]
W1_METHODS = ("critic", "exact", "sinkhorn", "sliced")


class W1Loss(nn.Module):
    r"""W1 between a fake batch and a real batch, as a loss for training.

    .. math:: W_1 \approx \frac1m \sum_j f(y_j) - \frac1n \sum_i f(x_i)

    with ``x`` fake, ``y`` real and a critic f that is trained along: ``loss(fake, real)`` takes
    ``inner_steps`` steps of the critic, and returns a value whose negative gradient moves ``fake`` up the
    critic. It is positive once the critic is partly trained.

    Parameters
    ----------
    method : {"critic", "exact", "sinkhorn", "sliced"}
        "critic": trained along, the only estimator that uses earlier batches. "exact": W1 of the two batches
        (:func:`otdist.w1`). "sinkhorn": the debiased divergence (:class:`~otdist.learn.SinkhornLoss`).
        "sliced": the mean over random directions (:func:`otdist.sliced_w1`), a lower bound of W1.
    family : {"orthogonal", "anchors", "pieces", "spectral", "gp", "lp", "clip"}, optional
        Kind of critic. The first four are 1-Lipschitz with a computed constant, so that the value is at most
        W1 of the two batches; the others are for comparison. None: "orthogonal".
    critic : Module, optional
        Network from (n, ...) to (n,) or (n, 1), trained in place. Its input are points minus the mean of the
        first batches, divided by the spread of their distances. ``family`` is then its constraint: "gp",
        "lp", "clip" or "spectral"; None: its methods ``lipschitz()`` and ``retract()`` if it has them, else
        "spectral". None: a new critic of the family.
    inner_steps : int
        Critic steps per call.
    rng : int or numpy.random.Generator
        Seed of the critic, or of the directions; a generator draws one at construction.
    **options
        Options of the estimator. "critic": ``anchors``, the number of points of "anchors" and "pieces" (256),
        and ``rate``, the step size of the critic in units of the spread of distances (by default 0.01 for
        "orthogonal", 0.016 for "anchors" and "pieces", 0.001 for other networks). "exact": those of
        :func:`otdist.w1`. "sinkhorn": ``eps``, ``p``, ``debias`` and more. "sliced": ``n_projections``.

    Attributes
    ----------
    staleness : int
        Calls since the last training of the critic.

    Raises
    ------
    InputError
        If batches are not points (labels, different shapes), have values that are not finite, or an option is
        unknown; if ``critic`` has BatchNorm layers, squashes its values, or cannot be constrained.

    Notes
    -----
    Batches may have any shape (n, ...); all axes but the first are one point, and are the same for both.
    Weights ``a`` of fake and ``b`` of real points are divided by their sums, and may carry a gradient, for
    all methods; None: all equal. Penalties of "gp" and "lp" are not weighted.

    As for layers of torch, :meth:`train` and :meth:`eval` say whether the critic is trained, not the modes of
    autograd: in training mode it is trained under no_grad and inference_mode as well, and stays trainable. In
    eval mode, or after :meth:`freeze`, it is not trained.

    The critic is made in the first call, or by :meth:`prepare`. Its centre, unit and start come from those
    batches. Its parameters require a gradient within a call only, and have no ``.grad``: an optimiser that
    holds them does not move them. It stays in float32 if the module is converted.

    The value has the dtype of ``fake``, and at least float32; autocast is disabled inside. torch.compile
    excludes the call from its graph and compiles the code around it.

    In training mode the processes of torch.distributed share their batches: the value is computed for all
    rows together, on each process, and its gradient is multiplied by the number of processes, since
    DistributedDataParallel averages. All processes must call it. Wrap the network that makes ``fake``, not
    the loss. In eval mode processes are independent.

    W1 between batches is biased upwards against W1 between the distributions, more so for small batches:
    "exact" and "sinkhorn" fit the noise of each batch, while a critic averages over batches.

    Cost: a step of the critic is O(n width (d + depth width) + depth width^3), at a width of at most 192,
    and a call waits for the device once; "exact" O(n^2 d) to O(n^3). Source: Arjovsky, Chintala, Bottou
    (2017), algorithm 1. Differs in that weights are not clipped. Not run on a GPU so far.

    Examples
    --------
    >>> import torch
    >>> from otdist.learn import W1Loss
    >>> generator = torch.Generator().manual_seed(0)
    >>> real = torch.randn(256, 2, generator=generator) + 3.0
    >>> fake = torch.randn(256, 2, generator=generator).requires_grad_()
    >>> loss = W1Loss(inner_steps=20)
    >>> optimiser = torch.optim.Adam([fake], lr=0.05)
    >>> first = W1Loss("exact")(fake, real).item()
    >>> for _ in range(60):
    ...     optimiser.zero_grad()
    ...     loss(fake, real).backward()
    ...     optimiser.step()
    >>> W1Loss("exact")(fake, real).item() < 0.4 * first
    True
    """

    inner_steps: int
    rng: int
    options: dict[str, Any]
    critic_options: CriticOptions
    staleness: int
    frozen: bool
    calls: int

    def __init__(
        self,
        method: Method = "critic",
        *,
        family: Family | None = None,
        critic: nn.Module | None = None,
        inner_steps: int = 5,
        rng: Rng = 0,
        **options: Any,
    ) -> None:
        super().__init__()
        check_choice(method, "method", W1_METHODS)
        inner_steps, rng = check_integer(inner_steps, "inner_steps"), check_torch_seed(rng)
        if method != "critic" and critic is not None:
            raise InputError("critic", f"must be None with method={method!r}", "leave it out, or method")
        if method == "critic":
            check_names(options, ("anchors", "rate"), "a critic")
        self.method, self.inner_steps, self.rng, self.options = method, inner_steps, rng, options
        self.family = family if critic is not None else family or "orthogonal"
        # In a tuple, so that the network becomes a submodule with the first call only, inside its wrapper.
        user_critic = () if critic is None else (critic,)
        self.critic_options = CriticOptions(
            self.family, user_critic, rng, **(options if method == "critic" else {})
        )
        self.staleness, self.frozen, self.calls = 0, False, 0
        self.shape: tuple[int, ...] = ()
        self.online: OnlineCritic | None = None

    @exclude_from_graph
    def forward(
        self, fake: Tensor, real: Tensor, a: ArrayInput | None = None, b: ArrayInput | None = None
    ) -> Tensor:
        """Return the value, shape (), of batches (n, ...) and (m, ...) with weights (n,) and (m,)."""
        with _without_autocast(fake):
            # A critic that is trained checks the values together with its own.
            check_values = self.online is None or not self._is_training
            batches = read_batches(fake, real, a, b, together=self.training, check_values=check_values)
            if self.method != "critic":
                self.calls += 1  # new directions in every call
                value = batches.share_value(self._estimate(batches), is_part=False)
                return value.to(batches.fake.dtype)
            return self._evaluate_critic(self._get_online_critic(batches), batches).to(batches.fake.dtype)

    @property
    def _is_training(self) -> bool:
        return self.training and not self.frozen

    def freeze(self, frozen: bool = True) -> None:
        """Stop training the critic, or with ``False`` continue."""
        self.frozen = frozen

    @exclude_from_graph
    def prepare(self, real: Tensor, fake: Tensor | None = None) -> Self:
        """Make the critic, as the first call would, but without training it.

        Afterwards ``.to(device)``, :meth:`parameters`, ``state_dict`` and averages of the weights see it. The
        frame, which stays, is taken from the example: centre and unit of the features, and where the critic
        starts. In training mode several processes share their examples.

        Parameters
        ----------
        real : Tensor, shape (m, ...)
            Example batch of real points: some hundreds, as they will come.
        fake : Tensor, shape (n, ...), optional
            Example batch of fake points. None: those of ``real``.

        Returns
        -------
        W1Loss
            The loss itself. It does not change if it has a critic already, or is an estimator without one.
        """
        with _without_autocast(real):
            batches = read_batches(real if fake is None else fake, real, together=self.training)
            if self.method == "critic":
                self._get_online_critic(batches)
        return self

    @exclude_from_graph
    def refresh(
        self,
        fake: Tensor,
        real: Tensor,
        steps: int = 100,
        a: ArrayInput | None = None,
        b: ArrayInput | None = None,
    ) -> None:
        """Train the critic on two batches, frozen or not, after a pause or before the first call.

        No effect for estimators without a critic. In training mode several processes share their batches.
        """
        steps = check_integer(steps, "steps")
        with _without_autocast(fake):
            batches = read_batches(fake, real, a, b, together=self.training)
            if self.method == "critic":
                self._train_critic(self._get_online_critic(batches), batches, steps)

    @exclude_from_graph
    @torch.no_grad()
    def heldout(
        self, fake: Tensor, real: Tensor, a: ArrayInput | None = None, b: ArrayInput | None = None
    ) -> float:
        """Return the value on held-out batches, which is far below the loss if the critic overfits.

        Nothing is trained or counted, and processes do not communicate. Without a critic this is the value.
        The Lipschitz constant is computed from singular values in float64.
        """
        with _without_autocast(fake):
            batches = read_batches(fake, real, a, b, together=False)
            if self.method != "critic":
                return float(self._estimate(batches))
            if self.online is None:
                raise InputError("fake", "needs a trained critic", "call the loss, or refresh, first")
            online = self._get_online_critic(batches)
            return float(online.gap(batches)) / online.constant()

    def extra_repr(self) -> str:
        """Return the method and its main options."""
        details = (
            f", {self.family or 'own'}, inner_steps={self.inner_steps}" if self.method == "critic" else ""
        )
        return f"{self.method!r}{details}"

    def get_extra_state(self) -> dict[str, Any]:
        """Return the counts and the shape of a point."""
        return {"calls": self.calls, "staleness": self.staleness, "shape": list(self.shape)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the counts and the shape."""
        self.calls, self.staleness, self.shape = state["calls"], state["staleness"], tuple(state["shape"])

    def _evaluate_critic(self, online: OnlineCritic, batches: Batches) -> Tensor:
        """Train the critic in training mode, and return its value."""
        if self._is_training:
            self._train_critic(online, batches, self.inner_steps)
        else:
            self.staleness += 1
        return batches.share_value(online.gap(batches) / online.constant_bound(), is_part=True)

    def _train_critic(self, online: OnlineCritic, batches: Batches, steps: int) -> None:
        """Train the critic; it does not change if values are not finite."""
        saved = online.save()
        is_valid = online.ascend(batches, steps)
        if batches.shards is None:  # other batches were checked with those of the other processes
            is_valid = is_valid & batches.is_valid()
        if not bool(is_valid):  # the only synchronisation with the device
            online.restore(saved)
            batches.require_valid(is_part=batches.shards is not None)
            problem = "led to a critic whose values are not finite"
            raise InputError("fake", problem, "lower the step size")
        self.staleness = 0

    @training_mode()
    def _get_online_critic(self, batches: Batches) -> OnlineCritic:
        """Return the critic, made from the first batches, and the same on all processes that share them."""
        is_first_shared = batches.shards is not None and (self.online is None or not self.online.is_shared)
        if is_first_shared or self.online is None:
            fake, real = batches.gather_present()  # all processes gather, or none
            if self.online is None:
                self.online, self.shape = (
                    OnlineCritic(real, fake, batches.shape, self.critic_options),
                    batches.shape,
                )
        if self.shape != batches.shape:
            problem = f"must have points of shape {self.shape} as before, got {batches.shape}"
            raise InputError("fake", problem, "use a new W1Loss")
        if self.online.centre.device != batches.fake.device:
            problem = f"must be on {self.online.centre.device} like the critic, got {batches.fake.device}"
            raise InputError("fake", problem, "move the loss by .to(device)")
        if is_first_shared:
            self.online.share()
        return self.online

    def _estimate(self, batches: Batches) -> Tensor:
        points, weights = batches.gather(), batches.gather_weights()
        if self.method == "sinkhorn":
            return divergence(*points, *weights, **({"p": 1, "debias": True} | self.options))[0]
        if self.method == "exact":
            return w1(*points, *weights, **self.options).value
        return sliced_w1(*points, *weights, rng=self.rng + self.calls, **self.options).value

    @training_mode()
    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *rest: object) -> None:
        # The critic is built at the first call; here its size is read from the saved state.
        centre = state_dict.get(f"{prefix}online.centre")
        if self.online is None and centre is not None:
            shape = tuple(state_dict[f"{prefix}_extra_state"]["shape"])
            placeholder = torch.arange(self.critic_options.anchors, device=centre.device)[
                :, None
            ] + torch.zeros_like(centre)
            self.online = OnlineCritic(placeholder, placeholder, shape, self.critic_options)
            start = f"{prefix}online.critic."
            self.online.resize_parameters(
                {key.removeprefix(start): value for key, value in state_dict.items() if key.startswith(start)}
            )
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _without_autocast(points: object) -> torch.autocast:
    """Disable autocast on the device of the points."""
    device: torch.device = getattr(points, "device", torch.device("cpu"))
    return torch.autocast(device.type, enabled=False)
