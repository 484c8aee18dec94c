"""Pixels of two images that differ in smoothness: few distinct points, most of them repeated often."""

from __future__ import annotations

import numpy as np

from otdist.bench.questions.samples import Question
from otdist.typing import Array

IMAGE_PIXELS = 32  # of a side
ROUGH_FIELD, SMOOTH_FIELD = (
    (0.25, 0.05),
    (2.5, 0.3),
)  # Matern smoothness, and length scale relative to the side


def make_images(name: str, n: int, d: int, rng: int) -> Question:
    """Draw pixels of a rough and of a smooth image, with probabilities given by brightness; units are pixels.

    After the classes GRFrough and GRFsmooth of DOTmark (Schrieber, Schuhmacher, Gottschlich 2017); differs in
    the parameters of the fields, and in that pixels are drawn, since a question has equal weights.
    """
    random = np.random.default_rng(rng)
    x, y = (
        _draw_pixels(image, n, random)
        for image in (_draw_image(*ROUGH_FIELD, 0), _draw_image(*SMOOTH_FIELD, 1))
    )
    return Question(name, x, y)


def _draw_image(smoothness: float, length_scale: float, seed: int) -> Array:
    """Draw a Gaussian field of Matern covariance, shifted so that its smallest pixel is 0.

    Its spectral density is ``(2 nu / l^2 + |k|^2)^-(nu + 1)``. It is drawn on a torus of twice the
    side, and one quarter is returned: opposite edges are not neighbours.
    """
    frequencies = 2 * np.pi * np.fft.fftfreq(2 * IMAGE_PIXELS, d=1 / IMAGE_PIXELS)
    density = (2 * smoothness / length_scale**2 + frequencies[:, None] ** 2 + frequencies**2) ** -(
        smoothness + 1
    )
    noise = np.fft.fft2(np.random.default_rng(seed).normal(size=(2 * IMAGE_PIXELS, 2 * IMAGE_PIXELS)))
    field = np.fft.ifft2(noise * np.sqrt(density)).real[:IMAGE_PIXELS, :IMAGE_PIXELS]
    image: Array = field - field.min()
    return image


def _draw_pixels(image: Array, n: int, random: np.random.Generator) -> Array:
    pixels = random.choice(image.size, size=n, p=image.ravel() / image.sum())
    return np.column_stack(np.unravel_index(pixels, image.shape)).astype(float)
