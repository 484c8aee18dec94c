"""Pixels of two images that differ in smoothness: few places, and most of them many times."""

from __future__ import annotations

import numpy as np

from otdist.arrays import Array
from otdist.bench.questions.samples import Question

SIDE = 32  # pixels
ROUGH, SMOOTH = (0.25, 0.05), (2.5, 0.3)  # Matern smoothness, and range as a part of the side


def images(name: str, n: int, d: int, rng: int) -> Question:
    """Draw pixels of a rough and of a smooth image, each as often as it is bright; units are pixels.

    After the classes GRFrough and GRFsmooth of DOTmark (Schrieber, Schuhmacher, Gottschlich 2017); differs in
    the parameters of the fields, which are ours, and in that pixels are drawn: a question has equal weights.
    """
    random = np.random.default_rng(rng)
    x, y = (_pixels(image, n, random) for image in (_image(*ROUGH, 0), _image(*SMOOTH, 1)))
    return Question(name, x, y)


def _image(smoothness: float, reach: float, seed: int) -> Array:
    """Gaussian field of Matern covariance, moved up until its least pixel is 0.

    Its spectral density is ``(2 nu / l^2 + |k|^2)^-(nu + 1)``. Made on a torus of twice the side, of which
    one quarter is kept: opposite edges are not neighbours.
    """
    wave = 2 * np.pi * np.fft.fftfreq(2 * SIDE, d=1 / SIDE)
    density = (2 * smoothness / reach**2 + wave[:, None] ** 2 + wave**2) ** -(smoothness + 1)
    noise = np.fft.fft2(np.random.default_rng(seed).normal(size=(2 * SIDE, 2 * SIDE)))
    field = np.fft.ifft2(noise * np.sqrt(density)).real[:SIDE, :SIDE]
    image: Array = field - field.min()
    return image


def _pixels(image: Array, n: int, random: np.random.Generator) -> Array:
    places = random.choice(image.size, size=n, p=image.ravel() / image.sum())
    return np.column_stack(np.unravel_index(places, image.shape)).astype(float)
