"""W1 between two batches as a loss, by every estimator there is."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from otdist.errors import InputError
from otdist.learn.divergence import divergence
from otdist.learn.online import Choice, Online, require_count
from otdist.learn.pooled import Batches, read_batches

Method = Literal["critic", "exact", "sinkhorn", "sliced"]
METHODS = ("critic", "exact", "sinkhorn", "sliced")


class W1Loss(nn.Module):
    r"""W1 between a batch that can move and one that is given, as a loss for training.

    .. math:: W_1 \approx \frac1m \sum_j f(y_j) - \frac1n \sum_i f(x_i)

    with ``x`` fake, ``y`` real and a critic f that is trained along: ``loss(fake, real)`` takes
    ``inner_steps`` steps of the critic, and returns a value whose gradient moves ``fake`` up the
    critic. It is positive once the critic has learned something.

    Parameters
    ----------
    method : {"critic", "exact", "sinkhorn", "sliced"}
        "critic": trained along, the only one that remembers earlier batches. "exact": W1 of the two batches
        (:func:`otdist.w1`). "sinkhorn": the debiased divergence (:class:`~otdist.learn.SinkhornLoss`).
        "sliced": the mean over random lines (:func:`otdist.sliced_w1`), a lower bound of W1.
    family : {"orthogonal", "anchors", "pieces", "spectral", "gp", "lp", "clip"}, optional
        Kind of critic. The first four are 1-Lipschitz with a constant that is computed, so that the value is
        never above W1 of the two batches; the others are for comparison. None: "orthogonal".
    critic : Module, optional
        Your own network, from (n, ...) to (n,) or (n, 1). It sees points minus the mean of the first
        batches, divided by the spread of their distances, and is trained in place. ``family`` names what
        holds it: "gp", "lp", "clip" or "spectral". None: its own methods ``lipschitz()`` and ``retract()``
        if it has them, "spectral" otherwise. None of them: a new one of the family.
    inner_steps : int
        Steps of the critic a call.
    rng : int
        Seed of the critic, or of the lines.
    **options
        Of the estimator. "critic": ``anchors``, how many points "anchors" and "pieces" learn (256), and
        ``rate``, the size of a step of the critic in units of the spread of distances (by default 0.01 for
        "orthogonal", 0.016 for "anchors" and "pieces", 0.001 for other networks). "exact": those of
        :func:`otdist.w1`. "sinkhorn": ``eps``, ``p``, ``debias`` and more. "sliced": ``n_projections``.

    Attributes
    ----------
    staleness : int
        Calls since the critic last trained.

    Raises
    ------
    InputError
        If batches are not points (labels, shapes that differ), hold values that are not finite, or an option
        is unknown; if ``critic`` has BatchNorm layers, squashes its values, or cannot be held by the family.

    Notes
    -----
    Batches may have any shape (n, ...); all but the first axis are one point. In evaluation mode, or after
    :meth:`freeze`, the critic does not train.

    The value has the dtype of ``fake``, and at least float32: half precision is for the caller's network, and
    autocast is off in here. torch.compile leaves the call out of its graph and compiles what is around it;
    penalties ("gp", "lp") differentiate twice.

    In training mode the processes of torch.distributed share their batches: the value is that of all rows
    together, on every process, and its gradient is multiplied by the number of processes, since
    DistributedDataParallel averages. All have to call it. Wrap the network that makes ``fake``, not the loss.
    In evaluation mode each process is on its own.

    W1 between batches is biased upwards against W1 between the laws, the more the smaller they are: "exact"
    and "sinkhorn" pull each batch towards the points of the other, a critic does not see that noise twice.

    Cost: a step of the critic is O(n width (d + depth width)); "exact" O(n^2 d) to O(n^3).
    Source: Arjovsky, Chintala, Bottou (2017), algorithm 1; differs in that nothing is clipped. Not run on a
    GPU so far.

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

    def __init__(
        self,
        method: Method = "critic",
        *,
        family: str | None = None,
        critic: nn.Module | None = None,
        inner_steps: int = 5,
        rng: int = 0,
        **options: Any,
    ) -> None:
        super().__init__()
        if method not in METHODS:
            raise InputError("method", f"{method!r} is unknown", f"use one of {list(METHODS)}")
        require_count("inner_steps", inner_steps)
        if method != "critic" and critic is not None:
            raise InputError("critic", f"is of no use to {method!r}", "leave it out, or method")
        unknown = sorted(set(options) - {"anchors", "rate"}) if method == "critic" else []
        if unknown:
            raise InputError(unknown[0], "is no option of a critic", "leave it out")
        self.method, self.inner_steps, self.rng, self.options = method, inner_steps, rng, options
        self.family = family if critic is not None else family or "orthogonal"
        # In a tuple: the caller's network becomes a part of this module with the first call, in its frame.
        own = () if critic is None else (critic,)
        self.choice = Choice(self.family, own, rng, **(options if method == "critic" else {}))
        self.staleness, self.frozen, self.calls = 0, False, 0
        self.shape: tuple[int, ...] = ()
        self.online: Online | None = None

    @torch.compiler.disable
    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """Value, shape (); ``fake`` and ``real`` have shapes (n, ...) and (m, ...)."""
        with torch.autocast(getattr(fake, "device", torch.device("cpu")).type, enabled=False):
            batches = read_batches(fake, real, together=self.training)
            if self.method != "critic":
                self.calls += 1  # new lines in every call
                value = batches.agreed(self._estimated(*batches.whole()), summed=False)
                return value.to(batches.fake.dtype)
            online = self._made(batches)
            if self.training and not self.frozen:
                online.ascend(batches, self.inner_steps)
                self.staleness = 0
            else:
                self.staleness += 1
            return batches.agreed(online.gap(batches), summed=True).to(batches.fake.dtype)

    def freeze(self, frozen: bool = True) -> None:
        """Keep the critic as it is, or with ``False`` let it train again."""
        self.frozen = frozen

    @torch.compiler.disable
    def refresh(self, fake: Tensor, real: Tensor, steps: int = 100) -> None:
        """Train the critic on two batches, frozen or not: after a pause, or before the first call.

        Estimators without a critic have nothing to train. In training mode several processes share this, too.
        """
        require_count("steps", steps)
        batches = read_batches(fake, real, together=self.training)
        if self.method == "critic":
            with torch.autocast(batches.fake.device.type, enabled=False):
                self._made(batches).ascend(batches, steps)
            self.staleness = 0

    @torch.compiler.disable
    @torch.no_grad()
    def heldout(self, fake: Tensor, real: Tensor) -> float:
        """Value on batches that the critic has not been trained on; far below the loss where it overfits.

        Nothing is trained or counted, and nothing passes between processes. Without a critic every batch is
        held out, and this is the value.
        """
        batches = read_batches(fake, real, together=False)
        with torch.autocast(batches.fake.device.type, enabled=False):
            if self.method != "critic":
                return float(self._estimated(batches.fake, batches.real))
            if self.online is None:
                raise InputError(
                    "fake", "comes before the critic was trained", "call the loss, or refresh, first"
                )
            return float(self._made(batches).gap(batches))

    def extra_repr(self) -> str:
        """Method, and what matters for it."""
        about = f", {self.family or 'own'}, inner_steps={self.inner_steps}" if self.method == "critic" else ""
        return f"{self.method!r}{about}"

    def get_extra_state(self) -> dict[str, Any]:
        """Counts, and the shape of a point."""
        return {"calls": self.calls, "staleness": self.staleness, "shape": list(self.shape)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the counts and the shape."""
        self.calls, self.staleness, self.shape = state["calls"], state["staleness"], tuple(state["shape"])

    def _made(self, batches: Batches) -> Online:
        if self.online is None:
            fake, real = (points.detach() for points in batches.whole())
            self.online, self.shape = Online(real, fake, batches.shape, self.choice), batches.shape
        if self.shape != batches.shape:
            what = f"has points of shape {batches.shape}, before {self.shape}"
            raise InputError("fake", what, "use a new W1Loss")
        return self.online

    def _estimated(self, fake: Tensor, real: Tensor) -> Tensor:
        if self.method == "sinkhorn":
            return divergence(fake, real, **({"p": 1, "debias": True} | self.options))[0]
        import otdist

        if self.method == "exact":
            return otdist.w1(fake, real, **self.options).value
        return otdist.sliced_w1(fake, real, rng=self.rng + self.calls, **self.options).value

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        # The critic is made at the first call; a saved one says how large it is.
        centre = state_dict.get(f"{prefix}online.centre")
        if self.online is None and centre is not None:
            shape = tuple(state_dict[f"{prefix}_extra_state"]["shape"])
            some = torch.arange(self.choice.anchors, device=centre.device)[:, None] + torch.zeros_like(centre)
            self.online = Online(some, some, shape, self.choice)
            start = f"{prefix}online.critic."
            self.online.make_room(
                {key.removeprefix(start): value for key, value in state_dict.items() if key.startswith(start)}
            )
        super()._load_from_state_dict(state_dict, prefix, *rest)
