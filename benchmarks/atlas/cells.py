"""What the atlas asks: samples by size and dimension, and the methods worth asking there."""

from __future__ import annotations

from dataclasses import dataclass

SIZES = (100, 300, 1000, 3000, 10_000, 30_000, 100_000)
COLUMNS = (2, 3, 8, 32, 128)
FEW, SOME = 1000, 3000  # points up to which peers, and "dense", are asked
EXACT = "otdist sparse"
SPARSE = (EXACT, "otdist sparse tol=0.01", "otdist sparse tol=0.1")
ENTROPIC = tuple(f"otdist sinkhorn tol={tol}" for tol in ("0.1", "0.01", "0.001"))
PEERS = ("scipy assignment", "POT emd2", "POT sinkhorn reg=0.02")
CRITIC = "otdist critic max_seconds=10"
# Other sizes, other columns, another law: what the models were not fitted to.
HELD_OUT_SIZES, HELD_OUT_COLUMNS = (200, 700, 2000, 6000), (2, 5, 16, 64)
LAWS = ("shift", "clusters")
# And again, measured after the rule of otdist.recommend was settled.
LATER_SIZES, LATER_COLUMNS, LATER_LAWS = (500, 1500, 5000), (2, 4, 12, 48), ("radial", "heavy tails")


@dataclass(frozen=True)
class Cell:
    """One question and one method."""

    part: str
    law: str
    n: int
    d: int
    method: str
    seed: int = 0

    @property
    def question(self) -> str:
        """Name that otdist.bench knows."""
        return f"{self.law} n={self.n} d={self.d}"

    @property
    def key(self) -> tuple[str, str, int]:
        """What tells rows apart."""
        return self.question, self.method, self.seed


def cells() -> list[Cell]:
    """All of them, in the order in which they are measured: the long ones last."""
    found = [cell for n in SIZES if n <= 10_000 for cell in grid(n)] + held_out() + later()
    found += [Cell("critic", "shift", 10_000, d, CRITIC) for d in (8, 128)]
    return found + [cell for n in SIZES if n > 10_000 for cell in grid(n)]


def grid(n: int) -> list[Cell]:
    """What the models are fitted to, at one size."""
    found = [Cell("grid", "shift", n, 1, method) for method in ("otdist line", "scipy line")]
    for d in COLUMNS:
        methods = (*SPARSE, *ENTROPIC, "otdist sliced")
        methods = (("otdist dense",) if n <= SOME else ()) + methods + (PEERS if n <= FEW else ())
        found += [Cell("grid", "shift", n, d, method) for method in methods]
    return found


def held_out() -> list[Cell]:
    """What the recommendation is judged by."""
    places = [(n, d) for n in HELD_OUT_SIZES for d in HELD_OUT_COLUMNS] + [(20_000, 5), (20_000, 16)]
    return _in_turn("held out", places, LAWS)


def later() -> list[Cell]:
    """What it is judged by once more."""
    return _in_turn("held out later", [(n, d) for n in LATER_SIZES for d in LATER_COLUMNS], LATER_LAWS)


def _in_turn(part: str, places: list[tuple[int, int]], laws: tuple[str, str]) -> list[Cell]:
    """Own methods at all places, with the laws in turn along sizes and along columns."""
    return [
        Cell(part, laws[(k + k // 4) % 2], n, d, method, seed=1)
        for k, (n, d) in enumerate(places)
        for method in ((("otdist dense",) if n <= SOME else ()) + SPARSE + ENTROPIC)
    ]
