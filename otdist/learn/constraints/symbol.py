r"""Proved bound of the operator norm of a convolution for any size: the largest norm of its symbol.

A convolution with zero padding is a restriction of the convolution on Z^D, in inputs and outputs. The latter
is diagonalised by the Fourier transform into matrices, its symbol

.. math:: K(\omega) = \sum_k W_k e^{i k \cdot \omega}, \qquad \|W *\| = \max_\omega \|K(\omega)\|,

with a block of columns for each residue of the inputs modulo the stride. The maximum over the torus is
bounded from values on a grid. At the maximum M, for its singular vectors u and v,
:math:`f(t) = \mathrm{Re}\, u^* K(\omega + t \delta) v` is at most M in modulus, and of exponential type
:math:`\sigma = \sum_j n_j |\delta_j| / 2` for a kernel with lags from 0 to :math:`n_j` (once they are
centred, which is a factor of modulus 1). So arccos(f / M) grows at most at the rate sigma (Duffin and
Schaeffer 1938: :math:`f'^2 + \sigma^2 f^2 \le \sigma^2 M^2`), and
:math:`\|K(\omega + \delta)\| \ge M \cos \sigma`: the centre of the cell of the maximum attains it up to
this cosine. Cells whose centre is too low are dropped, the others are halved.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from otdist.bounds import FLOAT64_EPS

SYMBOL_RTOL = 1e-5  # relative gap of the bound at which refinement stops
MAX_MULTIPLICATIONS = 1 << 34  # budget for all singular values
CALL_MULTIPLICATIONS = 1 << 17  # overhead of one call for singular values
MIN_FREQUENCIES = 512  # evaluated for kernels of any size
CHUNK_ENTRIES = 1 << 21  # entries of the symbols computed at a time


def symbol_bound(weight: Tensor, stride: tuple[int, ...], dilation: tuple[int, ...], groups: int) -> float:
    """Return an upper bound of the operator norm of a convolution on inputs of any size.

    Cost: singular values of (groups) matrices of c_out / groups by c_in / groups * (residues of the stride),
    at some hundreds or thousands of frequencies. If many cells are close to the maximum, as for an orthogonal
    convolution, or if the matrices are large, it stops early with a less sharp bound.

    Source: the grid of Pfister and Bresler (2019), with another inflation and with refinement.
    """
    weight = weight.detach().cpu().double()
    taps, spans, phases = _taps(tuple(weight.shape[2:]), stride, dilation)
    weight = weight.reshape(groups, -1, *weight.shape[1:]).flatten(3)
    short_side, long_side = sorted((weight.shape[1], weight.shape[2] * phases))
    frequencies_left = max(
        MAX_MULTIPLICATIONS // (groups * (short_side * short_side * long_side + CALL_MULTIPLICATIONS)),
        MIN_FREQUENCIES,
    )
    centres, half = _first_cells(spans)
    best, bound = 0.0, math.inf
    while True:
        norms = _norms(weight, taps, centres)
        best = max(best, float(norms.max()))
        angle = sum(n * h for n, h in zip(spans, half, strict=True)) / 2
        bound = min(bound, float(norms.max()) / math.cos(angle))
        frequencies_left -= len(centres)
        if best == 0.0 or bound <= best * (1 + SYMBOL_RTOL):
            break
        centres, half = _halve_cells(centres[norms >= best * math.cos(angle) * (1 - 1e-10)], half)
        if len(centres) > frequencies_left:
            break
    # Rounding errors of the eigenvalue solver, relative to the norm, and of the sums over taps.
    sums = float(weight.abs().square().sum((0, 1, 2)).sqrt().sum())
    return (
        bound * (1 + 8 * FLOAT64_EPS * (short_side + long_side)) + 32 * FLOAT64_EPS * weight.shape[-1] * sums
    )


def _taps(
    sizes: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[list[tuple[Tensor, Tensor]], list[int], int]:
    """Return lags (k,) and one-hot residues (k, r) per dimension, largest lags, and number of residues.

    ``y[i] = sum_k W_k x[s i + d k]``: tap k has lag ``d k // s`` in the part of x with residue ``d k % s``.
    """
    taps, spans, phases = [], [], 1
    for size, s, d in zip(sizes, stride, dilation, strict=True):
        common = math.gcd(s, d)
        # Without strides, dilation only rescales the frequency.
        position = torch.arange(size) * (1 if s == common else d // common)
        used, residue = torch.unique(position % (s // common), return_inverse=True)
        lag = position // (s // common)
        # A block of columns may have a factor of modulus 1, so its first lag is set to 0.
        first = torch.stack([lag[residue == r].min() for r in range(len(used))])
        lag = lag - first[residue]
        taps.append((lag.double(), torch.eye(len(used), dtype=torch.complex128)[residue]))
        spans.append(int(lag.max()))
        phases *= len(used)
    return taps, spans, phases


def _first_cells(spans: list[int]) -> tuple[Tensor, list[float]]:
    """Return centres (B, D) of a grid on the torus and half widths of its cells, 0 in constant dimensions.

    Half of the torus suffices, since the symbol at -omega is the complex conjugate.
    """
    axes, half, halved = [], [], False
    for n in spans:
        if n == 0:
            axes.append(torch.zeros(1, dtype=torch.float64))
            half.append(0.0)
            continue
        count = 4 * n  # the angle is pi / 8 per dimension, below pi / 2 in three dimensions
        width = math.pi / count
        start, count = (0.0, count // 2) if not halved else (-math.pi, count)
        halved = True
        axes.append(start + width * (2 * torch.arange(count, dtype=torch.float64) + 1))
        half.append(width)
    return torch.cartesian_prod(*axes).reshape(-1, len(spans)), half


def _halve_cells(centres: Tensor, half: list[float]) -> tuple[Tensor, list[float]]:
    """Halve the cells in each dimension of positive width."""
    smaller = [h / 2 for h in half]
    shifts = [torch.tensor([-h, h] if h else [0.0], dtype=torch.float64) for h in smaller]
    corners = torch.cartesian_prod(*shifts).reshape(-1, len(half))
    return (centres[:, None] + corners).flatten(0, 1), smaller


def _norms(weight: Tensor, taps: list[tuple[Tensor, Tensor]], frequencies: Tensor) -> Tensor:
    """Return the largest singular value (B,) of the symbol at frequencies (B, D)."""
    rows, columns = weight.shape[1], weight.shape[2] * math.prod(one_hot.shape[1] for _, one_hot in taps)
    size = max(CHUNK_ENTRIES // (weight.shape[0] * rows * columns), 1)
    norms = []
    for chunk in frequencies.split(size):
        waves = torch.ones(len(chunk), 1, 1, dtype=torch.complex128)
        for j, (lag, one_hot) in enumerate(taps):
            wave = torch.exp(1j * chunk[:, j, None] * lag)[:, :, None] * one_hot
            waves = torch.einsum("bkr,bls->bklrs", waves, wave).flatten(3).flatten(1, 2)
        symbol = torch.einsum("goik,bkr->bgoir", weight.to(waves.dtype), waves).flatten(3)
        gram = symbol @ symbol.mH if rows <= columns else symbol.mH @ symbol
        norms.append(torch.linalg.eigvalsh(gram)[..., -1].clamp(min=0).sqrt().amax(1))
    return torch.cat(norms)
