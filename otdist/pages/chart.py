"""Curves over a horizontal axis: a frame with ticks on both sides, lines and bands."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from otdist.pages.axis import LETTER, RIGHT, Axis, number_ticks
from otdist.pages.drawing import HEIGHT, TOP, add, add_axis, add_text, canvas, path

Array = NDArray[np.float64]

BELOW = 36.0  # room for the ticks of the horizontal axis
GAP = 26.0  # least distance of two ticks of the vertical one


@dataclass(frozen=True)
class Chart:
    """Where values stand in a drawing.

    Attributes
    ----------
    axis : Axis
        Of the horizontal direction.
    low, high : float
        Ends of the vertical one.
    height : float
        Of the drawing.
    """

    axis: Axis
    low: float
    high: float
    height: float = HEIGHT

    @classmethod
    def of(cls, x: Array, y: Array, *, height: float = HEIGHT, whole: bool = False) -> Chart | None:
        """Span values (n,) and all finite y, and 0; None when there is nothing to span."""
        finite = y[np.isfinite(y)]
        if not finite.size or not x.size:
            return None
        low, high = min(float(finite.min()), 0.0), max(float(finite.max()), 0.0)
        if low == high:
            high = 1.0
        pad = 0.04 * (high - low)
        low, high = low - pad * (low < 0), high + pad
        ends = float(x.min()), float(x.max())
        if ends[0] == ends[1]:
            ends = ends[0] - 1.0, ends[1] + 1.0
        chart = cls(Axis(*ends, whole=whole), low, high, height)
        left = 12.0 + LETTER * max(len(label) for _, label in chart.ticks())
        return cls(Axis(*ends, whole=whole, left=max(left, 28.0)), low, high, height)

    def ticks(self) -> list[tuple[float, str]]:
        """Values and labels of the vertical axis."""
        most = max(int((self.height - TOP - BELOW) / GAP), 1)
        return number_ticks(self.low, self.high, (self.high - self.low) / min(most, 5))

    def place(self, values: Array) -> Array:
        """Vertical position of values."""
        bottom = self.height - BELOW
        return np.asarray(bottom - (values - self.low) / (self.high - self.low) * (bottom - TOP))

    def frame(self, title: str) -> Element:
        """Give a drawing with grid and axes."""
        root = canvas(title, self.height)
        for value, label in self.ticks():
            y = float(self.place(np.array(value)))
            add(root, "line", class_="grid", x1=self.axis.left, x2=RIGHT, y1=y, y2=y)
            add_text(root, self.axis.left - 6, y + 4, label, anchor="end")
        add_axis(root, self.axis, self.height - BELOW)
        return root

    def line(self, root: Element, x: Array, y: Array, class_: str) -> None:
        """Add a line, broken where values are not finite; a value alone is a dot."""
        for run in _runs(np.isfinite(y)):
            across, up = self.axis.place(x[run]), self.place(y[run])
            if len(across) == 1:
                add(root, "circle", class_=f"spot {class_}", cx=across[0], cy=up[0], r=3.0)
            else:
                add(root, "path", class_=f"curve {class_}", d=path(across, up))

    def band(self, root: Element, x: Array, low: Array, high: Array) -> None:
        """Add the area between two lines."""
        for run in _runs(np.isfinite(low) & np.isfinite(high)):
            across, down, up = self.axis.place(x[run]), self.place(low[run]), self.place(high[run])
            if len(across) == 1:  # of no width: a check alone
                add(root, "path", class_="whisker", d=path(np.repeat(across, 2), np.append(down, up)))
                continue
            around = path(np.concatenate([across, across[::-1]]), np.concatenate([down, up[::-1]]))
            add(root, "path", class_="area", d=around + "Z")


def _runs(held: NDArray[np.bool_]) -> list[slice]:
    """Stretches where something holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], held, [False]])))
    return [slice(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
