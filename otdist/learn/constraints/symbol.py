r"""Operator norm of a convolution of any size, proved: the largest norm of its symbol.

A convolution with zero padding is a restriction of the one on all of Z^D, in inputs and in outputs. That one
is diagonalised by the Fourier transform into matrices, its symbol

.. math:: K(\omega) = \sum_k W_k e^{i k \cdot \omega}, \qquad \|W *\| = \max_\omega \|K(\omega)\|,

with a block of columns for each residue of the inputs modulo the stride. The maximum over the torus is
bounded from values on a grid. At the maximum M, for its singular vectors u and v,
:math:`f(t) = \mathrm{Re}\, u^* K(\omega + t \delta) v` is at most M in modulus, and of exponential type
:math:`\sigma = \sum_j n_j |\delta_j| / 2` for a kernel with lags from 0 to :math:`n_j` (once they are
centred, which is a factor of modulus 1). So arccos(f / M) grows at most at the rate sigma (Duffin and
Schaeffer 1938: :math:`f'^2 + \sigma^2 f^2 \le \sigma^2 M^2`), and
:math:`\|K(\omega + \delta)\| \ge M \cos \sigma`: the centre of the cell that holds the maximum shows it up to
this cosine. Cells whose centre is too low for that are dropped, the others are halved.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

EPS = torch.finfo(torch.float64).eps
CLOSE = 1e-5  # relative excess of the bound at which halving ends
WORK = 1 << 34  # multiplications in all singular values
CALL = 1 << 17  # what the call for one of them costs, in multiplications
LEAST = 512  # frequencies, however large the kernel
CHUNK = 1 << 21  # entries of all symbols at a time


def symbol_bound(weight: Tensor, stride: tuple[int, ...], dilation: tuple[int, ...], groups: int) -> float:
    """Upper bound of the operator norm of a convolution on sequences of any length, or on images of any size.

    Cost: singular values of (groups) matrices of c_out / groups by c_in / groups * (residues of the stride),
    at some hundreds or thousands of frequencies. Where many cells come close to the maximum, as for an
    orthogonal convolution, or where the matrices are large, it ends early with a bound that is further above.

    Source: the grid of Pfister and Bresler (2019), with another inflation and with halving.
    """
    weight = weight.detach().to("cpu", torch.float64)
    taps, spans, phases = _taps(tuple(weight.shape[2:]), stride, dilation)
    weight = weight.reshape(groups, -1, *weight.shape[1:]).flatten(3)
    small, large = sorted((weight.shape[1], weight.shape[2] * phases))
    left = max(WORK // (groups * (small * small * large + CALL)), LEAST)
    centres, half = _first_cells(spans)
    best, bound = 0.0, math.inf
    while True:
        norms = _norms(weight, taps, centres)
        best = max(best, float(norms.max()))
        angle = sum(n * h for n, h in zip(spans, half, strict=True)) / 2
        bound = min(bound, float(norms.max()) / math.cos(angle))
        left -= len(centres)
        if best == 0.0 or bound <= best * (1 + CLOSE):
            break
        centres, half = _halved(centres[norms >= best * math.cos(angle) * (1 - 1e-10)], half)
        if len(centres) > left:
            break
    # Rounding: of the eigenvalue solver, relative to the norm, and of the sums over taps, relative to them.
    sums = float(weight.abs().square().sum((0, 1, 2)).sqrt().sum())
    return bound * (1 + 8 * EPS * (small + large)) + 32 * EPS * weight.shape[-1] * sums


def _taps(
    sizes: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[list[tuple[Tensor, Tensor]], list[int], int]:
    """Lags (k,) and residues (k, r), one hot, in each dimension; largest lags; number of residues in all.

    ``y[i] = sum_k W_k x[s i + d k]``: tap k has lag ``d k // s`` in the part of x with residue ``d k % s``.
    """
    taps, spans, phases = [], [], 1
    for size, s, d in zip(sizes, stride, dilation, strict=True):
        common = math.gcd(s, d)
        # On a line without strides dilation only rescales the frequency.
        position = torch.arange(size) * (1 if s == common else d // common)
        used, residue = torch.unique(position % (s // common), return_inverse=True)
        lag = position // (s // common)
        # A block of columns may be turned by a factor of modulus 1: its first lag is 0.
        first = torch.stack([lag[residue == r].min() for r in range(len(used))])
        lag = lag - first[residue]
        taps.append((lag.double(), torch.eye(len(used), dtype=torch.complex128)[residue]))
        spans.append(int(lag.max()))
        phases *= len(used)
    return taps, spans, phases


def _first_cells(spans: list[int]) -> tuple[Tensor, list[float]]:
    """Centres (B, D) of a grid on the torus, and half the width of its cells, 0 where nothing depends on it.

    Half of the torus is enough: the symbol at -omega is the complex conjugate.
    """
    axes, half, halved = [], [], False
    for n in spans:
        if n == 0:
            axes.append(torch.zeros(1, dtype=torch.float64))
            half.append(0.0)
            continue
        count = 4 * n  # the angle is pi / 8 a dimension, below pi / 2 in three of them
        width = math.pi / count
        start, count = (0.0, count // 2) if not halved else (-math.pi, count)
        halved = True
        axes.append(start + width * (2 * torch.arange(count, dtype=torch.float64) + 1))
        half.append(width)
    return torch.cartesian_prod(*axes).reshape(-1, len(spans)), half


def _halved(centres: Tensor, half: list[float]) -> tuple[Tensor, list[float]]:
    """Cells cut in two in every dimension that they have."""
    smaller = [h / 2 for h in half]
    shifts = [torch.tensor([-h, h] if h else [0.0], dtype=torch.float64) for h in smaller]
    corners = torch.cartesian_prod(*shifts).reshape(-1, len(half))
    return (centres[:, None] + corners).flatten(0, 1), smaller


def _norms(weight: Tensor, taps: list[tuple[Tensor, Tensor]], frequencies: Tensor) -> Tensor:
    """Largest singular value (B,) of the symbol of (groups, out, in, taps) at frequencies (B, D)."""
    rows, columns = weight.shape[1], weight.shape[2] * math.prod(hot.shape[1] for _, hot in taps)
    size = max(CHUNK // (weight.shape[0] * rows * columns), 1)
    found = []
    for some in frequencies.split(size):
        waves = torch.ones(len(some), 1, 1, dtype=torch.complex128)
        for j, (lag, hot) in enumerate(taps):
            wave = torch.exp(1j * some[:, j, None] * lag)[:, :, None] * hot
            waves = torch.einsum("bkr,bls->bklrs", waves, wave).flatten(3).flatten(1, 2)
        symbol = torch.einsum("goik,bkr->bgoir", weight.to(waves.dtype), waves).flatten(3)
        gram = symbol @ symbol.mH if rows <= columns else symbol.mH @ symbol
        found.append(torch.linalg.eigvalsh(gram)[..., -1].clamp(min=0).sqrt().amax(1))
    return torch.cat(found)
