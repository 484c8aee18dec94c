"""Histograms of columns, generated and real, with the snapshots of a run below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from otdist.api.line import wasserstein_1d
from otdist.learn.wgan.columns.labels import LabelCodec
from otdist.pages.axis import CHARACTER_WIDTH, PLOT_RIGHT, Axis
from otdist.pages.drawing import add, add_axis, add_text, make_canvas, to_markup
from otdist.pages.formatting import escape_unprintable, format_number
from otdist.typing import Array

if TYPE_CHECKING:
    from otdist.learn.wgan.wgan import WGAN


MAX_COLUMNS = 24  # number of columns drawn
N_BINS = 30
HISTOGRAM_HEIGHT, RUG_HEIGHT = 110.0, 13.0  # of a histogram, and of a snapshot below it
TOP_MARGIN = 8.0
BAR_HEIGHT = 18.0  # of the shares of a label
MAX_LEVELS_DRAWN, MAX_LABEL_CHARACTERS = 12, 20


@dataclass(frozen=True)
class Part:
    """Drawing of a column: its place among the numbers of a point, and the levels of labels."""

    name: str
    start: int
    codec: LabelCodec | None = None


def draw_histograms(
    run: WGAN, fresh: Array, heldout: Array | None, snapshots: list[tuple[int, Array]]
) -> tuple[list[tuple[str, Markup]], str]:
    """Draw the columns in decreasing order of their error; return titled drawings and a note."""
    parts = _list_parts(run)
    errors = np.zeros(len(parts))
    if heldout is not None:
        errors = np.array([_measure_error(run, part, fresh, heldout) for part in parts])
    order = np.argsort(-errors, kind="stable")[:MAX_COLUMNS]
    drawings = []
    for k in order:
        part = parts[k]
        error_text = ""
        if heldout is not None:
            figure = format_number(float(errors[k]))
            error_text = f", W1 {figure} spreads" if part.codec is None else f", total variation {figure}"
        title = f"{escape_unprintable(part.name)}{error_text}"
        drawings.append((title, _draw_part(part, fresh, heldout, snapshots)))
    note = f"{len(fresh):,} fresh points"
    note += "" if heldout is None else f" against {len(heldout):,} kept aside"
    note += ". The rows below each histogram: the same latent numbers at some checks, by step." * bool(
        snapshots
    )
    if len(parts) > MAX_COLUMNS:
        note += f" The {MAX_COLUMNS} of {len(parts)} columns that are furthest off are shown."
    return drawings, note


def _list_parts(run: WGAN) -> list[Part]:
    """Return the drawings of a run: a histogram for numbers and indicators of gaps, bars for labels."""
    if run.encoder is None:
        return [Part(name, k) for k, name in enumerate(run.point_names)]
    parts = []
    for codec, start in zip(run.encoder.codecs, run.encoder.starts, strict=True):
        if isinstance(codec, LabelCodec):
            parts += [Part(codec.name, start, codec)] if codec.names else []
        else:
            parts += [Part(name, start + k) for k, name in enumerate(codec.names)]
    return parts


def _measure_error(run: WGAN, part: Part, fresh: Array, heldout: Array) -> float:
    if part.codec is not None:
        shares = [_level_shares(part, points) for points in (fresh, heldout)]
        return float(np.abs(shares[0] - shares[1]).sum() / 2)
    distance = float(wasserstein_1d(heldout[:, part.start], fresh[:, part.start]))
    return distance / float(run.scale.unit[part.start])


def _level_shares(part: Part, points: Array) -> Array:
    """Return the shares of a column's levels."""
    assert part.codec is not None
    shares = points[:, part.start : part.start + len(part.codec.names)].mean(0)
    return shares if len(shares) > 1 else np.array([1 - shares[0], shares[0]])


def _draw_part(part: Part, fresh: Array, heldout: Array | None, snapshots: list[tuple[int, Array]]) -> Markup:
    if part.codec is None:
        real = None if heldout is None else heldout[:, part.start]
        return _draw_column(
            part.name, fresh[:, part.start], real, [(s, z[:, part.start]) for s, z in snapshots]
        )
    shares = {"cur": _level_shares(part, fresh)}
    if heldout is not None:
        shares["ref"] = _level_shares(part, heldout)
    return _draw_levels(part.name, part.codec.levels, shares)


def _draw_levels(name: str, levels: tuple[str, ...], shares: dict[str, Array]) -> Markup:
    """Draw the shares of the most frequent levels as bars."""
    order = np.argsort(-shares.get("ref", shares["cur"]), kind="stable")[:MAX_LEVELS_DRAWN]
    labels = [_shorten(escape_unprintable(levels[k])) for k in order]
    left = 10 + CHARACTER_WIDTH * max(map(len, labels))
    root = make_canvas(
        f"{name}: shares of labels made, and of real ones", TOP_MARGIN + BAR_HEIGHT * len(order) + 4
    )
    top = max(float(share.max()) for share in shares.values()) or 1.0
    for row, (k, label) in enumerate(zip(order, labels, strict=True)):
        y = TOP_MARGIN + BAR_HEIGHT * row
        add_text(root, left - 6, y + BAR_HEIGHT - 5, label, anchor="end")
        for side in ("ref", "cur"):
            if side in shares:
                width = (PLOT_RIGHT - left) * float(shares[side][k]) / top
                d = f"M{left:.1f} {y + 2:.1f}h{width:.1f}v{BAR_HEIGHT - 5:g}h{-width:.1f}z"
                add(root, "path", class_=f"hist {side}", d=d)
    return Markup(to_markup(root))


def _shorten(label: str) -> str:
    return label if len(label) <= MAX_LABEL_CHARACTERS else f"{label[: MAX_LABEL_CHARACTERS - 1]}…"


def _draw_column(name: str, fresh: Array, real: Array | None, rows: list[tuple[int, Array]]) -> Markup:
    labels = [f"{step:,}" for step, _ in rows]
    left = 10 + CHARACTER_WIDTH * max((len(label) for label in labels), default=0)
    height = TOP_MARGIN + HISTOGRAM_HEIGHT + RUG_HEIGHT * len(rows) + 30
    root = make_canvas(f"{name}: values made, and real ones", height)
    full_axis = Axis.from_values(fresh if real is None else np.concatenate([fresh, real]))
    if full_axis is None:
        return Markup(to_markup(root))
    axis = Axis(full_axis.lo, full_axis.hi, cropped=full_axis.cropped, left=left)
    edges = np.linspace(axis.lo, axis.hi, N_BINS + 1)
    x_edges = axis.transform(edges)
    shares = {"cur": np.histogram(fresh, edges)[0] / len(fresh)}
    if real is not None:
        shares["ref"] = np.histogram(real, edges)[0] / len(real)
    top = max(float(share.max()) for share in shares.values()) or 1.0
    for side in ("ref", "cur"):
        if side in shares:
            add(
                root,
                "path",
                class_=f"hist {side}",
                d=_histogram_path(x_edges, TOP_MARGIN + HISTOGRAM_HEIGHT * (1 - shares[side] / top)),
            )
    for k, (label, (_, values)) in enumerate(zip(labels, rows, strict=True)):
        y = TOP_MARGIN + HISTOGRAM_HEIGHT + RUG_HEIGHT * k + 2
        inside = axis.transform(values[(values >= axis.lo) & (values <= axis.hi)])
        add(root, "path", class_="rug", d="".join(f"M{x:.1f} {y + 1:.1f}v{RUG_HEIGHT - 4:g}" for x in inside))
        add_text(root, left - 6, y + RUG_HEIGHT - 4, label, anchor="end")
    add_axis(root, axis, TOP_MARGIN + HISTOGRAM_HEIGHT + RUG_HEIGHT * len(rows) + 3)
    return Markup(to_markup(root))


def _histogram_path(edges: Array, heights: Array) -> str:
    """Return the outline of a histogram as an SVG path."""
    base = TOP_MARGIN + HISTOGRAM_HEIGHT
    parts = [f"M{edges[0]:.1f} {base:.1f}"]
    parts += [f"V{y:.1f}H{x:.1f}" for y, x in zip(heights, edges[1:], strict=True)]
    return "".join(parts) + f"V{base:.1f}"
