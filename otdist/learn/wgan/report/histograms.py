"""Histograms of columns, generated and real, with the snapshots of a run below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from otdist.api.line import wasserstein_1d
from otdist.pages.axis import CHARACTER_WIDTH, Axis
from otdist.pages.drawing import add, add_axis, add_text, make_canvas, to_markup
from otdist.pages.formatting import escape_unprintable, format_number
from otdist.typing import Array

if TYPE_CHECKING:
    from otdist.learn.wgan.wgan import WGAN


MAX_COLUMNS = 24  # number of columns drawn
N_BINS = 30
HISTOGRAM_HEIGHT, RUG_HEIGHT = 110.0, 13.0  # of a histogram, and of a snapshot below it
TOP_MARGIN = 8.0


def draw_histograms(
    run: WGAN, fresh: Array, heldout: Array | None, snapshots: list[tuple[int, Array]]
) -> tuple[list[tuple[str, Markup]], str]:
    """Draw the columns in decreasing order of their error; return titled drawings and a note."""
    names = run.columns or tuple(f"column {k}" for k in range(fresh.shape[1]))
    errors = np.zeros(len(names))
    if heldout is not None:
        errors = np.array([float(wasserstein_1d(heldout[:, k], fresh[:, k])) for k in range(len(names))])
        errors = errors / run.scale.unit
    order = np.argsort(-errors, kind="stable")[:MAX_COLUMNS]
    drawings = []
    for k in order:
        real = None if heldout is None else heldout[:, k]
        rows = [(step, z[:, k]) for step, z in snapshots]
        error_text = "" if heldout is None else f", W1 {format_number(float(errors[k]))} spreads"
        drawings.append(
            (f"{escape_unprintable(names[k])}{error_text}", _draw_column(names[k], fresh[:, k], real, rows))
        )
    note = f"{len(fresh):,} fresh points"
    note += "" if heldout is None else f" against {len(heldout):,} kept aside"
    note += ". The rows below each histogram: the same latent numbers at some checks, by step." * bool(
        snapshots
    )
    if len(names) > MAX_COLUMNS:
        note += f" The {MAX_COLUMNS} of {len(names)} columns that are furthest off are shown."
    return drawings, note


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
