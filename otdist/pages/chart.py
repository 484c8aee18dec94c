"""Curves over a horizontal axis: a frame with ticks on both sides, lines and bands."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from otdist.pages.axis import CHARACTER_WIDTH, Axis, make_number_ticks
from otdist.pages.drawing import (
    DRAWING_HEIGHT,
    PLOT_TOP,
    add,
    add_axis,
    add_grid_line,
    make_canvas,
    make_path,
)
from otdist.typing import Array, Mask

TICK_MARGIN = 36.0  # height of the ticks of the horizontal axis
MIN_TICK_DISTANCE = 26.0  # smallest vertical distance of two ticks


@dataclass(frozen=True)
class Chart:
    """Positions of values in a drawing.

    Attributes
    ----------
    axis : Axis
        Horizontal axis.
    low, high : float
        Ends of the vertical axis.
    height : float
        Height of the drawing.
    """

    axis: Axis
    low: float
    high: float
    height: float = DRAWING_HEIGHT

    @classmethod
    def from_values(
        cls, x: Array, y: Array, *, height: float = DRAWING_HEIGHT, whole: bool = False
    ) -> Chart | None:
        """Make a chart that spans x, all finite y and 0; None if x is empty or no y is finite."""
        finite = y[np.isfinite(y)]
        if not finite.size or not x.size:
            return None
        low, high = min(float(finite.min()), 0.0), max(float(finite.max()), 0.0)
        if low == high:
            high = 1.0
        padding = 0.04 * (high - low)
        low, high = low - padding * (low < 0), high + padding
        ends = float(x.min()), float(x.max())
        if ends[0] == ends[1]:
            ends = ends[0] - 1.0, ends[1] + 1.0
        chart = cls(Axis(*ends, whole=whole), low, high, height)
        left = 12.0 + CHARACTER_WIDTH * max(len(label) for _, label in chart.make_ticks())
        return cls(Axis(*ends, whole=whole, left=max(left, 28.0)), low, high, height)

    def make_ticks(self) -> list[tuple[float, str]]:
        """Make values and labels of the vertical axis."""
        max_ticks = max(int((self.height - PLOT_TOP - TICK_MARGIN) / MIN_TICK_DISTANCE), 1)
        return make_number_ticks(self.low, self.high, (self.high - self.low) / min(max_ticks, 5))

    def transform(self, values: Array) -> Array:
        """Compute the vertical position of values."""
        bottom = self.height - TICK_MARGIN
        return np.asarray(bottom - (values - self.low) / (self.high - self.low) * (bottom - PLOT_TOP))

    def draw_frame(self, title: str) -> Element:
        """Make a drawing with grid and axes."""
        root = make_canvas(title, self.height)
        for value, label in self.make_ticks():
            y = float(self.transform(np.array(value)))
            add_grid_line(root, self.axis.left, y, label)
        add_axis(root, self.axis, self.height - TICK_MARGIN)
        return root

    def draw_line(self, root: Element, x: Array, y: Array, class_: str) -> None:
        """Add a line with gaps where values are not finite; isolated values become dots."""
        for run in _find_runs(np.isfinite(y)):
            x_drawn, y_drawn = self.axis.transform(x[run]), self.transform(y[run])
            if len(x_drawn) == 1:
                add(root, "circle", class_=f"spot {class_}", cx=x_drawn[0], cy=y_drawn[0], r=3.0)
            else:
                add(root, "path", class_=f"curve {class_}", d=make_path(x_drawn, y_drawn))

    def draw_band(self, root: Element, x: Array, low: Array, high: Array) -> None:
        """Add the area between two lines."""
        for run in _find_runs(np.isfinite(low) & np.isfinite(high)):
            x_drawn, low_drawn, high_drawn = (
                self.axis.transform(x[run]),
                self.transform(low[run]),
                self.transform(high[run]),
            )
            if len(x_drawn) == 1:  # an isolated value has no width
                add(
                    root,
                    "path",
                    class_="whisker",
                    d=make_path(np.repeat(x_drawn, 2), np.append(low_drawn, high_drawn)),
                )
                continue
            outline = make_path(
                np.concatenate([x_drawn, x_drawn[::-1]]), np.concatenate([low_drawn, high_drawn[::-1]])
            )
            add(root, "path", class_="area", d=outline + "Z")


def _find_runs(mask: Mask) -> list[slice]:
    """Find the runs of True values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    return [slice(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
