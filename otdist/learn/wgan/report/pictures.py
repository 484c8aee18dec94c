"""Pictures of generated data beside real data: points, images, series or columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from markupsafe import Markup

from otdist.learn.wgan.report.histograms import draw_histograms
from otdist.learn.wgan.report.summary import point_kind
from otdist.pages.axis import PLOT_LEFT, PLOT_RIGHT, Axis, make_number_ticks
from otdist.pages.chart import Chart
from otdist.pages.drawing import (
    add,
    add_frame,
    add_grid_line,
    add_text,
    add_tick_label,
    make_canvas,
    make_path,
    to_markup,
)
from otdist.pages.png import arrange_grid, to_data_uri
from otdist.typing import Array

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from torch import Tensor

    from otdist.learn.wgan.real import Scale
    from otdist.learn.wgan.wgan import WGAN


FRESH_POINTS = 2000  # generated points for the figures of the current generator
MAX_DOTS = 400  # points drawn, generated and real each
THUMBNAIL_SIZE = 200.0  # side of a thumbnail, in SVG units
N_IMAGES, IMAGES_PER_ROW = 16, 8  # images of a snapshot, and in a row
N_SERIES = 8  # series in a picture
SAMPLE_SEED = 0


@dataclass(frozen=True)
class Panel:
    """One picture: a drawing, or the data URI of an image."""

    drawing: Markup | None
    image: str
    caption: str


@dataclass(frozen=True)
class Gallery:
    """Pictures of one kind.

    Attributes
    ----------
    now : list of Panel
        Pictures of the current generator.
    snapshots : list of Panel
        Snapshots: points of the same latent numbers at some checks.
    note : str
        Explanation of the pictures.
    beside : bool
        Whether the snapshots are placed beside the other pictures.
    """

    now: list[Panel]
    snapshots: list[Panel]
    note: str
    beside: bool = False


def build_gallery(run: WGAN) -> Gallery:
    """Draw the pictures of a run, in the caller's units."""
    d = int(np.prod(run.shape))
    # Encoded, as the rows of a table are, and without the codes of classes.
    fresh = run.sample_encoded(FRESH_POINTS if d < 64 else MAX_DOTS, rng=SAMPLE_SEED)
    heldout = None
    if run.real is not None:
        heldout = run.scale.inverse_transform(run.real.heldout[:FRESH_POINTS])[:, :d]
    snapshots = [
        (step, run.scale.inverse_transform(z)[:, :d])
        for step, z in zip(run.snapshots.steps, run.snapshots.points, strict=True)
    ]
    kind = point_kind(run.shape, run.columns)
    if kind == "image":
        return _image_gallery(run, fresh, snapshots)
    if kind == "series":
        return _series_gallery(fresh, heldout, snapshots)
    if d == 2 and (run.encoder is None or run.encoder.is_plain):
        return _plane_gallery(run, fresh, heldout, snapshots)
    panels, note = draw_histograms(run, fresh, heldout, snapshots)
    return Gallery([Panel(drawing, "", name) for name, drawing in panels], [], note)


def _format_step(step: int) -> str:
    return f"step {step:,}" if step else "before training"


def _plane_gallery(
    run: WGAN, fresh: Array, heldout: Array | None, snapshots: list[tuple[int, Array]]
) -> Gallery:
    """Draw points in the plane, small generated ones over large real ones, so that both are visible."""
    pool = fresh if heldout is None else np.concatenate([heldout, fresh])
    low, high = np.quantile(pool, 0.002, axis=0), np.quantile(pool, 0.998, axis=0)
    middle, half = (low + high) / 2, 0.55 * np.where(high > low, high - low, 1.0)
    if run.scale.common:  # one unit for both: circles stay circles
        half = np.full(2, half.max())
    names = ("first number", "second number") if run.columns is None else run.point_names
    now = _draw_scatter(fresh[:MAX_DOTS], heldout, middle, half, names)
    thumbs = [
        Panel(_draw_thumbnail(z, heldout, middle, half), "", _format_step(step)) for step, z in snapshots
    ]
    real = "" if heldout is None else f", over {min(MAX_DOTS, len(heldout))} points kept aside"
    note = f"{min(MAX_DOTS, len(fresh))} fresh points{real}."
    if snapshots:
        note += f" The small pictures: the same {len(snapshots[0][1])} latent points at some checks."
    return Gallery([Panel(now, "", "")], thumbs, note, beside=True)


def _draw_scatter(
    fresh: Array, heldout: Array | None, middle: Array, half: Array, names: tuple[str, ...]
) -> Markup:
    side = PLOT_RIGHT - PLOT_LEFT
    root = make_canvas("Generated points over real ones", side + 62)
    box = (PLOT_LEFT, 16.0, side)
    axis = Axis(float(middle[0] - half[0]), float(middle[0] + half[0]))
    for x, label in axis.make_ticks():
        add(root, "line", class_="grid", x1=x, x2=x, y1=16, y2=16 + side)
        add_tick_label(root, x, side + 34, label)
    low, high = float(middle[1] - half[1]), float(middle[1] + half[1])
    for value, label in make_number_ticks(low, high, (high - low) / 5):
        y = 16 + side * (high - value) / (high - low)
        add_grid_line(root, PLOT_LEFT, y, label)
    add_text(root, PLOT_RIGHT, side + 52, names[0], anchor="end", class_="name")
    add_text(root, PLOT_LEFT, 10, names[1], class_="name")
    _add_points(root, heldout, "ref", middle, half, box)
    _add_points(root, fresh, "cur", middle, half, box)
    return Markup(to_markup(root))


def _draw_thumbnail(fresh: Array, heldout: Array | None, middle: Array, half: Array) -> Markup:
    root = make_canvas("Points of the same latent numbers at a check", THUMBNAIL_SIZE, THUMBNAIL_SIZE)
    add_frame(root, THUMBNAIL_SIZE, THUMBNAIL_SIZE)
    _add_points(root, heldout, "ref", middle, half, (0.0, 0.0, THUMBNAIL_SIZE))
    _add_points(root, fresh, "cur big", middle, half, (0.0, 0.0, THUMBNAIL_SIZE))
    return Markup(to_markup(root))


def _add_points(
    root: Element, points: Array | None, class_: str, middle: Array, half: Array, box: tuple[float, ...]
) -> None:
    """Add the first points as dots of one path, without points outside the box."""
    if points is None:
        return
    left, top, side = box
    places = (points[:MAX_DOTS] - middle) / half
    inside = places[(np.abs(places) <= 1).all(1)]
    x, y = left + side * (1 + inside[:, 0]) / 2, top + side * (1 - inside[:, 1]) / 2
    d = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(x, y, strict=True))
    add(root, "path", class_=f"cloud {class_}", d=d)


def _image_gallery(run: WGAN, fresh: Array, snapshots: list[tuple[int, Array]]) -> Gallery:
    """Draw grids of images, with the nearest training image below each generated one."""
    data = run.real
    train = None if data is None else data.train
    d = fresh.shape[1]
    reference = fresh if train is None else run.scale.inverse_transform(train[:FRESH_POINTS])[:, :d]
    span = float(np.quantile(reference, 0.001)), float(np.quantile(reference, 0.999))
    fresh = fresh[: 2 * N_IMAGES]
    if data is None:
        now = [
            Panel(
                None,
                _draw_images(fresh, run.shape, span),
                "fresh samples",
            )
        ]
        note = ""
    else:
        nearest = _nearest_train_points(run.scale.first(d), data.train[:, :d], fresh[:N_IMAGES])
        # Alternating rows: generated images, and below each the nearest training image.
        rows = np.stack(
            [
                fresh[:N_IMAGES].reshape(-1, IMAGES_PER_ROW, fresh.shape[1]),
                nearest.reshape(-1, IMAGES_PER_ROW, fresh.shape[1]),
            ]
        )
        both = rows.swapaxes(0, 1).reshape(-1, fresh.shape[1])
        pictures = _draw_images(both, run.shape, span)
        caption = "first and third row: fresh samples; below each, the nearest of the training images"
        now = [Panel(None, pictures, caption)]
        few = data.heldout[: 2 * N_IMAGES]
        real = _draw_images(run.scale.inverse_transform(few)[:, :d], run.shape, span)
        now.append(Panel(None, real, "real images, kept aside"))
        note = "Nearest by the Euclidean distance of pixels: a copy would look like what stands below it."
    thumbs = [
        Panel(
            None,
            _draw_images(z[:N_IMAGES], run.shape, span),
            _format_step(step),
        )
        for step, z in snapshots
    ]
    return Gallery(now, thumbs, note)


def _draw_images(points: Array, shape: tuple[int, ...], span: tuple[float, float]) -> str:
    """Draw a grid of images, as a data URI."""
    return to_data_uri(arrange_grid(_to_channels_last(points, shape), IMAGES_PER_ROW, span))


def _to_channels_last(points: Array, shape: tuple[int, ...]) -> Array:
    """Return images (n, height, width, 1 or 3)."""
    images = points.reshape(len(points), *(shape if len(shape) == 3 else (1, *shape)))
    channels = 3 if images.shape[1] == 3 else 1
    return np.moveaxis(images[:, :channels], 1, -1)


def _nearest_train_points(scale: Scale, train: Tensor, fresh: Array) -> Array:
    """The training point nearest to each, in the caller's units."""
    train, z = train.cpu(), scale.transform(fresh)
    best = np.full(len(fresh), np.inf)
    rows = np.zeros(len(fresh), int)
    for first in range(0, len(train), FRESH_POINTS):
        distances = torch.cdist(z, train[first : first + FRESH_POINTS]).numpy()
        nearest_rows = distances.argmin(1)
        value = distances[np.arange(len(fresh)), nearest_rows]
        rows = np.where(value < best, first + nearest_rows, rows)
        best = np.minimum(best, value)
    return scale.inverse_transform(train[rows])


def _series_gallery(fresh: Array, heldout: Array | None, snapshots: list[tuple[int, Array]]) -> Gallery:
    """Draw series, generated and real."""
    reference = (
        fresh[:MAX_DOTS] if heldout is None else np.concatenate([fresh[:MAX_DOTS], heldout[:MAX_DOTS]])
    )
    span = np.array([np.quantile(reference, 0.001), np.quantile(reference, 0.999)])
    now = [
        Panel(
            _draw_series(fresh[:N_SERIES], "cur", span, "Series made by the generator"), "", "fresh samples"
        )
    ]
    if heldout is not None:
        now.append(
            Panel(_draw_series(heldout[:N_SERIES], "ref", span, "Real series"), "", "real series, kept aside")
        )
    thumbs = [
        Panel(
            _draw_series(z[:N_SERIES], "cur", span, "Series of the same latent numbers", small=True),
            "",
            _format_step(step),
        )
        for step, z in snapshots
    ]
    return Gallery(now, thumbs, f"{N_SERIES} series in each picture; values over their place in the series.")


def _draw_series(series: Array, class_: str, span: Array, title: str, *, small: bool = False) -> Markup:
    x = np.arange(series.shape[1], dtype=float)
    if small:
        root = make_canvas(title, THUMBNAIL_SIZE / 2, THUMBNAIL_SIZE)
        add_frame(root, THUMBNAIL_SIZE, THUMBNAIL_SIZE / 2)
        across = 4 + (THUMBNAIL_SIZE - 8) * x / max(x[-1], 1.0)
        for values in series:
            up = 4 + (THUMBNAIL_SIZE / 2 - 8) * np.clip((span[1] - values) / (span[1] - span[0] or 1.0), 0, 1)
            add(root, "path", class_=f"curve thin {class_}", d=make_path(across, up))
        return Markup(to_markup(root))
    chart = Chart.from_values(x, span, whole=True)
    assert chart is not None  # the span is finite
    root = chart.draw_frame(title)
    for values in np.clip(series, chart.low, chart.high):
        chart.draw_line(root, x, values, f"thin {class_}")
    return Markup(to_markup(root))
