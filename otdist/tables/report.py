"""Comparisons as HTML pages."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from markupsafe import Markup

from otdist.pages.axis import Axis
from otdist.pages.formatting import capitalise, format_interval, format_number, format_percent
from otdist.pages.page import load_template, write_page
from otdist.runtime.files import check_target
from otdist.runtime.versions import get_version
from otdist.tables import summary, svg
from otdist.tables.comparison import SCHEMA_VERDICTS, ColumnReport, Comparison, JointReport

MAX_DRAWN_COLUMNS = 40  # number of columns above which those that did not move have no drawing


@dataclass(frozen=True)
class Figure:
    """A drawing and the sentence under it."""

    drawing: Markup
    caption: str


@dataclass(frozen=True)
class Section:
    """Content of the page for one column: its row in the overview and its figures."""

    column: ColumnReport
    bar: Markup
    shape: Markup
    figures: tuple[Figure, ...]
    folded: bool


def write_report(comparison: Comparison, path: Path) -> Path:
    """Write one self-contained HTML page.

    Parameters
    ----------
    comparison : Comparison
        Result of ``otdist.compare``.
    path : Path
        File to write; its folder must exist. An existing file is replaced once the new page is
        complete.

    Returns
    -------
    Path
        Absolute path of the page.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be written to.
    """
    target = check_target(path)  # checked before the page is drawn
    return write_page(render(comparison), target)


def render(comparison: Comparison) -> str:
    """Return the page as a string."""
    template = load_template(
        "otdist.tables",
        "report.html.j2",
        describe_status=summary.describe_status,
        describe_change=summary.describe_change,
        describe_missing=summary.describe_missing,
    )
    joint = comparison.joint
    sections = _make_sections(comparison)
    return template.render(
        comparison=comparison,
        sections=sections,
        joint=joint,
        joint_figure=None if joint is None else _draw_joint(joint),
        joint_value="" if joint is None else format_number(float(joint.result)),
        joint_interval="" if joint is None else format_interval(joint.result.lower, joint.result.upper),
        joint_reading="" if joint is None else _explain_joint(joint),
        joint_text="" if joint is None else capitalise(summary.describe_joint(joint)),
        pair=comparison.dependence,
        pair_text="" if comparison.dependence is None else summary.describe_dependence(comparison.dependence),
        schema=SCHEMA_VERDICTS,
        many=len(comparison.columns) > MAX_DRAWN_COLUMNS,
        folded=[section.column.name for section in sections if section.folded],
        summary=summary.summarise_comparison(comparison),
        level=comparison.level,
        rate=format_percent(comparison.level),
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=get_version(),
    )


def _make_sections(comparison: Comparison) -> list[Section]:
    """Make the sections of all columns, sorted by the size of the change."""
    columns = sorted(comparison.columns, key=_compute_sort_key)
    names = comparison.reference_name, comparison.current_name
    many = len(columns) > MAX_DRAWN_COLUMNS
    sections = []
    for column in columns:
        # Of many columns only those that moved have drawings.
        folded = column.identifier or (many and not column.moved and column.verdict == "not moved")
        figures = () if folded else tuple(_draw_figures(column, names))
        sections.append(Section(column, _draw_bar(column), _draw_shape(column), figures, folded))
    return sections


def _draw_shape(column: ColumnReport) -> Markup:
    """Draw a small histogram of both sides."""
    if column.sketch is None or column.identifier or column.verdict in SCHEMA_VERDICTS:
        return Markup("")
    return Markup(svg.draw_sparkline(column.sketch, f"Shape of {column.name}"))


def _compute_sort_key(column: ColumnReport) -> tuple[bool | float, ...]:
    """Sort schema changes first, then moved columns; numbers by W1 / scale, then labels by share."""
    in_shares = column.unit == "share"
    order = (column.verdict not in SCHEMA_VERDICTS, not column.moved, column.identifier)
    return *order, math.isnan(column.scaled), in_shares, -column.scaled


def _draw_bar(column: ColumnReport) -> Markup:
    title = f"W1 {format_number(column.w1)}, noise floor {format_number(column.floor)}"
    return Markup(svg.draw_floor_bar(column.w1, column.floor, title, moved=column.moved))


def _draw_figures(column: ColumnReport, names: tuple[str, str]) -> Iterable[Figure]:
    sketch = column.sketch
    if sketch is None or not column.n_reference or not column.n_current:
        return
    both = f"{column.name}, {names[0]} against {names[1]}"
    if sketch.labels is not None:
        caption = (
            "Outlined in full colour: the share that must change its label. "
            "The ends of the upper bars add up to W1, and so do those of the lower bars."
        )
        yield Figure(Markup(svg.draw_shares(sketch, f"Share of each label of {both}")), caption)
        return
    axis = Axis.from_values(
        np.concatenate([sketch.reference, sketch.current]), dates=column.kind == "datetime"
    )
    if axis is None:
        return
    curves = svg.draw_quantiles(sketch, axis, f"Quantile functions of {both}")
    yield Figure(Markup(curves), _caption_area(column, axis))
    lines = svg.draw_transport(sketch, axis, names, f"Transport of the quantiles of {both}")
    before, after = (axis.format_value(v) for v in svg.interpolate_quantiles(sketch, 0.5))
    mean = "" if column.status == "infinite" else "; their mean shift is W1"
    caption = (
        f"Each line carries 1/{svg.TRANSPORT_LINES} of the values from the old place (above) "
        f"to the new one (below){mean}. Thick: the median, {before} → {after}."
    )
    yield Figure(Markup(lines), caption)


def _caption_area(column: ColumnReport, axis: Axis) -> str:
    if column.status == "infinite":
        return (
            "Value against cumulative share. Infinite values are not drawn, so the area is only a part of W1."
        )
    amount = " ".join(filter(None, (format_number(column.w1), column.unit)))
    tail = " A long tail lies beyond the axis; its part of the area is not drawn." if axis.cropped else ""
    return f"Value against cumulative share. The shaded area between the two curves is W1: {amount}.{tail}"


def _draw_joint(joint: JointReport) -> Markup | None:
    bounds = joint.result.lower, joint.result.upper
    title = f"Joint W1 {format_number(float(joint.result))}, noise floor {format_number(joint.floor)}"
    drawing = svg.draw_joint_bar(joint.marginal, bounds, joint.floor, title)
    return None if drawing is None else Markup(drawing)


def _explain_joint(joint: JointReport) -> str:
    """Explain the excess over the mean of the columns."""
    value, marginal = float(joint.result), joint.marginal
    if not (math.isfinite(value) and math.isfinite(marginal)) or value <= 0:
        return ""
    excess = max(value - marginal, 0.0)
    if excess <= 1e-3 * value:
        return "The columns on their own account for all of it: no change in how they go together shows."
    return (
        f"The columns on their own account for {format_number(marginal)}. "
        f"The excess, {format_number(excess)} ({format_percent(excess / value)} of the whole), "
        "can only come from how the columns go together: "
        "a change in their dependence, or sampling noise, which grows with the number of columns."
    )
