"""W1 between two batches as a loss, by every estimator there is."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from otdist.errors import InputError
from otdist.learn.divergence import divergence
from otdist.learn.online import FAMILIES, Online

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
    family : {"orthogonal", "anchors", "spectral", "gp", "lp", "clip"}
        Kind of critic. The first three are 1-Lipschitz with a constant that is computed, so that the value is
        never above W1 but for the noise of the batches; the others are for comparison.
    inner_steps : int
        Steps of the critic a call.
    anchors : int
        Learned points, with ``family="anchors"``.
    rng : int
        Seed of the critic, or of the lines.
    **options
        Of the estimator: ``eps`` of "sinkhorn", ``n_projections`` of "sliced", ``method`` never.

    Attributes
    ----------
    staleness : int
        Calls since the critic last trained.

    Raises
    ------
    InputError
        If batches are not points (labels, shapes that differ), hold values that are not finite, or an option
        is unknown.

    Notes
    -----
    Batches may have any shape (n, ...); all but the first axis are one point. The critic is computed in
    float32, also under autocast. There is one backward pass, so that torch.compile and mixed precision work
    on the caller's part; penalties ("gp", "lp") differentiate twice within the call. In evaluation mode, or
    after :meth:`freeze`, the critic does not train.

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
        family: str = "orthogonal",
        inner_steps: int = 5,
        anchors: int = 256,
        rng: int = 0,
        **options: Any,
    ) -> None:
        super().__init__()
        if method not in METHODS:
            raise InputError("method", f"{method!r} is unknown", f"use one of {list(METHODS)}")
        if family not in FAMILIES:
            raise InputError("family", f"{family!r} is unknown", f"use one of {list(FAMILIES)}")
        for name, count in (("inner_steps", inner_steps), ("anchors", anchors)):
            if not isinstance(count, int) or isinstance(count, bool) or count < 1:
                raise InputError(name, f"{count!r} is no number of them", "give a whole number from 1 on")
        if method == "critic" and options:
            raise InputError(next(iter(options)), "is no option of a critic", "leave it out")
        self.method, self.family, self.inner_steps = method, family, inner_steps
        self.anchors, self.rng, self.options = anchors, rng, options
        self.staleness, self.frozen, self.calls = 0, False, 0
        self.online: Online | None = None

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """Value, shape (); ``fake`` and ``real`` have shapes (n, ...) and (m, ...)."""
        fake, real = _points(fake, "fake"), _points(real, "real")
        if fake.shape[1] != real.shape[1]:
            what = f"has points of {fake.shape[1]} numbers, real of {real.shape[1]}"
            raise InputError("fake", what, "give both the same shape but for the first axis")
        if self.method != "critic":
            return self._estimated(fake, real).to(fake.dtype)
        with torch.autocast(fake.device.type, enabled=False):
            online = self._made(fake, real)
            if self.training and not self.frozen:
                online.ascend(real, fake, self.inner_steps)
                self.staleness = 0
            else:
                self.staleness += 1
            return online.gap(real, fake).to(fake.dtype)

    def freeze(self, frozen: bool = True) -> None:
        """Keep the critic as it is, or with ``False`` let it train again."""
        self.frozen = frozen

    def refresh(self, fake: Tensor, real: Tensor, steps: int = 100) -> None:
        """Train the critic on two batches, frozen or not: after a pause, or before the first call."""
        self._require_critic()
        fake, real = _points(fake, "fake"), _points(real, "real")
        self._made(fake, real).ascend(real, fake, steps)
        self.staleness = 0

    @torch.no_grad()
    def heldout(self, fake: Tensor, real: Tensor) -> float:
        """Value on batches that the critic has not been trained on; far below the loss where it overfits."""
        self._require_critic()
        return float(
            self._made(_points(fake, "fake"), _points(real, "real")).gap(real.flatten(1), fake.flatten(1))
        )

    def extra_repr(self) -> str:
        """Method, and what matters for it."""
        about = f", {self.family}, inner_steps={self.inner_steps}" if self.method == "critic" else ""
        return f"{self.method!r}{about}"

    def _made(self, fake: Tensor, real: Tensor) -> Online:
        if self.online is None:
            self.online = Online(real.detach(), fake.detach(), self.family, self.anchors, self.rng)
        if self.online.centre.shape[0] != fake.shape[1]:
            known = self.online.centre.shape[0]
            raise InputError(
                "fake", f"has points of {fake.shape[1]} numbers, before {known}", "use a new W1Loss"
            )
        return self.online

    def _estimated(self, fake: Tensor, real: Tensor) -> Tensor:
        if self.method == "sinkhorn":
            return divergence(fake, real, debias=True, **({"p": 1} | self.options))[0]
        import otdist

        if self.method == "exact":
            return otdist.w1(fake, real, **self.options).value
        self.calls += 1  # new lines in every call
        return otdist.sliced_w1(fake, real, rng=self.rng + self.calls, **self.options).value

    def _require_critic(self) -> None:
        if self.method != "critic":
            raise InputError("method", f"{self.method!r} has no critic", "use W1Loss('critic')")

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        # The critic is made at the first call; a saved one says how large it is.
        centre = state_dict.get(f"{prefix}online.centre")
        if self.online is None and centre is not None:
            some = torch.zeros(self.anchors, len(centre), device=centre.device)
            some += torch.arange(self.anchors, device=centre.device)[:, None]
            self.online = Online(some, some, self.family, self.anchors, self.rng)
            anchors = state_dict.get(f"{prefix}online.critic.anchors")
            if anchors is not None:
                self.online.critic.anchors = nn.Parameter(torch.zeros_like(anchors))
                self.online.critic.offsets = nn.Parameter(torch.zeros_like(anchors[:, 0]))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _points(batch: Tensor, name: str) -> Tensor:
    if not isinstance(batch, Tensor) or not batch.is_floating_point():
        what = f"dtype {batch.dtype}" if isinstance(batch, Tensor) else type(batch).__name__
        raise InputError(name, f"is {what}, not points", "give a float tensor of points, not labels")
    if batch.ndim < 2 or 0 in batch.shape:
        raise InputError(name, f"has shape {tuple(batch.shape)}", "give points of shape (n, d)")
    if not bool(torch.isfinite(batch.detach()).all()):
        row = int(torch.nonzero(~torch.isfinite(batch.detach().flatten(1)).all(1))[0])
        raise InputError(name, f"row {row} is not finite", "look for the step that made it so")
    return batch.flatten(1)
