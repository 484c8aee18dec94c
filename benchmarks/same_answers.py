"""Compare the answers of 2,000 calls, bit by bit, with those of another version of otdist.

Every public function is called on small random data with seeds. On one machine a change that only moves or
renames code leaves every bit as it was.

Run ``python benchmarks/same_answers.py --write before.json`` before a change and
``python benchmarks/same_answers.py --compare before.json`` after it: exits with 1 where an answer differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import otdist

METRICS = ["euclidean", "cityblock", "sqeuclidean", "chebyshev", "cosine", "angular"]
ORDERS = [1, 1.5, 2, 3]

Call = Callable[[np.random.Generator], Any]


def samples(rng: np.random.Generator, largest: int = 40, d: int | None = None) -> tuple[Any, ...]:
    """Two samples with ties, and weights for every other pair."""
    d = int(rng.integers(1, 5)) if d is None else d
    n, m = rng.integers(2, largest, size=2)
    x, y = np.round(rng.normal(size=(n, d)), 2), np.round(rng.normal(size=(m, d)) + 0.5, 2)
    if rng.random() < 0.5:
        return x, y, None, None
    return x, y, rng.random(n), rng.random(m)


def choose(rng: np.random.Generator, options: list[Any]) -> Any:
    """One of some options."""
    return options[int(rng.integers(len(options)))]


def distance(rng: np.random.Generator) -> Any:
    metric = choose(rng, METRICS)
    p = 1 if metric == "sqeuclidean" else choose(rng, ORDERS)
    return otdist.wasserstein(
        *samples(rng), p=p, metric=metric, method=choose(rng, ["auto", "dense", "sparse"])
    )


def line(rng: np.random.Generator) -> Any:
    return otdist.wasserstein(*samples(rng, 200, d=1), p=choose(rng, ORDERS))


def circle(rng: np.random.Generator) -> Any:
    return otdist.w1(*samples(rng, 60, d=1), metric=otdist.metrics.periodic(2.0))


def lines(rng: np.random.Generator) -> Any:
    x, y = rng.normal(size=(2, 7, 30))
    return otdist.wasserstein_1d(x, y, p=choose(rng, ORDERS))


def bottleneck(rng: np.random.Generator) -> Any:
    return otdist.wasserstein(*samples(rng, 20)[:2], p=np.inf)


def cost_matrix(rng: np.random.Generator) -> Any:
    n, m = rng.integers(2, 30, size=2)
    return otdist.emd(np.round(rng.random((n, m)), 2), method=choose(rng, ["dense", "sparse"]))


def sinkhorn(rng: np.random.Generator) -> Any:
    return otdist.w1(*samples(rng), method="sinkhorn", tol=0.1)


def regularised(rng: np.random.Generator) -> Any:
    return otdist.w1(*samples(rng), method="sinkhorn", eps=0.1)


def divergence(rng: np.random.Generator) -> Any:
    return otdist.sinkhorn_divergence(*samples(rng, 25), eps=0.1)


def sliced(rng: np.random.Generator) -> Any:
    function = choose(rng, [otdist.sliced_w1, otdist.max_sliced_w1])
    return function(*samples(rng, d=3), p=choose(rng, [1, 2]), rng=0)


def partial(rng: np.random.Generator) -> Any:
    return otdist.partial_w1(*samples(rng, 25)[:2], moved=0.5)


def unbalanced(rng: np.random.Generator) -> Any:
    return otdist.unbalanced_w1(*samples(rng, 25), reach=1.0, penalty=choose(rng, ["tv", "kl"]))


def closed(rng: np.random.Generator) -> Any:
    u, v = np.exp(rng.normal(size=2))
    return [otdist.closed.normal(0.0, u, 1.0, v, p=2), otdist.closed.exponential(u, v)]


def permutation(rng: np.random.Generator) -> Any:
    x, y = samples(rng, 25, d=int(rng.integers(1, 3)))[:2]
    test = otdist.stats.permutation_test(x, y, n_resamples=49, rng=0)
    return float(test.result), test.pvalue, test.null


def floor(rng: np.random.Generator) -> Any:
    reference = samples(rng, 40)[0]
    return otdist.stats.noise_floor(reference, 20, 20, n_resamples=20, rng=0).quantile(0.9)


def tables(rng: np.random.Generator) -> Any:
    def table(n: int, shift: float) -> dict[str, Any]:
        numbers = np.where(rng.random(n) < 0.1, np.nan, np.round(rng.normal(size=n) + shift, 1))
        return {"number": numbers, "label": rng.choice(list("abcd"), n).tolist(), "count": rng.poisson(4, n)}

    report = otdist.compare(table(60, 0.0), table(50, 0.5), n_resamples=99, rng=0)
    return [
        (column.w1, column.floor, column.pvalue, column.qvalue, column.verdict) for column in report.columns
    ]


def gradient(rng: np.random.Generator) -> Any:
    import torch

    x, y = (torch.tensor(part, requires_grad=True) for part in samples(rng, 20, d=2)[:2])
    otdist.w1(x, y).value.backward()
    return x.grad.numpy(), y.grad.numpy()


def losses(rng: np.random.Generator) -> Any:
    import torch

    from otdist.learn import SinkhornLoss, W1Loss

    x, y = (torch.tensor(rng.normal(size=(12, 2)), requires_grad=True) for _ in range(2))
    loss = choose(rng, [SinkhornLoss(eps=0.1), W1Loss("exact"), W1Loss("sliced", rng=0)])(x, y)
    loss.backward()
    return float(loss.detach()), x.grad.numpy()


def judges(rng: np.random.Generator) -> Any:
    from otdist.learn import frechet_distance, kernel_distance, precision_recall

    real, fake = rng.normal(size=(2, 60, 3))
    return (
        float(frechet_distance(real, fake)),
        kernel_distance(real, fake),
        precision_recall(real, fake),
    )


CALLS: dict[str, tuple[Call, int]] = {  # and how often each is made
    "wasserstein": (distance, 500),
    "line": (line, 250),
    "circle": (circle, 100),
    "wasserstein_1d": (lines, 100),
    "bottleneck": (bottleneck, 50),
    "emd": (cost_matrix, 200),
    "sinkhorn": (sinkhorn, 150),
    "sinkhorn, eps": (regularised, 100),
    "sinkhorn_divergence": (divergence, 80),
    "sliced": (sliced, 100),
    "partial_w1": (partial, 80),
    "unbalanced_w1": (unbalanced, 80),
    "closed": (closed, 20),
    "permutation_test": (permutation, 40),
    "noise_floor": (floor, 40),
    "compare": (tables, 20),
    "gradient": (gradient, 60),
    "losses": (losses, 20),
    "evaluation": (judges, 10),
}


def flatten(answer: Any) -> Iterator[str]:
    """Write an answer as text: numbers exactly, arrays as fingerprints of their bytes."""
    if isinstance(answer, otdist.Result | otdist.SlicedResult):
        yield from flatten((answer.value, answer.lower, answer.upper, answer.method, answer.converged))
        yield from flatten([getattr(answer, "potentials", None)])
    elif isinstance(answer, np.ndarray):
        yield hashlib.sha256(np.ascontiguousarray(answer).tobytes()).hexdigest()[:16]
    elif isinstance(answer, float):
        yield answer.hex()
    elif isinstance(answer, tuple | list):
        for part in answer:
            yield from flatten(part)
    elif hasattr(answer, "__dataclass_fields__"):
        for name in answer.__dataclass_fields__:
            yield from flatten(getattr(answer, name))
    else:
        yield repr(answer)


def answers(share: float = 1.0) -> dict[str, list[str]]:
    """All answers, by the name of the call and its seed; ``share``: of the calls."""
    found: dict[str, list[str]] = {}
    for name, (call, count) in CALLS.items():
        for seed in range(max(1, round(share * count))):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    found[f"{name} {seed}"] = list(flatten(call(np.random.default_rng([len(name), seed]))))
                except otdist.InputError as error:
                    found[f"{name} {seed}"] = [f"InputError {error.argument}"]
    return found


def main() -> None:
    """Write the answers, or compare them with a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", type=Path, metavar="FILE", help="keep the answers")
    action.add_argument("--compare", type=Path, metavar="FILE", help="compare with answers that were kept")
    arguments = parser.parse_args()
    here = answers()
    if arguments.write:
        arguments.write.write_text(json.dumps(here, indent=1))
        print(f"{len(here):,} answers in {arguments.write}")
        return
    before = json.loads(arguments.compare.read_text())
    other = [name for name in here.keys() | before.keys() if here.get(name) != before.get(name)]
    print(f"{len(here) - len(other):,} of {len(here):,} answers are the same to the bit")
    for name in sorted(other)[:20]:
        print(f"{name}: {before.get(name)} -> {here.get(name)}")
    sys.exit(bool(other))


if __name__ == "__main__":
    main()
