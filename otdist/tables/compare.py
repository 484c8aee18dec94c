"""``compare``: two tables in, one report out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from otdist.errors import InputError
from otdist.errstate import isolate_errstate
from otdist.inputs.arguments import Rng, check_number
from otdist.inputs.arguments import check_count as require_count
from otdist.inputs.arguments import check_rng as generator
from otdist.progress import Progress, working
from otdist.stats.relabel import RelabellingTest, advance
from otdist.tables.chance import Chance, ColumnTests, Design, relabelling_tests
from otdist.tables.columns import as_names, open_table
from otdist.tables.comparison import ColumnReport, Comparison, DependenceReport, JointReport
from otdist.tables.decide import Outcome, decide, draws_needed
from otdist.tables.dependence import DependenceTest, dependence
from otdist.tables.design import Sampling, read_design
from otdist.tables.joint import JointTest
from otdist.tables.joint import joint as compare_rows
from otdist.tables.measure import SCALES, Scale, measure, to_column_unit
from otdist.tables.sample import RowSample, SampledPair
from otdist.tables.schema import Layout, lay_out


@isolate_errstate
def compare(
    reference: Any,
    current: Any,
    *,
    columns: Sequence[str] | None = None,
    categorical: Sequence[str] = (),
    numeric: Sequence[str] = (),
    scale: Scale = "std",
    joint: bool = True,
    n_resamples: int = 999,
    level: float = 0.05,
    groups: Any = None,
    blocks: int | None = None,
    weights: Any = None,
    periodic: Mapping[str, float] | None = None,
    units: Mapping[str, str] | None = None,
    names: tuple[str, str] = ("reference", "current"),
    max_rows: int = 2000,
    test_rows: int = 500,
    rng: Rng = 0,
    progress: bool = False,
) -> Comparison:
    """Compare two tables column by column and jointly, with noise floor and p-values.

    Parameters
    ----------
    reference, current : DataFrame, array or dict of columns
        pandas, polars, pyarrow and whatever else narwhals reads. Columns are matched by name:
        numbers, booleans, dates and labels each get the distance that fits them. A column of one table
        alone, or of another kind, is a row of the report and counts as moved.
    columns : sequence of str, optional
        Columns to compare. None: all.
    categorical : sequence of str, optional
        Columns to compare as labels whatever their type, such as codes that are stored as numbers.
    numeric : sequence of str, optional
        Columns of text to compare as numbers: ``"1.234,50"``, ``"12,5 %"``, ``"€ 3.50"``.
    scale : {"std", "iqr", "mad", "range", "none"}
        What of the reference column the scaled distance divides by.
    joint : bool
        Whether to compare the rows as well, and how columns go together.
    n_resamples : int
        Relabellings for each column's p-value (at most 199 for the rows). A test ends early once 20 of
        them are as far apart as the data; one that none has reached goes on until it is decided, to at
        most 100,000.
    level : float
        False discovery rate at which a column counts as moved, between 0 and 1.
    groups : str or pair of array_like, optional
        Column, or labels of the rows of both tables, of what was sampled as a whole, such as customers:
        their rows are relabelled together. The column itself is not compared.
    blocks : int, optional
        Number of consecutive rows that are relabelled together, for rows in order of time. Choose it
        several times as long as the data remember.
    weights : str or pair of array_like, optional
        Column, or non-negative weights of the rows of both tables. The column itself is not compared.
    periodic : mapping of str to float, optional
        Periods of columns on a circle, such as ``{"hour": 24}``.
    units : mapping of str to str, optional
        Units of columns, for the report.
    names : pair of str
        What the report calls the two tables.
    max_rows, test_rows : int
        Largest number of rows a side for the joint distance and for its test; more are
        sampled at random, and the report says so.
    rng : int or Generator
        Seed; the default makes reports repeatable.
    progress : bool
        Show a bar on standard error.

    Returns
    -------
    Comparison
        ``columns`` (verdict, W1 in the column's units, W1 over the scale, shift, floor, p, q), ``joint``,
        ``moved``, ``to_dict()``, ``to_json()``, ``report(path)``.

    Raises
    ------
    InputError
        If no column is shared, a column asked for is in neither table, or a table cannot be read.

    Notes
    -----
    Assumption: rows are independent, or else ``groups`` or ``blocks`` are, which make p-values of
    dependent rows valid. With rows in order of time, or several rows a customer, p-values of single rows
    are far too small.

    Cost: O(n log n) time a column, and memory for one column of both tables at a time as float64; O(n)
    for each relabelling of at most 20,000 rows; more are brought to 1,024 groups for the test, which is
    exact for the distance between groups. Of labels, beside W1, the test counts the rows whose label the
    other side does not have. Columns of the same sizes share their relabellings. The joint
    part is about 300 exact solves on ``test_rows`` rows. A missing value counts in the test of the
    column's share of missing values, which is exact (hypergeometric), and as a value of its own in the
    joint distance. How columns go together is also tested by the largest change of a rank correlation, on
    at most 2,000 rows a side. False discovery rate over all tests of the comparison: Benjamini, Hochberg
    (1995), by scipy. Early stops: Besag, Clifford (1991).

    Examples
    --------
    >>> import otdist
    >>> before = {"age": [31, 45, 52, 38, 29, 60], "team": list("aabbcc")}
    >>> after = {"age": [33, 47, 54, 40, 31, 62], "team": list("aaabbb")}
    >>> report = otdist.compare(before, after)
    >>> report["age"].w1
    2.0
    >>> round(report["team"].w1, 3)
    0.333
    """
    _check(scale, n_resamples, max_rows, test_rows)
    level = check_number(level, "level", above=0, at_most=1, remedy="use a rate such as 0.05")
    if not isinstance(names, tuple | list) or len(names) != 2:
        raise InputError("names", f"must be a pair of names, got {names!r}", "give (reference, current)")
    columns = None if columns is None else list(as_names(columns, "columns"))
    if columns == []:
        raise InputError("columns", "is []", "give a list of names, or None for all")
    kinds = {"categorical": as_names(categorical, "categorical"), "numeric": as_names(numeric, "numeric")}
    tables = open_table(reference, "reference", **kinds), open_table(current, "current", **kinds)
    _check_known(kinds, [*tables[0].names, *tables[1].names])
    sampling = read_design(tables, groups=groups, blocks=blocks, weights=weights)
    layout = lay_out(tables, columns, left_out=sampling.columns, units=units, periodic=periodic)
    seed = int(generator(rng).integers(2**63))
    sample = RowSample.draw(layout.sizes, seed, max_rows, test_rows) if joint else None
    study = _Study(layout, sampling.design, seed, scale, sample, progress)
    tests = study.measure_columns()
    study.relabel(relabelling_tests(tests), n_resamples, "columns: relabelling")
    rows = together = None
    if sample is not None and study.pairs:
        with working(progress, "rows: exact transport, again for each relabelling") as report_progress:
            rows = compare_rows(
                study.pairs,
                sample,
                sampling.design,
                n_resamples=n_resamples,
                circular=tuple(layout.periods),
                report_progress=report_progress,
            )
        with working(progress, "correlations: relabelling") as report_progress:
            together = dependence(
                study.pairs,
                sample,
                sampling.design,
                n_resamples=n_resamples,
                report_progress=report_progress,
            )
    comparison = study.concluded(
        tests, rows, together, level, n_resamples=n_resamples, names=names, sampling=sampling
    )
    return replace(comparison, seed=int(rng) if isinstance(rng, int | np.integer) else None)


class _Study:
    """The columns of two tables, measured and tested."""

    def __init__(
        self,
        layout: Layout,
        design: Design,
        seed: int,
        scale: Scale,
        sample: RowSample | None,
        progress: bool,
    ) -> None:
        self.layout, self.design, self.scale = layout, design, scale
        self.sample, self.progress = sample, progress
        self.chance = Chance(design, seed)
        self.reports: dict[str, ColumnReport] = {}
        self.exponents: list[int] = []  # of the columns that are measured
        self.pairs: list[SampledPair] = []

    def measure_columns(self) -> list[ColumnTests]:
        """Measure all columns, and prepare their tests."""
        names = self.layout.order
        with working(self.progress, "columns") as report_progress:
            for place, name in enumerate(names, 1):
                self._measure(name, _add_prefix(report_progress, f"{place} of {len(names)}, "))
        return self.chance.finish()

    def _measure(self, name: str, report_progress: Progress) -> None:
        """Read and measure a column; of its values only what its tests need outlives the call."""
        pair = self.layout.read(name, report_progress)
        if isinstance(pair, ColumnReport):
            self.reports[name] = pair
            return
        report_progress(name)
        measured, report = measure(*pair, self.scale, self.design.weights, self.layout.periods.get(name, 0.0))
        present = ~pair[0].missing, ~pair[1].missing
        if self.sample is not None:
            self.pairs.append(SampledPair.of(pair, report, self.sample))
        del pair
        report_progress(f"{name}: noise floor")
        self.chance.add(name, measured, present)
        self.reports[name] = report
        self.exponents.append(measured.exponent)

    def relabel(self, tests: list[RelabellingTest], total: int, what: str) -> None:
        """Relabel until every test has ended or has made so many draws."""
        with working(self.progress, what) as report_progress:
            advance(tests, total, report_progress)

    def concluded(
        self,
        tests: list[ColumnTests],
        rows: JointTest | None,
        together: DependenceTest | None,
        level: float,
        *,
        n_resamples: int,
        names: tuple[str, str],
        sampling: Sampling,
    ) -> Comparison:
        """Go on with tests that are not decided, and report."""
        outcomes: list[Outcome] = [test.values for test in tests] + [test.missing for test in tests]
        outcomes.append(None if rows is None else rows.test)
        outcomes.append(None if together is None else together.test)
        more = relabelling_tests(tests) + ([] if together is None else [together.test])
        total = n_resamples
        while (needed := draws_needed(outcomes, level)) > total:
            # Tests that end meanwhile leave fewer that can be decided together, which takes more draws.
            self.relabel(more, needed, "columns: relabelling until decided")
            if rows is not None:
                with working(self.progress, "rows: relabelling until decided") as report_progress:
                    rows.advance(needed, report_progress)
            total = needed
        decisions = decide(outcomes, level)
        count = len(tests)
        for k, (exponent, test) in enumerate(zip(self.exponents, tests, strict=True)):
            values, gaps = decisions[k], decisions[count + k]
            self.reports[test.name] = replace(
                self.reports[test.name],
                floor=to_column_unit(test.floor, exponent),
                pvalue=values.pvalue,
                qvalue=values.qvalue,
                draws=values.draws,
                verdict=values.verdict,
                missing_pvalue=gaps.pvalue,
                missing_qvalue=gaps.qvalue,
                missing_verdict="not moved" if test.missing is None else gaps.verdict,
            )
        of_rows, of_pairs = decisions[-2:]
        whole: JointReport | None = None
        if rows is not None:
            whole = replace(rows.finished(), qvalue=of_rows.qvalue, verdict=of_rows.verdict)
        pairs: DependenceReport | None = None
        if together is not None:
            pairs = replace(together.finished(), qvalue=of_pairs.qvalue, verdict=of_pairs.verdict)
        layout = self.layout
        return Comparison(
            columns=tuple(self.reports[name] for name in layout.order),
            joint=whole,
            dependence=pairs,
            scale=self.scale,
            n_reference=layout.sizes[0],
            n_current=layout.sizes[1],
            n_resamples=n_resamples,
            reference_name=str(names[0]),
            current_name=str(names[1]),
            notes=tuple(layout.notes),
            level=level,
            tests=sum(outcome is not None for outcome in outcomes),
            assumption=sampling.assumption,
        )


def _add_prefix(report_progress: Progress, prefix: str) -> Progress:
    return lambda text: report_progress(prefix + text)


def _check_known(kinds: Mapping[str, Sequence[str]], known: Sequence[str]) -> None:
    for option, chosen in kinds.items():
        if unknown := [name for name in chosen if name not in known]:
            choice = f"choose from {list(dict.fromkeys(known))}"
            raise InputError(option, f"{unknown} in neither table", choice)


def _check(scale: str, n_resamples: int, max_rows: int, test_rows: int) -> None:
    if scale not in SCALES:
        raise InputError("scale", f"{scale!r} is unknown", f"use one of {SCALES}")
    require_count(n_resamples)
    for name, count in (("max_rows", max_rows), ("test_rows", test_rows)):
        require_count(count, name)
        if count < 2:
            raise InputError(name, f"{count} is too few", "use at least 2")
