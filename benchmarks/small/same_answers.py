"""Compare the answers of 2,000 calls, bit by bit, with those of another version of otdist.

Every public function is called on small random data with seeds. On one machine a change that only moves or
renames code leaves every bit as it was. Run ``python -m benchmarks.small.same_answers --write before.json``
before a change and ``--compare before.json`` after it: exits with 1 where an answer differs.
"""

import argparse
import hashlib
import json
import sys
import warnings
from pathlib import Path

import numpy as np

import otdist
from otdist.metrics import periodic
from otdist.stats import noise_floor, permutation_test

METRICS = ["euclidean", "cityblock", "sqeuclidean", "chebyshev", "cosine", "angular"]
ORDERS, SLICED = [1, 1.5, 2, 3], [otdist.sliced_w1, otdist.max_sliced_w1]


def samples(rng, largest=40, d=None):
    """Two samples with ties, and weights for every other pair."""
    d = int(rng.integers(1, 5)) if d is None else d
    n, m = rng.integers(2, largest, size=2)
    x, y = np.round(rng.normal(size=(n, d)), 2), np.round(rng.normal(size=(m, d)) + 0.5, 2)
    masses = (None, None) if rng.random() < 0.5 else (rng.random(n), rng.random(m))
    return (x, y, *masses)


def points(rng, largest=25, d=None):
    return samples(rng, largest, d)[:2]


def choose(rng, options):
    return options[int(rng.integers(len(options)))]


def distance(rng):
    metric = choose(rng, METRICS)
    p = 1 if metric == "sqeuclidean" else choose(rng, ORDERS)
    given, method = samples(rng), choose(rng, ["auto", "dense", "sparse"])
    return otdist.wasserstein(*given, p=p, metric=metric, method=method)


def emd(rng):
    cost = np.round(rng.random(rng.integers(2, 30, 2)), 2)
    return otdist.emd(cost, method=choose(rng, ["dense", "sparse"]))


def unbalanced(rng):
    return otdist.unbalanced_w1(*samples(rng, 25), reach=1, penalty=choose(rng, ["tv", "kl"]))


def closed(rng):
    u, v = np.exp(rng.normal(size=2))
    return [otdist.closed.normal(0.0, u, 1.0, v, p=2), otdist.closed.exponential(u, v)]


def permutation(rng):
    test = permutation_test(*points(rng, d=int(rng.integers(1, 3))), n_resamples=49, rng=0)
    return float(test.result), test.pvalue, test.null


def tables(rng):
    def table(n, shift):
        numbers = np.where(rng.random(n) < 0.1, np.nan, np.round(rng.normal(size=n) + shift, 1))
        return {"number": numbers, "label": rng.choice(list("abcd"), n).tolist(), "count": rng.poisson(4, n)}

    columns = otdist.compare(table(60, 0.0), table(50, 0.5), n_resamples=99, rng=0).columns
    return [(c.w1, c.floor, c.pvalue, c.qvalue, c.verdict) for c in columns]


def differentiate(function, *given):
    """Value and gradients by torch."""
    import torch

    x, y = (torch.tensor(part, requires_grad=True) for part in given)
    value = function(x, y)
    value.backward()
    return float(value.detach()), x.grad.numpy(), y.grad.numpy()


def gradient(rng):
    return differentiate(lambda x, y: otdist.w1(x, y).value, *points(rng, 20, d=2))[1:]


def losses(rng):
    from otdist.learn import SinkhornLoss, W1Loss

    given = [rng.normal(size=(12, 2)) for _ in range(2)]
    loss = choose(rng, [SinkhornLoss(eps=0.1), W1Loss("exact"), W1Loss("sliced", rng=0)])
    return differentiate(loss, *given)[:2]


def judges(rng):
    from otdist.learn import frechet_distance, kernel_distance, precision_recall

    x, y = rng.normal(size=(2, 60, 3))
    return float(frechet_distance(x, y)), kernel_distance(x, y), precision_recall(x, y)


CALLS = {  # and how often each is made
    "wasserstein": (distance, 500),
    "line": (lambda r: otdist.wasserstein(*samples(r, 200, d=1), p=choose(r, ORDERS)), 250),
    "circle": (lambda r: otdist.w1(*samples(r, 60, d=1), metric=periodic(2.0)), 100),
    "wasserstein_1d": (lambda r: otdist.wasserstein_1d(*r.normal(size=(2, 7, 30)), p=choose(r, ORDERS)), 100),
    "bottleneck": (lambda r: otdist.wasserstein(*points(r, 20), p=np.inf), 50),
    "emd": (emd, 200),
    "sinkhorn": (lambda r: otdist.w1(*samples(r), method="sinkhorn", tol=0.1), 150),
    "sinkhorn, eps": (lambda r: otdist.w1(*samples(r), method="sinkhorn", eps=0.1), 100),
    "sinkhorn_divergence": (lambda r: otdist.sinkhorn_divergence(*samples(r, 25), eps=0.1), 80),
    "sliced": (lambda r: choose(r, SLICED)(*samples(r, d=3), p=choose(r, [1, 2]), rng=0), 100),
    "partial_w1": (lambda r: otdist.partial_w1(*points(r), moved=0.5), 80),
    "unbalanced_w1": (unbalanced, 80),
    "closed": (closed, 20),
    "permutation_test": (permutation, 40),
    "noise_floor": (lambda r: noise_floor(samples(r)[0], 20, 20, n_resamples=20, rng=0).quantile(0.9), 40),
    "compare": (tables, 20),
    "gradient": (gradient, 60),
    "losses": (losses, 20),
    "evaluation": (judges, 10),
}


def flatten(answer):
    """Write an answer as text: numbers exactly, arrays as fingerprints of their bytes."""
    if isinstance(answer, otdist.Result | otdist.SlicedResult):
        parts = (answer.value, answer.lower, answer.upper, answer.method, answer.converged)
        yield from flatten((*parts, getattr(answer, "potentials", None)))
    elif isinstance(answer, np.ndarray):
        yield hashlib.sha256(np.ascontiguousarray(answer).tobytes()).hexdigest()[:16]
    elif isinstance(answer, float):
        yield answer.hex()
    elif isinstance(answer, tuple | list):
        for part in answer:
            yield from flatten(part)
    elif hasattr(answer, "__dataclass_fields__"):
        yield from flatten([getattr(answer, name) for name in answer.__dataclass_fields__])
    else:
        yield repr(answer)


def answers(share=1.0):
    """All answers, by the name of the call and its seed; ``share``: of the calls."""
    found = {}
    for name, (call, count) in CALLS.items():
        for seed in range(max(1, round(share * count))):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    found[f"{name} {seed}"] = list(flatten(call(np.random.default_rng([len(name), seed]))))
                except otdist.InputError as error:
                    found[f"{name} {seed}"] = [f"InputError {error.argument}"]
    return found


def main():
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
