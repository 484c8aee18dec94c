"""Comparison of two tables by ``compare``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from otdist.errors import InputError
from otdist.inputs.arguments import Rng, check_choice, check_count, check_integer, check_number, check_rng
from otdist.runtime.errstate import isolate_errstate
from otdist.runtime.progress import Progress, display_progress
from otdist.stats.relabelling import RelabellingTest, advance
from otdist.tables.column_tests import ColumnTestBuilder, ColumnTests, Design, collect_relabelling_tests
from otdist.tables.columns import as_names, open_table
from otdist.tables.comparison import ColumnReport, Comparison, DependenceReport, JointReport
from otdist.tables.decisions import Outcome, compute_required_draws, decide
from otdist.tables.dependence import DependenceTest, compare_correlations
from otdist.tables.design import Sampling, read_design
from otdist.tables.joint import JointTest, compare_rows
from otdist.tables.measurement import SCALES, Scale, measure, to_column_unit
from otdist.tables.sample import RowSample, SampledPair
from otdist.tables.schema import ColumnMatching, match_columns
from otdist.typing import RowInput, TableInput


@isolate_errstate
def compare(
    reference: TableInput,
    current: TableInput,
    *,
    columns: Sequence[str] | None = None,
    categorical: Sequence[str] = (),
    numeric: Sequence[str] = (),
    scale: Scale = "std",
    joint: bool = True,
    n_resamples: int = 999,
    level: float = 0.05,
    groups: RowInput | None = None,
    blocks: int | None = None,
    weights: RowInput | None = None,
    periodic: Mapping[str, float] | None = None,
    units: Mapping[str, str] | None = None,
    names: tuple[str, str] = ("reference", "current"),
    max_rows: int = 2000,
    test_rows: int = 500,
    rng: Rng = 0,
    progress: bool = False,
) -> Comparison:
    """Compare two tables by column and jointly, with noise floors and p-values.

    Parameters
    ----------
    reference, current : DataFrame, array or dict of columns
        pandas, polars, pyarrow and any other table that narwhals reads. Columns are matched by name;
        numbers, booleans, dates and labels each have a suitable distance. A column that is in one table
        only, or of different kinds, is a row of the report and counts as moved.
    columns : sequence of str, optional
        Columns to compare. None: all.
    categorical : sequence of str, optional
        Columns to compare as labels whatever their type, such as codes that are stored as numbers.
    numeric : sequence of str, optional
        Columns of text to compare as numbers: ``"1.234,50"``, ``"12,5 %"``, ``"€ 3.50"``.
    scale : {"std", "iqr", "mad", "range", "none"}
        Statistic of the reference column that divides the scaled distance.
    joint : bool
        Whether to compare whole rows, and the correlations of columns, as well.
    n_resamples : int
        Relabellings for each column's p-value (at most 199 for the rows). A test ends early once the
        distances of 20 relabellings are at least the observed one; a test without any such relabelling
        continues until it is decided, to at most 100,000.
    level : float
        False discovery rate at which a column counts as moved, between 0 and 1.
    groups : str or pair of array_like, optional
        Column, or labels of the rows of both tables, of the sampling units, such as customers: rows of
        one unit are relabelled together. The column itself is not compared.
    blocks : int, optional
        Number of consecutive rows that are relabelled together, for rows in order of time. Choose it
        several times as long as the autocorrelation time.
    weights : str or pair of array_like, optional
        Column, or non-negative weights of the rows of both tables. The column itself is not compared.
    periodic : mapping of str to float, optional
        Periods of columns on a circle, such as ``{"hour": 24}``.
    units : mapping of str to str, optional
        Units of columns, for the report.
    names : pair of str
        Names of the two tables in the report.
    max_rows, test_rows : int
        Largest number of rows a side for the joint distance and for its test; of larger tables a
        random sample is used, and the report says so.
    rng : int or Generator
        Seed; the default makes reports reproducible.
    progress : bool
        Whether to show a progress bar on standard error.

    Returns
    -------
    Comparison
        ``columns`` (verdict, W1 in the column's units, W1 over the scale, shift, floor, p, q), ``joint``,
        ``moved``, ``to_dict()``, ``to_json()``, ``report(path)``.

    Raises
    ------
    InputError
        If no column is shared, a requested column is in neither table, or a table cannot be read.

    Notes
    -----
    Assumption: rows are independent, or else ``groups`` or ``blocks`` are, which make p-values of
    dependent rows valid. With rows in order of time, or several rows a customer, p-values of single rows
    are far too small.

    Cost: O(n log n) time for each column, and memory for one column of both tables at a time as float64;
    O(n) for each relabelling of at most 20,000 rows. Values of more rows are merged into 1,024 groups for
    the test, which is exact for the distance between groups. For labels the statistic adds to W1 the
    shares of rows whose label does not occur on the other side. Columns of equal sizes share
    relabellings. The joint part takes about 300 exact solves on ``test_rows`` rows. Missing values enter
    the test of the column's share of missing values, which is exact (hypergeometric), and are values of
    their own in the joint distance. The dependence of columns is also tested by the largest change of a
    rank correlation, on at most 2,000 rows a side. False discovery rate over all tests of the comparison:
    Benjamini, Hochberg (1995), by scipy. Early stops: Besag, Clifford (1991).

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
    _check_arguments(scale, n_resamples, max_rows, test_rows)
    level = check_number(level, "level", above=0, at_most=1, remedy="use a rate such as 0.05")
    if not isinstance(names, tuple | list) or len(names) != 2:
        raise InputError("names", f"must be a pair of names, got {names!r}", "give (reference, current)")
    columns = None if columns is None else list(as_names(columns, "columns"))
    if columns == []:
        raise InputError("columns", "must not be empty, got []", "give a list of names, or None for all")
    kinds = {"categorical": as_names(categorical, "categorical"), "numeric": as_names(numeric, "numeric")}
    tables = open_table(reference, "reference", **kinds), open_table(current, "current", **kinds)
    _check_names(kinds, [*tables[0].names, *tables[1].names])
    sampling = read_design(tables, groups=groups, blocks=blocks, weights=weights)
    matching = match_columns(tables, columns, excluded=sampling.columns, units=units, periodic=periodic)
    seed = int(check_rng(rng).integers(2**63))
    sample = RowSample.draw(matching.sizes, seed, max_rows, test_rows) if joint else None
    study = _TableStudy(matching, sampling.design, seed, scale, sample, progress)
    tests = study.measure_columns()
    study.relabel(collect_relabelling_tests(tests), n_resamples, "columns: relabelling")
    joint_test = dependence_test = None
    if sample is not None and study.pairs:
        with display_progress(
            progress, "rows: exact transport, again for each relabelling"
        ) as report_progress:
            joint_test = compare_rows(
                study.pairs,
                sample,
                sampling.design,
                n_resamples=n_resamples,
                circular=tuple(matching.periods),
                report_progress=report_progress,
            )
        with display_progress(progress, "correlations: relabelling") as report_progress:
            dependence_test = compare_correlations(
                study.pairs,
                sample,
                sampling.design,
                n_resamples=n_resamples,
                report_progress=report_progress,
            )
    comparison = study.conclude(
        tests, joint_test, dependence_test, level, n_resamples=n_resamples, names=names, sampling=sampling
    )
    return replace(comparison, seed=int(rng) if isinstance(rng, int | np.integer) else None)


class _TableStudy:
    """Measurements and tests of the columns of two tables."""

    def __init__(
        self,
        matching: ColumnMatching,
        design: Design,
        seed: int,
        scale: Scale,
        sample: RowSample | None,
        progress: bool,
    ) -> None:
        self.matching, self.design, self.scale = matching, design, scale
        self.sample, self.progress = sample, progress
        self.test_builder = ColumnTestBuilder(design, seed)
        self.reports: dict[str, ColumnReport] = {}
        self.exponents: list[int] = []  # one for each measured column
        self.pairs: list[SampledPair] = []

    def measure_columns(self) -> list[ColumnTests]:
        """Measure all columns, and prepare their tests."""
        names = self.matching.order
        with display_progress(self.progress, "columns") as report_progress:
            for place, name in enumerate(names, 1):
                self._measure(name, _add_prefix(report_progress, f"{place} of {len(names)}, "))
        return self.test_builder.finish()

    def _measure(self, name: str, report_progress: Progress) -> None:
        """Read and measure a column; only values that its tests need stay in memory."""
        pair = self.matching.read(name, report_progress)
        if isinstance(pair, ColumnReport):
            self.reports[name] = pair
            return
        report_progress(name)
        period = self.matching.periods.get(name, 0.0)
        measurement, report = measure(*pair, self.scale, self.design.weights, period)
        present = ~pair[0].missing, ~pair[1].missing
        if self.sample is not None:
            self.pairs.append(SampledPair.of(pair, report, self.sample))
        del pair
        report_progress(f"{name}: noise floor")
        self.test_builder.add(name, measurement, present)
        self.reports[name] = report
        self.exponents.append(measurement.exponent)

    def relabel(self, tests: list[RelabellingTest], total: int, task: str) -> None:
        """Relabel until every test has ended or used ``total`` draws."""
        with display_progress(self.progress, task) as report_progress:
            advance(tests, total, report_progress)

    def conclude(
        self,
        tests: list[ColumnTests],
        joint_test: JointTest | None,
        dependence_test: DependenceTest | None,
        level: float,
        *,
        n_resamples: int,
        names: tuple[str, str],
        sampling: Sampling,
    ) -> Comparison:
        """Continue undecided tests, and make the report."""
        outcomes: list[Outcome] = [test.values for test in tests] + [test.missing for test in tests]
        outcomes.append(None if joint_test is None else joint_test.test)
        outcomes.append(None if dependence_test is None else dependence_test.test)
        pending = collect_relabelling_tests(tests)
        if dependence_test is not None:
            pending.append(dependence_test.test)
        total = n_resamples
        while (needed := compute_required_draws(outcomes, level)) > total:
            # If tests end without significance, fewer can be decided together, which needs more draws.
            self.relabel(pending, needed, "columns: relabelling until decided")
            if joint_test is not None:
                with display_progress(self.progress, "rows: relabelling until decided") as report_progress:
                    joint_test.advance(needed, report_progress)
            total = needed
        decisions = decide(outcomes, level)
        count = len(tests)
        for k, (exponent, test) in enumerate(zip(self.exponents, tests, strict=True)):
            values, missing = decisions[k], decisions[count + k]
            self.reports[test.name] = replace(
                self.reports[test.name],
                floor=to_column_unit(test.floor, exponent),
                pvalue=values.pvalue,
                qvalue=values.qvalue,
                draws=values.draws,
                verdict=values.verdict,
                missing_pvalue=missing.pvalue,
                missing_qvalue=missing.qvalue,
                missing_verdict="not moved" if test.missing is None else missing.verdict,
            )
        joint: JointReport | None = None
        if joint_test is not None:
            decision = decisions[-2]
            joint = replace(joint_test.make_report(), qvalue=decision.qvalue, verdict=decision.verdict)
        dependence: DependenceReport | None = None
        if dependence_test is not None:
            decision = decisions[-1]
            dependence = replace(
                dependence_test.make_report(), qvalue=decision.qvalue, verdict=decision.verdict
            )
        matching = self.matching
        return Comparison(
            columns=tuple(self.reports[name] for name in matching.order),
            joint=joint,
            dependence=dependence,
            scale=self.scale,
            n_reference=matching.sizes[0],
            n_current=matching.sizes[1],
            n_resamples=n_resamples,
            reference_name=str(names[0]),
            current_name=str(names[1]),
            notes=tuple(matching.notes),
            level=level,
            tests=sum(outcome is not None for outcome in outcomes),
            assumption=sampling.assumption,
        )


def _add_prefix(report_progress: Progress, prefix: str) -> Progress:
    return lambda text: report_progress(prefix + text)


def _check_names(kinds: Mapping[str, Sequence[str]], known: Sequence[str]) -> None:
    for option, names in kinds.items():
        if unknown := [name for name in names if name not in known]:
            remedy = f"choose from {list(dict.fromkeys(known))}"
            raise InputError(option, f"{unknown} in neither table", remedy)


def _check_arguments(scale: str, n_resamples: int, max_rows: int, test_rows: int) -> None:
    check_choice(scale, "scale", SCALES)
    check_count(n_resamples)
    for name, count in (("max_rows", max_rows), ("test_rows", test_rows)):
        check_integer(count, name, at_least=2)
