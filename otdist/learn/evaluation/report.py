"""Result of ``evaluate``: measures of fakes and of real rows, and a table of both."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from otdist.learn.evaluation.copies import Duplicates, Memorisation
from otdist.learn.evaluation.kernels import KernelDistance
from otdist.pages.dataframes import make_frame
from otdist.result import Result, SlicedResult, to_plain
from otdist.stats import NoiseFloor
from otdist.typing import DataFrame, Json


class Measure(NamedTuple):
    """One measure of a generated sample.

    Attributes
    ----------
    name : str
        Name of the measure.
    fake : float
        Value for the fakes.
    real : float
        Value for real rows in the place of fakes; NaN if there is none.
    note : str
        Note, such as a standard error.
    """

    name: str
    fake: float
    real: float
    note: str


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """Measures of a generated sample, each beside its value for real rows in its place.

    It prints as a table. Iteration gives a row for each measure, with ``name``, ``fake``, ``real``
    and ``note``.

    Attributes
    ----------
    w1 : Result
        W1 with its proved interval, between ``n_transport`` fake and equally many real rows.
    floor : NoiseFloor
        W1 between disjoint sets of real rows, at the same size.
    pvalue : float
        p-value of the permutation test by W1 on these rows, small if fakes differ from real rows.
    sliced : SlicedResult
        Mean W1 over random lines.
    frechet : float
        Squared Fréchet distance of Gaussian fits.
    kernel : KernelDistance
        Squared MMD with the cubic kernel, and its standard error.
    precision, recall, density, coverage : float
        Measures by k nearest neighbours.
    duplicates : Duplicates
        Near duplicates among the fakes.
    vendi : float
        Vendi score of the fakes, with the bandwidth of the real rows.
    memorisation : Memorisation or None
        Closeness to the training rows; None if they are not given.
    baseline : dict
        Measures from ``sliced`` to ``vendi`` of real rows in the place of fakes, the values of a perfect
        generator.
    n, n_transport, d, k : int
        Rows of each sample, rows for ``w1``, ``floor`` and ``pvalue``, columns, neighbours.
    features : str
        Name of the feature map; empty if there is none.
    notes : tuple of str
        Notes on rows left out, integers read as float64, singular covariances.
    """

    w1: Result
    floor: NoiseFloor
    pvalue: float
    sliced: SlicedResult
    frechet: float
    kernel: KernelDistance
    precision: float
    recall: float
    density: float
    coverage: float
    duplicates: Duplicates
    vendi: float
    memorisation: Memorisation | None
    baseline: dict[str, float]
    n: int
    n_transport: int
    d: int
    k: int
    features: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def excess(self) -> float:
        """W1 above the mean of the floor, in the units of the points; about 0 for a perfect generator."""
        return float(self.w1) - self.floor.mean

    def to_dict(self) -> dict[str, Json]:
        """Return numbers and strings for JSON; NaN and infinity become None and "inf"."""
        measures = (KernelDistance, Duplicates, Memorisation)
        out = {
            name: to_plain(vars(value) if isinstance(value, measures) else value)
            for name, value in vars(self).items()
        }
        out["w1"] = self.w1.to_dict()
        out["floor"] = to_plain({"mean": self.floor.mean, "quantile_95": self.floor.quantile(0.95)})
        out["sliced"] = to_plain({"value": float(self.sliced), "stderr": self.sliced.info["stderr"]})
        return out

    def to_frame(self) -> DataFrame:
        """Return a table with one row per measure, for pandas if it is imported or installed, else polars.

        Returns
        -------
        DataFrame
            Columns name, fake, real (NaN if there is none) and note.

        Raises
        ------
        InputError
            If neither pandas nor polars is installed.
        """
        rows = list(self)
        return make_frame({name: [getattr(row, name) for row in rows] for name in Measure._fields})

    def __len__(self) -> int:
        return len(self._rows())

    def __iter__(self) -> Iterator[Measure]:
        return iter(self._rows())

    def __str__(self) -> str:
        lines = [self._heading(), f"{'':18}{'fake':>11}{'real':>11}"]
        lines += [
            f"{row.name:18}{_format_value(row.fake):>11}{_format_value(row.real):>11}  {row.note}".rstrip()
            for row in self
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def __repr__(self) -> str:
        return f"<Evaluation: {self.w1.name} {float(self.w1):.4g}, p = {self.pvalue:.3g}; {self._heading()}>"

    def _repr_html_(self) -> str:
        from otdist.pages.notebook import render_table

        rows = [(row.name, _format_value(row.fake), _format_value(row.real), row.note) for row in self]
        return render_table(
            ("", "fake", "real", ""), rows, caption=self._heading(), notes=self.notes, words=(0, 3)
        )

    def _heading(self) -> str:
        space = f"features: {self.features}, " if self.features else ""
        size = f"{self.n:,} rows a side, {self.n_transport:,} for W1"
        return f"fake against real: {space}d = {self.d}, {size}"

    def _rows(self) -> list[Measure]:
        w1 = self.w1
        bound_note = "exact" if w1._is_exact else w1._proof().strip()
        chance_note = f"by chance W1 is up to {self.floor.quantile(0.95):.4g}"
        rows = [
            Measure("W1", float(w1), self.floor.mean, bound_note),
            Measure("p of W1", self.pvalue, math.nan, chance_note),
        ]
        notes = {
            "kernel": f"standard error {self.kernel.stderr:.2g}",
            "duplicates": f"closer than {self.duplicates.threshold:.3g}",
            "vendi": "kinds of points",
        }
        for key, label in MEASURE_LABELS.items():
            value = float(getattr(self, key))
            rows.append(Measure(label, value, self.baseline[key], notes.get(key, "")))
        if self.memorisation is not None:
            result = self.memorisation
            note = f"near a training row {result.share:.0%}, by chance {result.expected:.0%}"
            rows.append(Measure("memorisation p", result.pvalue, math.nan, note))
        return rows


MEASURE_LABELS = {
    "sliced": "sliced W1",
    "frechet": "Fréchet distance",
    "kernel": "kernel distance",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "duplicates": "duplicates",
    "vendi": "Vendi score",
}


def _format_value(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"
