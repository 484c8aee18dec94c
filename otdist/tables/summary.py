"""A comparison in sentences: what moved, by how much, and which way."""

from __future__ import annotations

import math

from otdist.pages.words import number, percent
from otdist.tables.comparison import SCHEMA, ColumnReport, Comparison, DependenceReport, JointReport

NAMED = 3  # columns that a sentence names before it counts the rest
NOTHING = "No column could be compared."
DRIFTED_RATIO = 1.005  # distances over the floor nearer to 1 than this read as the floor itself


def signed(value: float) -> str:
    """Write a number with its sign."""
    return f"+{number(value)}" if value > 0 else number(value)


def change_words(column: ColumnReport) -> str:
    """Say which way the values went: a signed shift of the mean, or the label that changed most."""
    sketch = column.sketch
    if sketch is not None and sketch.labels is not None:
        gains = sketch.current - sketch.reference
        k = int(abs(gains).argmax())
        if column.identifier or gains[k] == 0:
            return ""
        return f"{sketch.labels[k]} {percent(sketch.reference[k])} → {percent(sketch.current[k])}"
    if math.isnan(column.shift):
        return ""
    return " ".join(filter(None, (signed(column.shift), column.unit)))


def missing_words(column: ColumnReport) -> str:
    """Write the shares of missing values."""
    before, after = percent(column.missing_reference), percent(column.missing_current)
    return before if before == after else f"{before} → {after}"


def status_words(column: ColumnReport) -> str:
    """Say what a reader must know of the column: its own note, or why a figure is missing."""
    if column.note:
        return column.note
    return {
        "undefined_scale": "reference is constant: no scale",
        "infinite": "infinite values: W1 is infinite",
        "all_missing": "all values missing",
    }.get(column.status, "")


def summary(comparison: Comparison) -> str:
    """Sentences on columns that moved, gaps, columns that are gone or new, and whole rows."""
    if not comparison.columns:
        return NOTHING
    return " ".join(
        filter(
            None,
            (
                _moved_sentence(comparison),
                _missing_sentence(comparison),
                *(_schema_sentence(comparison, verdict) for verdict in SCHEMA),
                _joint_sentence(comparison.joint),
                _dependence_sentence(comparison.dependence),
                _untold_sentence(comparison),
            ),
        )
    )


def joint_words(joint: JointReport) -> str:
    """Compare the joint distance with what chance shows, in words."""
    value = float(joint.result)
    if not (joint.floor > 0 and math.isfinite(value)) or joint.n_test < min(
        joint.n_reference, joint.n_current
    ):
        # The floor belongs to the smaller samples of the test.
        if joint.verdict == "undecided":
            return "further apart than every relabelling"
        return "beyond sampling noise" if joint.moved else "within sampling noise"
    ratio = value / joint.floor
    if ratio < DRIFTED_RATIO:
        return "no further than chance alone shows" if not joint.moved else "beyond sampling noise"
    return f"{number(round(ratio, 2))} times what chance alone shows"


def _moved_sentence(comparison: Comparison) -> str:
    compared = [column for column in comparison.columns if column.verdict not in SCHEMA]
    if not compared:
        return NOTHING
    moved = [column for column in compared if column.verdict == "moved"]
    noun = "column" if len(compared) == 1 else "columns"
    rate = percent(comparison.level)
    sentence = f"{len(moved)} of {len(compared)} {noun} moved beyond sampling noise"
    named = sorted(moved, key=lambda column: -column.scaled)
    words = [" ".join(filter(None, (column.name, change_words(column)))) for column in named]
    return f"{sentence}{_listed(words)} (false discovery rate {rate})."


def _missing_sentence(comparison: Comparison) -> str:
    changed = [column for column in comparison.columns if column.missing_verdict == "moved"]
    if not changed:
        return ""
    changed.sort(key=lambda column: -abs(column.missing_current - column.missing_reference))
    words = [f"{column.name} {missing_words(column)}" for column in changed]
    noun = "column" if len(changed) == 1 else "columns"
    return f"Missing values changed in {len(changed)} {noun}{_listed(words)}."


def _schema_sentence(comparison: Comparison, verdict: str) -> str:
    names = [column.name for column in comparison.columns if column.verdict == verdict]
    if not names:
        return ""
    noun = "column is" if len(names) == 1 else "columns are"
    word = {"retyped": "of another kind", "unreadable": "not readable"}.get(verdict, verdict)
    if verdict == "retyped":
        found = {column.name: column.note for column in comparison.columns}
        names = [f"{name} ({found[name]})" if found[name] else name for name in names]
    return f"{len(names)} {noun} {word}{_listed(names)}."


def _joint_sentence(joint: JointReport | None) -> str:
    return f"Whole rows moved ({joint_words(joint)})." if joint is not None and joint.moved else ""


def _dependence_sentence(dependence: DependenceReport | None) -> str:
    if dependence is None or not dependence.moved:
        return ""
    return f"Columns go together otherwise: {dependence_words(dependence)}."


def dependence_words(dependence: DependenceReport) -> str:
    """Say which correlation changed most."""
    left, right = dependence.columns
    return f"correlation of {left} and {right} {dependence.before:.2f} → {dependence.after:.2f}"


def _untold_sentence(comparison: Comparison) -> str:
    sentences = []
    if undecided := [column.name for column in comparison.undecided]:
        noun = "column" if len(undecided) == 1 else "columns"
        draws = max(column.draws for column in comparison.undecided)
        sentences.append(
            f"{len(undecided)} {noun} could not be decided with {draws:,} relabellings{_listed(undecided)}."
        )
    if comparison.joint is not None and comparison.joint.verdict == "undecided":
        draws = comparison.joint.draws
        sentences.append(f"Whole rows could not be decided with {draws:,} relabellings.")
    if comparison.dependence is not None and comparison.dependence.verdict == "undecided":
        draws = comparison.dependence.draws
        sentences.append(f"Correlations could not be decided with {draws:,} relabellings.")
    if untested := [column.name for column in comparison.columns if column.verdict == "not measured"]:
        noun = "column" if len(untested) == 1 else "columns"
        sentences.append(f"{len(untested)} {noun} could not be tested{_listed(untested)}.")
    return " ".join(sentences)


def _listed(words: list[str]) -> str:
    if not words:
        return ""
    more = len(words) - NAMED
    return f": {', '.join(words[:NAMED])}{f' and {more} more' if more > 0 else ''}"
