"""Elements of drawings as inline SVG, shared by all figures.

Colours come from the page's style sheet by class, so that one drawing serves light and dark
themes and print. ElementTree writes the markup, so no label can break out of its element.
"""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from otdist.pages.axis import CHARACTER_WIDTH, PLOT_RIGHT, Axis
from otdist.pages.formatting import escape_unprintable
from otdist.typing import Array

# Narrow: a phone shows 400 units at scale 0.8, so text of 12 units stays legible.
DRAWING_WIDTH, DRAWING_HEIGHT = 400.0, 236.0
PLOT_TOP, PLOT_BOTTOM = 16.0, 200.0


def make_canvas(title: str, height: float = DRAWING_HEIGHT, width: float = DRAWING_WIDTH) -> Element:
    """Make an empty drawing with a title for screen readers."""
    root = Element("svg", {"viewBox": f"0 0 {width:g} {height:g}", "role": "img"})
    add(root, "title", escape_unprintable(title))
    return root


def add(parent: Element, tag: str, text: str = "", **attributes: float | str) -> Element:
    """Add an element; ``class_`` is its class, and underscores become hyphens."""
    child = SubElement(parent, tag)
    for key, value in attributes.items():
        if value != "":
            text_value = f"{float(value):.4g}" if not isinstance(value, str) else value
            child.set(key.rstrip("_").replace("_", "-"), text_value)
    child.text = text or None
    return child


def add_text(
    root: Element, x: float, y: float, text: str, *, anchor: str = "start", class_: str = ""
) -> Element:
    """Add text at a position."""
    return add(root, "text", text, x=x, y=y, text_anchor=anchor, class_=class_)


def add_axis(root: Element, axis: Axis, y: float = PLOT_BOTTOM) -> None:
    """Add a horizontal axis with its ticks."""
    add(root, "line", class_="rail", x1=axis.left, x2=PLOT_RIGHT, y1=y, y2=y)
    for x, label in axis.make_ticks():
        add(root, "line", class_="rail", x1=x, x2=x, y1=y, y2=y + 4)
        add_tick_label(root, x, y + 18, label)


def add_tick_label(root: Element, x: float, y: float, label: str) -> None:
    """Add the label of a tick, below it, as far as it stays within the drawing."""
    half = CHARACTER_WIDTH * len(label) / 2
    add_text(root, min(max(x, half), DRAWING_WIDTH - half), y, label, anchor="middle")


def add_grid_line(root: Element, left: float, y: float, label: str) -> None:
    """Add a horizontal grid line, with its label at the left."""
    add(root, "line", class_="grid", x1=left, x2=PLOT_RIGHT, y1=y, y2=y)
    add_text(root, left - 6, y + 4, label, anchor="end")


def add_frame(root: Element, width: float, height: float) -> None:
    """Add a frame along the edges of a drawing."""
    add(root, "rect", class_="frame", x=0.5, y=0.5, width=width - 1, height=height - 1, rx=6.0)


def make_path(x: Array, y: Array) -> str:
    """Make the path data of a line through points."""
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))


def to_markup(root: Element) -> str:
    """Convert the drawing to its markup in a page."""
    return ElementTree.tostring(root, encoding="unicode")
