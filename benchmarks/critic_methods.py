"""One row of critic_w1bench, measured in a process of its own and printed as JSON."""

from __future__ import annotations

import json
import math
import sys
import time
from typing import Any

import numpy as np
import torch
from critic_problems import PEERS, Row, pair_of
from scipy.special import ndtri

import otdist
from otdist.bench.problems import Pair, scores
from otdist.learn import Critic

GRADIENTS = 4096  # points that gradients are compared at, as in the published figures
POINTS = 32_768  # fresh points of each law for the estimate
BEYOND = 3.0  # joint standard errors from which on an estimate overstates W1


def streams(pair: Pair, seed: int) -> tuple[Any, Any]:
    """Sources of fresh points of both laws, in float32."""
    first, second = (np.random.default_rng([seed, side]) for side in range(2))
    return (
        lambda size: pair.sample(size, 1, first, np.float32)[0],
        lambda size: pair.sample(1, size, second, np.float32)[1],
    )


def judged(pair: Pair, value: Any, gradient: Any, seed: int) -> Row:
    """Scores on points that nothing was trained or chosen on."""
    rng = np.random.default_rng([seed, 2])
    slopes = scores(pair, value, gradient, rng, GRADIENTS)
    x, y = pair.sample(POINTS, rng=rng)
    at_x, at_y = value(x), value(y)
    estimate, error = gap(at_x, at_y)
    # E_P f - E_Q f = W1 for the true potential, and it has nearly the critic's noise: the difference of both
    # says how far the critic is from W1 much more sharply than the estimate does.
    beside, beside_error = gap(at_x - pair.potential(x), at_y - pair.potential(y))
    return {
        "paired_deviation": beside / pair.w1,
        "paired_error": beside_error / pair.w1,
        "paired_overstates": beside > BEYOND * beside_error,
        "cosine": slopes.cosine,
        "squared_l2": slopes.squared_l2,
        "undefined": slopes.undefined,
        "estimate": estimate,
        "estimate_error": error,
        "w1": pair.w1,
        "w1_error": pair.w1_error,
        "deviation": (estimate - pair.w1) / pair.w1,
        "overstates": beyond(estimate, error, pair),
    }


def gap(at_x: Any, at_y: Any) -> tuple[float, float]:
    """Difference of the means and its standard error."""
    error = math.sqrt(at_x.var(ddof=1) / len(at_x) + at_y.var(ddof=1) / len(at_y))
    return float(at_x.mean() - at_y.mean()), error


def beyond(estimate: float, error: float, pair: Pair) -> bool:
    return estimate - pair.w1 > BEYOND * math.hypot(error, pair.w1_error)


def streamed(row: Row) -> Row:
    """A critic on unlimited fresh points."""
    pair, seed = pair_of(row), row["seed"]
    x, y = streams(pair, seed)
    if row["method"] in PEERS:
        from critic_networks import BATCH, trained

        since = time.perf_counter()
        net = trained(row["method"], pair.d, lambda size: (x(size), y(size)), BATCH, row["seconds"], seed)
        told = {"steps": net.steps, "lipschitz": net.constant, "taken": time.perf_counter() - since}
        return told | judged(pair, net.value, net.gradient, seed)
    family = "auto" if row["method"] == "auto" else row["method"].split(",")
    critic = Critic(family=family, max_seconds=row["seconds"], rng=seed)
    since = time.perf_counter()
    critic.fit(x, y)
    return facts(critic, time.perf_counter() - since) | judged(pair, critic, critic.gradient, seed)


def facts(critic: Critic, taken: float) -> Row:
    """What a fitted critic says of itself; steps are those of the one that was kept."""
    return {
        "family": critic.name,
        "steps": critic.history[-1]["steps"],
        "all_steps": sum({look["critic"]: look["steps"] for look in critic.history}.values()),
        "taken": taken,
        "lipschitz": critic.lipschitz,
        "gaps": critic.gaps,
        "message": critic.message,
        "trials": {look["critic"]: look["validation"] for look in critic.history},
    }


def sampled(row: Row) -> Row:
    """A critic on samples of finite size; then on fresh points, which say more than those held back."""
    pair, seed = pair_of(row), row["seed"]
    x, y = pair.sample(row["samples"], rng=np.random.default_rng([seed, 3]))
    if row["method"] in PEERS:
        told, value, gradient = peer(row, x, y)
    else:
        critic = Critic(max_seconds=row["seconds"], rng=seed)
        since = time.perf_counter()
        critic.fit(x, y)
        told, value, gradient = facts(critic, time.perf_counter() - since), critic, critic.gradient
        told["test_error"] = (critic.gaps["test"] - critic.confidence.normal) / float(ndtri(0.95))
    told["test_overstates"] = beyond(told["gaps"]["test"], told["test_error"], pair)
    return told | judged(pair, value, gradient, seed)


def peer(row: Row, x: Any, y: Any) -> tuple[Row, Any, Any]:
    """Train a network of others on four fifths of the rows; a tenth is the test, as it is in ours."""
    from critic_networks import BATCH, trained

    rng = np.random.default_rng(row["seed"])
    parts = []
    for side in (x, y):
        order, tenth = rng.permutation(len(side)), len(side) // 10
        parts.append((side[order[2 * tenth :]].astype(np.float32), side[order[:tenth]]))
    (train_x, test_x), (train_y, test_y) = parts

    def batches(size: int) -> tuple[Any, Any]:
        return tuple(part[rng.integers(len(part), size=size)] for part in (train_x, train_y))

    since, size = time.perf_counter(), min(BATCH, len(train_x))
    net = trained(row["method"], x.shape[1], batches, size, row["seconds"], row["seed"])
    taken = time.perf_counter() - since
    train, _ = gap(net.value(train_x), net.value(train_y))
    test, error = gap(net.value(test_x), net.value(test_y))
    told = {"steps": net.steps, "taken": taken, "lipschitz": net.constant, "test_error": error}
    return told | {"gaps": {"train": train, "test": test}}, net.value, net.gradient


def proved(row: Row) -> Row:
    """The interval for given samples, against the exact distance between them."""
    pair = pair_of(row)
    x, y = pair.sample(row["samples"], rng=np.random.default_rng([row["seed"], 3]))
    since = time.perf_counter()
    result = otdist.w1(x, y, method="critic", max_seconds=row["seconds"], rng=row["seed"])
    taken, exact = time.perf_counter() - since, otdist.w1(x, y)
    told = {"family": result.info["critic"], "steps": result.info["steps"], "gaps": result.info["gaps"]}
    told |= {"lower": result.lower, "upper": result.upper, "exact": [exact.lower, exact.upper]}
    told |= {"taken": taken, "deviation": result.lower / exact.upper - 1}
    return told | {"overstates": result.lower > exact.upper or result.upper < exact.lower}


def main() -> None:
    row = json.loads(sys.argv[1])
    torch.set_num_threads(int(sys.argv[2]))
    if row["track"] == "P":
        from critic_steps import timed as measure
    else:
        measure = {"C": sampled, "E": proved}.get(row["track"], streamed)
    print(json.dumps({"status": "ok"} | measure(row)))


if __name__ == "__main__":
    main()
