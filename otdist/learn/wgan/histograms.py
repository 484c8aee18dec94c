"""Columns of a table, made and real: histograms, and where the same latent numbers went over the checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from otdist.lines import wasserstein_1d
from otdist.pages.axis import LETTER, Axis
from otdist.pages.drawing import add, add_axis, add_text, canvas, markup
from otdist.pages.words import number, visible

if TYPE_CHECKING:
    from otdist.learn.wgan.wgan import WGAN

Array = NDArray[np.float64]

MOST = 24  # columns that are drawn
BINS = 30
TALL, ROW = 110.0, 13.0  # of the histogram, and of a check below it
EDGE = 8.0


def histograms(
    run: WGAN, fresh: Array, held: Array | None, strip: list[tuple[int, Array]]
) -> tuple[list[tuple[str, Markup]], str]:
    """Drawings by name of column, the one that is furthest off first, and how to read them."""
    names = run.columns or tuple(f"column {k}" for k in range(fresh.shape[1]))
    off = np.zeros(len(names))
    if held is not None:
        off = np.array([float(wasserstein_1d(held[:, k], fresh[:, k])) for k in range(len(names))])
        off = off / run.scale.unit
    order = np.argsort(-off, kind="stable")[:MOST]
    drawings = []
    for k in order:
        real = None if held is None else held[:, k]
        rows = [(step, z[:, k]) for step, z in strip]
        apart = "" if held is None else f", W1 {number(float(off[k]))} spreads"
        drawings.append((f"{visible(names[k])}{apart}", _column(names[k], fresh[:, k], real, rows)))
    note = f"{len(fresh):,} fresh points"
    note += "" if held is None else f" against {len(held):,} kept aside"
    note += ". The rows below each histogram: the same latent numbers at some checks, by step." * bool(strip)
    if len(names) > MOST:
        note += f" The {MOST} of {len(names)} columns that are furthest off are shown."
    return drawings, note


def _column(name: str, made: Array, real: Array | None, rows: list[tuple[int, Array]]) -> Markup:
    labels = [f"{step:,}" for step, _ in rows]
    left = 10 + LETTER * max((len(label) for label in labels), default=0)
    height = EDGE + TALL + ROW * len(rows) + 30
    root = canvas(f"{name}: values made, and real ones", height)
    shown = Axis.of(made if real is None else np.concatenate([made, real]))
    if shown is None:
        return Markup(markup(root))
    axis = Axis(shown.lo, shown.hi, cropped=shown.cropped, left=left)
    edges = np.linspace(axis.lo, axis.hi, BINS + 1)
    across = axis.place(edges)
    shares = {"cur": np.histogram(made, edges)[0] / len(made)}
    if real is not None:
        shares["ref"] = np.histogram(real, edges)[0] / len(real)
    top = max(float(share.max()) for share in shares.values()) or 1.0
    for side in ("ref", "cur"):
        if side in shares:
            add(root, "path", class_=f"hist {side}", d=_steps(across, EDGE + TALL * (1 - shares[side] / top)))
    for k, (label, (_, values)) in enumerate(zip(labels, rows, strict=True)):
        y = EDGE + TALL + ROW * k + 2
        inside = axis.place(values[(values >= axis.lo) & (values <= axis.hi)])
        add(root, "path", class_="rug", d="".join(f"M{x:.1f} {y + 1:.1f}v{ROW - 4:g}" for x in inside))
        add_text(root, left - 6, y + ROW - 4, label, anchor="end")
    add_axis(root, axis, EDGE + TALL + ROW * len(rows) + 3)
    return Markup(markup(root))


def _steps(edges: Array, heights: Array) -> str:
    """Outline of a histogram."""
    base = EDGE + TALL
    parts = [f"M{edges[0]:.1f} {base:.1f}"]
    parts += [f"V{y:.1f}H{x:.1f}" for y, x in zip(heights, edges[1:], strict=True)]
    return "".join(parts) + f"V{base:.1f}"
