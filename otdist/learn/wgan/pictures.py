"""What a generator makes, drawn beside real data: points, images, series or columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from markupsafe import Markup
from numpy.typing import NDArray

from otdist.learn.wgan.card import kind
from otdist.learn.wgan.histograms import histograms
from otdist.pages.axis import LEFT, LETTER, RIGHT, Axis, number_ticks
from otdist.pages.chart import Chart
from otdist.pages.drawing import add, add_text, canvas, markup, path
from otdist.pages.png import data_uri, grid

if TYPE_CHECKING:
    from otdist.learn.wgan.wgan import WGAN

Array = NDArray[np.float64]

FRESH = 2000  # points made for the figures of the generator as it is
DOTS = 400  # drawn of either kind
THUMB = 200.0  # units of a small square
IMAGES, ROW = 16, 8  # of a check, and side by side
LINES = 8  # series of a check
SEED = 0


@dataclass(frozen=True)
class Panel:
    """One picture: a drawing, or the address of an image."""

    drawing: Markup | None
    image: str
    caption: str


@dataclass(frozen=True)
class Gallery:
    """Pictures of one kind.

    Attributes
    ----------
    now : list of Panel
        The generator as it is.
    strip : list of Panel
        What the same latent numbers gave at some checks.
    note : str
        How to read them.
    beside : bool
        Whether the strip has its place beside the others.
    """

    now: list[Panel]
    strip: list[Panel]
    note: str
    beside: bool = False


def gallery(run: WGAN) -> Gallery:
    """Pictures of what a run makes, in the caller's units."""
    d = int(np.prod(run.shape))
    fresh = run.sample(FRESH if d < 64 else DOTS, rng=SEED).reshape(-1, d)
    held = None if run.real is None else run.scale.restore(run.real.heldout[:FRESH])
    strip = [
        (step, run.scale.restore(z)) for step, z in zip(run.strips.steps, run.strips.points, strict=True)
    ]
    what = kind(run.shape, run.columns)
    if what == "image":
        return _images(run, fresh, strip)
    if what == "series":
        return _series(fresh, held, strip)
    if d == 2:
        return _plane(run, fresh, held, strip)
    panels, note = histograms(run, fresh, held, strip)
    return Gallery([Panel(drawing, "", name) for name, drawing in panels], [], note)


def _plane(run: WGAN, fresh: Array, held: Array | None, strip: list[tuple[int, Array]]) -> Gallery:
    """Points in the plane, made over real."""
    seen = fresh if held is None else np.concatenate([held, fresh])
    low, high = np.quantile(seen, 0.002, axis=0), np.quantile(seen, 0.998, axis=0)
    middle, half = (low + high) / 2, 0.55 * np.where(high > low, high - low, 1.0)
    if run.scale.common:  # one unit for both: circles stay circles
        half = np.full(2, half.max())
    names = run.columns or ("first number", "second number")
    now = _scatter(fresh[:DOTS], held, middle, half, names)
    thumbs = [
        Panel(_dots(z, held, middle, half), "", f"step {step:,}" if step else "before training")
        for step, z in strip
    ]
    real = "" if held is None else f", over {min(DOTS, len(held))} points kept aside"
    note = f"{min(DOTS, len(fresh))} fresh points{real}."
    if strip:
        note += f" The small pictures: the same {len(strip[0][1])} latent points at some checks."
    return Gallery([Panel(now, "", "")], thumbs, note, beside=True)


def _scatter(fresh: Array, held: Array | None, middle: Array, half: Array, names: tuple[str, ...]) -> Markup:
    side = RIGHT - LEFT
    root = canvas("Points made by the generator, and real ones", side + 62)
    box = (LEFT, 16.0, side)
    axis = Axis(float(middle[0] - half[0]), float(middle[0] + half[0]))
    for x, label in axis.ticks():
        add(root, "line", class_="grid", x1=x, x2=x, y1=16, y2=16 + side)
        half_label = LETTER * len(label) / 2
        add_text(root, min(max(x, half_label), 400 - half_label), side + 34, label, anchor="middle")
    low, high = float(middle[1] - half[1]), float(middle[1] + half[1])
    for value, label in number_ticks(low, high, (high - low) / 5):
        y = 16 + side * (high - value) / (high - low)
        add(root, "line", class_="grid", x1=LEFT, x2=RIGHT, y1=y, y2=y)
        add_text(root, LEFT - 6, y + 4, label, anchor="end")
    add_text(root, RIGHT, side + 52, names[0], anchor="end", class_="name")
    add_text(root, LEFT, 10, names[1], class_="name")
    _cloud(root, held, "ref", middle, half, box)
    _cloud(root, fresh, "cur", middle, half, box)
    return Markup(markup(root))


def _dots(made: Array, held: Array | None, middle: Array, half: Array) -> Markup:
    root = canvas("Points of the same latent numbers at a check", THUMB, THUMB)
    add(root, "rect", class_="frame", x=0.5, y=0.5, width=THUMB - 1, height=THUMB - 1, rx=6.0)
    _cloud(root, held, "ref", middle, half, (0.0, 0.0, THUMB))
    _cloud(root, made, "cur big", middle, half, (0.0, 0.0, THUMB))
    return Markup(markup(root))


def _cloud(
    root: object, points: Array | None, class_: str, middle: Array, half: Array, box: tuple[float, ...]
) -> None:
    """Add the first points as dots of one path; what lies outside is left out."""
    if points is None:
        return
    left, top, side = box
    places = (points[:DOTS] - middle) / half
    inside = places[(np.abs(places) <= 1).all(1)]
    x, y = left + side * (1 + inside[:, 0]) / 2, top + side * (1 - inside[:, 1]) / 2
    d = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(x, y, strict=True))
    add(root, "path", class_=f"cloud {class_}", d=d)  # type: ignore[arg-type]


def _images(run: WGAN, fresh: Array, strip: list[tuple[int, Array]]) -> Gallery:
    """Grids of images; below each of the last ones, the nearest real one."""
    train = None if run.real is None else run.real.train
    known = fresh if train is None else run.scale.restore(train[:FRESH])
    span = float(np.quantile(known, 0.001)), float(np.quantile(known, 0.999))
    made = fresh[: 2 * IMAGES]
    if train is None:
        now = [Panel(None, data_uri(grid(_planes(made, run.shape), ROW, span)), "fresh samples")]
        note = ""
    else:
        near = _nearest(run, made[:IMAGES])
        # Rows in turns: what is made, and below it what it is nearest to.
        rows = np.stack([made[:IMAGES].reshape(-1, ROW, made.shape[1]), near.reshape(-1, ROW, made.shape[1])])
        both = rows.swapaxes(0, 1).reshape(-1, made.shape[1])
        pictures = data_uri(grid(_planes(both, run.shape), ROW, span))
        caption = "first and third row: fresh samples; below each, the nearest of the training images"
        now = [Panel(None, pictures, caption)]
        few = run.real.heldout[: 2 * IMAGES]  # type: ignore[union-attr]
        real = data_uri(grid(_planes(run.scale.restore(few), run.shape), ROW, span))
        now.append(Panel(None, real, "real images, kept aside"))
        note = "Nearest by the Euclidean distance of pixels: a copy would look like what stands below it."
    thumbs = [
        Panel(
            None,
            data_uri(grid(_planes(z[:IMAGES], run.shape), ROW, span)),
            f"step {step:,}" if step else "before training",
        )
        for step, z in strip
    ]
    return Gallery(now, thumbs, note)


def _planes(points: Array, shape: tuple[int, ...]) -> Array:
    """Images (n, height, width, 1 or 3)."""
    images = points.reshape(len(points), *(shape if len(shape) == 3 else (1, *shape)))
    channels = 3 if images.shape[1] == 3 else 1
    return np.moveaxis(images[:, :channels], 1, -1)


def _nearest(run: WGAN, made: Array) -> Array:
    """The training point nearest to each, in the caller's units."""
    train, z = run.real.train.cpu(), run.scale.place(made)  # type: ignore[union-attr]
    best = np.full(len(made), np.inf)
    rows = np.zeros(len(made), int)
    for first in range(0, len(train), FRESH):
        apart = torch.cdist(z, train[first : first + FRESH]).numpy()
        least = apart.argmin(1)
        value = apart[np.arange(len(made)), least]
        rows = np.where(value < best, first + least, rows)
        best = np.minimum(best, value)
    return run.scale.restore(train[rows])


def _series(fresh: Array, held: Array | None, strip: list[tuple[int, Array]]) -> Gallery:
    """Lines, made over real."""
    known = fresh[:DOTS] if held is None else np.concatenate([fresh[:DOTS], held[:DOTS]])
    span = np.array([np.quantile(known, 0.001), np.quantile(known, 0.999)])
    now = [Panel(_lines(fresh[:LINES], "cur", span, "Series made by the generator"), "", "fresh samples")]
    if held is not None:
        now.append(Panel(_lines(held[:LINES], "ref", span, "Real series"), "", "real series, kept aside"))
    thumbs = [
        Panel(
            _lines(z[:LINES], "cur", span, "Series of the same latent numbers", small=True),
            "",
            f"step {step:,}" if step else "before training",
        )
        for step, z in strip
    ]
    return Gallery(now, thumbs, f"{LINES} series in each picture; values over their place in the series.")


def _lines(series: Array, class_: str, span: Array, title: str, *, small: bool = False) -> Markup:
    x = np.arange(series.shape[1], dtype=float)
    if small:
        root = canvas(title, THUMB / 2, THUMB)
        add(root, "rect", class_="frame", x=0.5, y=0.5, width=THUMB - 1, height=THUMB / 2 - 1, rx=6.0)
        across = 4 + (THUMB - 8) * x / max(x[-1], 1.0)
        for values in series:
            up = 4 + (THUMB / 2 - 8) * np.clip((span[1] - values) / (span[1] - span[0] or 1.0), 0, 1)
            add(root, "path", class_=f"curve thin {class_}", d=path(across, up))
        return Markup(markup(root))
    chart = Chart.of(x, span, whole=True)
    assert chart is not None  # the span is finite
    root = chart.frame(title)
    for values in np.clip(series, chart.low, chart.high):
        chart.line(root, x, values, f"thin {class_}")
    return Markup(markup(root))
