"""What ``evaluate`` answers: numbers, the same for real rows, and a table of both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from otdist.learn.evaluation.copies import Duplicates, Memorisation
from otdist.learn.evaluation.kernels import KernelDistance
from otdist.result import Result, SlicedResult, plain
from otdist.stats import NoiseFloor


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """Measures of a generated sample, each beside what real rows in its place would give.

    Printed, it is a table.

    Attributes
    ----------
    w1 : Result
        W1 with its proved interval, between ``n_transport`` fake and as many real rows.
    floor : NoiseFloor
        W1 between real rows and other real rows, at the same size.
    pvalue : float
        Of the permutation test by W1 on these rows: small if fakes can be told from real rows.
    sliced : SlicedResult
        Mean W1 over random lines.
    frechet : float
        Squared Fréchet distance of Gaussian fits.
    kernel : KernelDistance
        Squared MMD with the cubic kernel, and its standard error.
    precision, recall, density, coverage : float
        Shares by k nearest neighbours.
    duplicates : Duplicates
        Fakes that nearly coincide.
    vendi : float
        Vendi score of the fakes, with the bandwidth of the real rows.
    memorisation : Memorisation or None
        Nearness to the training rows; None where none were given.
    baseline : dict
        The measures from ``sliced`` to ``vendi`` of real rows in the place of fakes: what a perfect
        generator would get.
    n, n_transport, d, k : int
        Rows a side, rows a side for ``w1``, ``floor`` and ``pvalue``, columns, neighbours.
    features : str
        Name of the feature map; empty if there is none.
    notes : tuple of str
        What a reader must know: rows left out, whole numbers read as float64, singular covariances.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON; NaN and infinity become None and "inf"."""
        out = {name: _plain(value) for name, value in vars(self).items()}
        out["w1"] = self.w1.to_dict()
        out["floor"] = {"mean": plain(self.floor.mean), "quantile_95": plain(self.floor.quantile(0.95))}
        out["sliced"] = {"value": plain(float(self.sliced)), "stderr": plain(self.sliced.info["stderr"])}
        return out

    def __str__(self) -> str:
        space = f"features: {self.features}, " if self.features else ""
        size = f"{self.n:,} rows a side, {self.n_transport:,} for W1"
        lines = [f"fake against real: {space}d = {self.d}, {size}", f"{'':18}{'fake':>11}{'real':>11}"]
        lines += [
            f"{name:18}{fake:>11.4g}{real:>11}  {remark}".rstrip()
            for name, fake, real, remark in self._rows()
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _rows(self) -> list[tuple[str, float, str, str]]:
        proved = f"in [{self.w1.lower:.4g}, {self.w1.upper:.4g}]"
        chance = f"by chance W1 is up to {self.floor.quantile(0.95):.4g}"
        rows: list[tuple[str, float, str, str]] = [
            ("W1", float(self.w1), f"{self.floor.mean:.4g}", proved),
            ("p of W1", self.pvalue, "", chance),
        ]
        remarks = {
            "kernel": f"standard error {self.kernel.stderr:.2g}",
            "duplicates": f"closer than {self.duplicates.threshold:.3g}",
            "vendi": "kinds of points",
        }
        for key, label in LABELS.items():
            real = f"{self.baseline[key]:.4g}"
            rows.append((label, float(getattr(self, key)), real, remarks.get(key, "")))
        if self.memorisation is not None:
            nearer = self.memorisation
            remark = f"near a training row {nearer.share:.0%}, by chance {nearer.expected:.0%}"
            rows.append(("memorisation p", nearer.pvalue, "", remark))
        return rows


LABELS = {
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


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, KernelDistance | Duplicates | Memorisation):
        return {key: plain(item) for key, item in vars(value).items()}
    return plain(value)
