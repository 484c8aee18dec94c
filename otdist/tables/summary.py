"""Comparisons in sentences."""

from __future__ import annotations

import math

from otdist.pages.formatting import format_number, format_percent
from otdist.tables.comparison import SCHEMA_VERDICTS, ColumnReport, Comparison, DependenceReport, JointReport

MAX_NAMED_COLUMNS = 3  # columns that a sentence lists by name
NO_COLUMNS = "No column could be compared."
MIN_EXCEEDING_RATIO = 1.005  # smaller ratios of the distance to the floor are described as equal to the floor


def format_signed(value: float) -> str:
    """Format a number with its sign."""
    return f"+{format_number(value)}" if value > 0 else format_number(value)


def describe_change(column: ColumnReport) -> str:
    """Describe the change of the values: the signed shift of the mean, or the label that changed most."""
    sketch = column.sketch
    if sketch is not None and sketch.labels is not None:
        gains = sketch.current - sketch.reference
        k = int(abs(gains).argmax())
        if column.identifier or gains[k] == 0:
            return ""
        return (
            f"{sketch.labels[k]} {format_percent(sketch.reference[k])} → {format_percent(sketch.current[k])}"
        )
    if math.isnan(column.shift):
        return ""
    return " ".join(filter(None, (format_signed(column.shift), column.unit)))


def describe_missing(column: ColumnReport) -> str:
    """Describe the shares of missing values."""
    before, after = format_percent(column.missing_reference), format_percent(column.missing_current)
    return before if before == after else f"{before} → {after}"


def describe_status(column: ColumnReport) -> str:
    """Return the note of the column, or the reason for an undefined value."""
    if column.note:
        return column.note
    return {
        "undefined_scale": "reference is constant: no scale",
        "infinite": "infinite values: W1 is infinite",
        "all_missing": "all values missing",
    }.get(column.status, "")


def summarise_comparison(comparison: Comparison) -> str:
    """Summarise moved columns, missing values, columns that are gone or new, and whole rows in sentences."""
    if not comparison.columns:
        return NO_COLUMNS
    return " ".join(
        filter(
            None,
            (
                _describe_moved(comparison),
                _describe_missing_shares(comparison),
                *(_describe_schema(comparison, verdict) for verdict in SCHEMA_VERDICTS),
                _describe_moved_rows(comparison.joint),
                _describe_moved_dependence(comparison.dependence),
                _describe_undecided(comparison),
            ),
        )
    )


def describe_joint(joint: JointReport) -> str:
    """Describe the joint distance relative to the noise floor."""
    value = float(joint.result)
    if not (joint.floor > 0 and math.isfinite(value)) or joint.n_test < min(
        joint.n_reference, joint.n_current
    ):
        # The floor is that of the smaller samples of the test.
        if joint.verdict == "undecided":
            return "further apart than every relabelling"
        return "beyond sampling noise" if joint.moved else "within sampling noise"
    ratio = value / joint.floor
    if ratio < MIN_EXCEEDING_RATIO:
        return "no further than chance alone shows" if not joint.moved else "beyond sampling noise"
    return f"{format_number(round(ratio, 2))} times what chance alone shows"


def _describe_moved(comparison: Comparison) -> str:
    compared = [column for column in comparison.columns if column.verdict not in SCHEMA_VERDICTS]
    if not compared:
        return NO_COLUMNS
    moved = [column for column in compared if column.verdict == "moved"]
    noun = "column" if len(compared) == 1 else "columns"
    rate = format_percent(comparison.level)
    sentence = f"{len(moved)} of {len(compared)} {noun} moved beyond sampling noise"
    named = sorted(moved, key=lambda column: -column.scaled)
    words = [" ".join(filter(None, (column.name, describe_change(column)))) for column in named]
    return f"{sentence}{_format_list(words)} (false discovery rate {rate})."


def _describe_missing_shares(comparison: Comparison) -> str:
    changed = [column for column in comparison.columns if column.missing_verdict == "moved"]
    if not changed:
        return ""
    changed.sort(key=lambda column: -abs(column.missing_current - column.missing_reference))
    words = [f"{column.name} {describe_missing(column)}" for column in changed]
    noun = "column" if len(changed) == 1 else "columns"
    return f"Missing values changed in {len(changed)} {noun}{_format_list(words)}."


def _describe_schema(comparison: Comparison, verdict: str) -> str:
    names = [column.name for column in comparison.columns if column.verdict == verdict]
    if not names:
        return ""
    noun = "column is" if len(names) == 1 else "columns are"
    word = {"retyped": "of another kind", "unreadable": "not readable"}.get(verdict, verdict)
    if verdict == "retyped":
        notes = {column.name: column.note for column in comparison.columns}
        names = [f"{name} ({notes[name]})" if notes[name] else name for name in names]
    return f"{len(names)} {noun} {word}{_format_list(names)}."


def _describe_moved_rows(joint: JointReport | None) -> str:
    return f"Whole rows moved ({describe_joint(joint)})." if joint is not None and joint.moved else ""


def _describe_moved_dependence(dependence: DependenceReport | None) -> str:
    if dependence is None or not dependence.moved:
        return ""
    return f"Columns go together otherwise: {describe_dependence(dependence)}."


def describe_dependence(dependence: DependenceReport) -> str:
    """Describe the correlation that changed most."""
    left, right = dependence.columns
    return f"correlation of {left} and {right} {dependence.before:.2f} → {dependence.after:.2f}"


def _describe_undecided(comparison: Comparison) -> str:
    sentences = []
    if undecided := [column.name for column in comparison.undecided]:
        noun = "column" if len(undecided) == 1 else "columns"
        draws = max(column.draws for column in comparison.undecided)
        subject = f"{len(undecided)} {noun}"
        sentences.append(
            f"{subject} could not be decided with {draws:,} relabellings{_format_list(undecided)}."
        )
    if comparison.joint is not None and comparison.joint.verdict == "undecided":
        draws = comparison.joint.draws
        sentences.append(f"Whole rows could not be decided with {draws:,} relabellings.")
    if comparison.dependence is not None and comparison.dependence.verdict == "undecided":
        draws = comparison.dependence.draws
        sentences.append(f"Correlations could not be decided with {draws:,} relabellings.")
    if untested := [column.name for column in comparison.columns if column.verdict == "not measured"]:
        noun = "column" if len(untested) == 1 else "columns"
        sentences.append(f"{len(untested)} {noun} could not be tested{_format_list(untested)}.")
    return " ".join(sentences)


def _format_list(words: list[str]) -> str:
    if not words:
        return ""
    more = len(words) - MAX_NAMED_COLUMNS
    return f": {', '.join(words[:MAX_NAMED_COLUMNS])}{f' and {more} more' if more > 0 else ''}"
