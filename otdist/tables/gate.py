"""Thresholds on a comparison of two tables, and their violations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from otdist.pages.formatting import format_number, format_percent, format_probability
from otdist.tables.comparison import SCHEMA_VERDICTS, ColumnReport, Comparison
from otdist.tables.summary import describe_missing

CORRELATION_PREFIX = "change of correlation,"
DIFFERENT_VERDICTS = ("moved", "undecided")


@dataclass(frozen=True)
class Gate:
    """Rules of ``otdist compare --fail...`` for a comparison; rules that are None are not checked.

    Every rule is also violated by a column that is gone, new, of another kind or not readable, and by a
    column that could not be measured or decided.

    Attributes
    ----------
    p : float or None
        Largest q-value that violates the rule: of a column, of its share of missing values, of the rows, or
        of a correlation. Use the same number as ``level=`` of the comparison.
    above : float or None
        Largest allowed W1 over scale of a moved column.
    missing : float or None
        Largest allowed change of a share of missing values.
    allowed : tuple of str
        Allowed verdicts among "gone", "new", "retyped" and "unreadable".

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
    def has_rules(self) -> bool:
        """Whether any rule is set."""
        return any(rule is not None for rule in (self.p, self.above, self.missing))

    def violations(self, comparison: Comparison) -> list[str]:
        """List the violated rules of each column and of the rows, with their values.

        Parameters
        ----------
        comparison : Comparison
            Result of ``otdist.compare``.

        Returns
        -------
        list of str
            One line for each violation; empty if there is none.
        """
        if not self.has_rules:
            return []
        lines = [line for column in comparison.columns for line in self._check_column(column)]
        return lines + list(self._check_joint(comparison))

    def _check_column(self, column: ColumnReport) -> Iterator[str]:
        name = column.name
        if column.verdict in SCHEMA_VERDICTS:
            if column.verdict not in self.allowed:
                yield f"{name}: {column.verdict} ({column.note}); --allow {column.verdict} lets it pass"
            return
        if column.verdict == "not measured":
            if column.n_reference or column.n_current:
                yield f"{name}: could not be measured ({column.note})"
        elif self.p is not None:
            yield from self._check_test(name, "q", column.qvalue, column.verdict, column.draws)
        if self.p is not None and not math.isnan(column.missing_qvalue):
            statistic = f"q of missing values ({describe_missing(column)})"
            yield from self._check_test(name, statistic, column.missing_qvalue, column.missing_verdict)
        # ``not <=``: NaN is a violation. Distances within sampling noise are not, however large.
        if (
            self.above is not None
            and column.verdict in DIFFERENT_VERDICTS
            and not column.scaled <= self.above
        ):
            yield f"{name}: W1/scale {format_number(column.scaled)} > {self.above:g} (--fail-above)"
        change = abs(column.missing_current - column.missing_reference)
        if self.missing is not None and not change <= self.missing:
            yield (
                f"{name}: missing values {describe_missing(column)}, "
                f"a change of more than {format_percent(self.missing)} (--fail-missing)"
            )

    def _check_test(
        self, name: str, statistic: str, qvalue: float, verdict: str, draws: int = 0
    ) -> Iterator[str]:
        assert self.p is not None
        if verdict == "undecided":
            effort = f" with {draws:,} relabellings" if draws else ""
            yield f"{name}: could not be decided{effort}; give more --resamples"
        elif not qvalue > self.p:
            yield f"{name}: {statistic} = {format_probability(qvalue)} <= {self.p:g} (--fail-p)"

    def _check_joint(self, comparison: Comparison) -> Iterator[str]:
        joint = comparison.joint
        if joint is not None and self.p is not None:
            yield from self._check_test("whole rows", "q", joint.qvalue, joint.verdict, joint.draws)
        pair = comparison.dependence
        if pair is not None and self.p is not None:
            name = " and ".join(pair.columns)
            yield from self._check_test(
                name, f"{CORRELATION_PREFIX} q", pair.qvalue, pair.verdict, pair.draws
            )
