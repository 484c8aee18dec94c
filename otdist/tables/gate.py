"""Rules that two tables must keep, and what breaks them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from otdist.pages.words import number, percent, probability
from otdist.tables.comparison import SCHEMA, ColumnReport, Comparison
from otdist.tables.summary import missing_words

CORRELATION = "change of correlation,"
FOUND = ("moved", "undecided")


@dataclass(frozen=True)
class Gate:
    """Rules of ``otdist compare --fail...`` for a comparison; one that is None is not looked at.

    Every rule is also broken by a column that is gone, new, of another kind or not readable, and by one that
    could not be measured or decided.

    Attributes
    ----------
    p : float or None
        Largest q-value that breaks the rule: of a column, of its share of missing values, of the rows, or
        of a correlation. Compare with ``level=`` the same number.
    above : float or None
        Largest W1 over the scale of a column that moved.
    missing : float or None
        Largest change of a share of missing values.
    allowed : tuple of str
        Of "gone", "new", "retyped" and "unreadable", what may be.

    Examples
    --------
    >>> import otdist
    >>> report = otdist.compare({"a": range(9), "b": range(9)}, {"a": range(9)}, joint=False)
    >>> otdist.tables.Gate(p=0.05).violations(report)
    ['b: gone (not in the current table); --allow gone lets it pass']
    """

    p: float | None = None
    above: float | None = None
    missing: float | None = None
    allowed: tuple[str, ...] = ()

    @property
    def closed(self) -> bool:
        """Whether there is any rule to break."""
        return any(rule is not None for rule in (self.p, self.above, self.missing))

    def violations(self, comparison: Comparison) -> list[str]:
        """Say which rule each column and the rows break, and by what figure.

        Parameters
        ----------
        comparison : Comparison
            What ``otdist.compare`` returned.

        Returns
        -------
        list of str
            One line for each; empty if no rule is broken.
        """
        if not self.closed:
            return []
        lines = [line for column in comparison.columns for line in self._of_column(column)]
        return lines + list(self._of_rows(comparison))

    def _of_column(self, column: ColumnReport) -> Iterator[str]:
        name = column.name
        if column.verdict in SCHEMA:
            if column.verdict not in self.allowed:
                yield f"{name}: {column.verdict} ({column.note}); --allow {column.verdict} lets it pass"
            return
        if column.verdict == "not measured":
            if column.n_reference or column.n_current:
                yield f"{name}: could not be measured ({column.note})"
        elif self.p is not None:
            yield from self._of_test(name, "q", column.qvalue, column.verdict, column.draws)
        if self.p is not None and not math.isnan(column.missing_qvalue):
            what = f"q of missing values ({missing_words(column)})"
            yield from self._of_test(name, what, column.missing_qvalue, column.missing_verdict)
        # Not "<=", which NaN would pass.
        # What chance alone shows is no finding, however few rows make it large.
        if self.above is not None and column.verdict in FOUND and not column.scaled <= self.above:
            yield f"{name}: W1/scale {number(column.scaled)} > {self.above:g} (--fail-above)"
        change = abs(column.missing_current - column.missing_reference)
        if self.missing is not None and not change <= self.missing:
            yield (
                f"{name}: missing values {missing_words(column)}, "
                f"a change of more than {percent(self.missing)} (--fail-missing)"
            )

    def _of_test(self, name: str, what: str, qvalue: float, verdict: str, draws: int = 0) -> Iterator[str]:
        assert self.p is not None
        if verdict == "undecided":
            made = f" with {draws:,} relabellings" if draws else ""
            yield f"{name}: could not be decided{made}; give more --resamples"
        elif not qvalue > self.p:
            yield f"{name}: {what} = {probability(qvalue)} <= {self.p:g} (--fail-p)"

    def _of_rows(self, comparison: Comparison) -> Iterator[str]:
        joint = comparison.joint
        if joint is not None and self.p is not None:
            yield from self._of_test("whole rows", "q", joint.qvalue, joint.verdict, joint.draws)
        pair = comparison.dependence
        if pair is not None and self.p is not None:
            name = " and ".join(pair.columns)
            yield from self._of_test(name, f"{CORRELATION} q", pair.qvalue, pair.verdict, pair.draws)
