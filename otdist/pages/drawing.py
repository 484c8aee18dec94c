"""Drawings as inline SVG: what all figures are made of.

Colours come from the page's style sheet by class, so that one drawing serves light, dark and
print. ElementTree writes the markup, so no label can break out of its element.
"""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np
from numpy.typing import NDArray

from otdist.pages.axis import LETTER, RIGHT, Axis
from otdist.pages.words import visible

Array = NDArray[np.float64]

# Narrow on purpose: a phone shows 400 units at 0.8, so text of 12 units stays legible.
WIDTH, HEIGHT = 400.0, 236.0
TOP, BOTTOM = 16.0, 200.0


def canvas(title: str, height: float = HEIGHT, width: float = WIDTH) -> Element:
    """Give an empty drawing; the title is what a screen reader says."""
    root = Element("svg", {"viewBox": f"0 0 {width:g} {height:g}", "role": "img"})
    add(root, "title", visible(title))
    return root


def add(parent: Element, tag: str, text: str = "", **attributes: float | str) -> Element:
    """Add an element; ``class_`` is its class, and underscores become hyphens."""
    child = SubElement(parent, tag)
    for key, value in attributes.items():
        if value != "":
            plain = f"{float(value):.4g}" if not isinstance(value, str) else value
            child.set(key.rstrip("_").replace("_", "-"), plain)
    child.text = text or None
    return child


def add_text(
    root: Element, x: float, y: float, text: str, *, anchor: str = "start", class_: str = ""
) -> Element:
    """Add words at a place."""
    return add(root, "text", text, x=x, y=y, text_anchor=anchor, class_=class_)


def add_axis(root: Element, axis: Axis, y: float = BOTTOM) -> None:
    """Add a horizontal axis with its ticks."""
    add(root, "line", class_="rail", x1=axis.left, x2=RIGHT, y1=y, y2=y)
    for x, label in axis.ticks():
        half = LETTER * len(label) / 2
        add(root, "line", class_="rail", x1=x, x2=x, y1=y, y2=y + 4)
        add_text(root, min(max(x, half), WIDTH - half), y + 18, label, anchor="middle")


def path(x: Array, y: Array) -> str:
    """Give a line through points."""
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))


def markup(root: Element) -> str:
    """Give the drawing as it stands in a page."""
    return ElementTree.tostring(root, encoding="unicode")
