"""Sinkhorn divergence as a torch module."""

from __future__ import annotations

from torch import Tensor, nn

from otdist.learn.modes import exclude_from_graph
from otdist.learn.sinkhorn.divergence import divergence
from otdist.learn.sinkhorn.options import Engine, Options, Penalty


class SinkhornLoss(nn.Module):
    r"""Sinkhorn divergence between two batches of points, as a loss.

    ``loss(x, y, a, b)`` is the value of :func:`otdist.learn.divergence`, which describes the parameters.

    Parameters
    ----------
    p : float
        Order of the cost ``|x - y|**p``, without the factor 1/2 that GeomLoss has for p = 2.
    eps : float
        Regularisation as a share of the mean cost, which is computed in every call. It decreases with the
        distance of the clouds; ``eps_abs`` is constant.
    debias : bool
        Subtract the terms of each cloud against itself, so that equal clouds have loss 0.
    reach : float, optional
        Distance beyond which mass is destroyed instead of transported; None: exact marginals.
    penalty : {"kl", "tv"}
        Penalty of the marginals with ``reach``.
    n_iter : int
        Largest number of sweeps.
    tol : float, optional
        L1 error of the marginals at which to stop. None: exactly ``n_iter`` sweeps, without synchronisation
        with the device and without warnings.
    eps_abs : float, optional
        Regularisation in units of the cost, instead of ``eps``.
    engine : {"auto", "torch", "compile", "triton"}
        Implementation of the soft minima.
    block : int, optional
        Number of pairs in a tile.

    Attributes
    ----------
    last : dict
        Diagnostics of the last call: ``residual``, ``converged``, ``iterations``, ``eps_abs``, the terms and
        the potentials, as detached tensors; empty before the first call.

    Warns
    -----
    ConvergenceWarning
        If ``tol`` is not reached. The value is not clipped, and may be negative then.

    Notes
    -----
    The loss is computed in float32 at least, also under autocast. Gradients are exact at
    convergence (envelope theorem), and 0 where the distance has its kink. With ``create_graph=True`` second
    derivatives are those of the optimum, by implicit differentiation of the potentials: a linear system with
    the plan is solved by conjugate gradients. Third derivatives raise an InputError. Inside ``torch.compile``
    the loss is a graph break.

    Source: Feydy et al. (2019); Séjourné et al. (2019) for penalties; Lehmann et al. (2021) for the steps.

    Examples
    --------
    >>> import torch
    >>> from otdist.learn import SinkhornLoss
    >>> loss = SinkhornLoss(p=2, eps=0.1)
    >>> y = torch.linspace(0, 1, 50)[:, None]
    >>> x = torch.full((50, 1), 0.5).requires_grad_()
    >>> step = torch.optim.SGD([x], lr=10.0)
    >>> x.data += 0.01 * torch.linspace(-1, 1, 50)[:, None]
    >>> first = loss(x, y)
    >>> for _ in range(20):
    ...     step.zero_grad()
    ...     value = loss(x, y)
    ...     value.backward()
    ...     step.step()
    >>> bool(value < 0.01 * first), bool(loss.last["converged"])
    (True, True)
    """

    options: Options

    def __init__(
        self,
        p: float = 1,
        eps: float = 0.05,
        *,
        debias: bool = True,
        reach: float | None = None,
        penalty: Penalty = "kl",
        n_iter: int = 1000,
        tol: float | None = 1e-4,
        eps_abs: float | None = None,
        engine: Engine = "auto",
        block: int | None = None,
    ) -> None:
        super().__init__()
        self.debias = debias
        self.options = Options(p, eps, eps_abs, reach, penalty, n_iter, tol, engine, block)
        self.last: dict[str, Tensor] = {}

    @exclude_from_graph
    def forward(self, x: Tensor, y: Tensor, a: Tensor | None = None, b: Tensor | None = None) -> Tensor:
        """Return the divergence of clouds (n, d) and (m, d), or of batches of them; shape () or (B,)."""
        value, self.last = divergence(x, y, a, b, debias=self.debias, **vars(self.options))
        return value

    def extra_repr(self) -> str:
        """Return the options that differ from the defaults."""
        default = Options()
        changed = {k: v for k, v in vars(self.options).items() if v != getattr(default, k)}
        options = {"debias": self.debias} | changed
        return ", ".join(f"{name}={_format_option(value)}" for name, value in options.items())


def _format_option(value: object) -> str:
    """Format an option without ".0", and otherwise as Python does."""
    return repr(int(value) if isinstance(value, float) and value.is_integer() else value)
