"""One critic, trained and held against the truth, in a process of its own: prints a row as JSON."""

from __future__ import annotations

import json
import math
import sys
import time
from typing import Any

import numpy as np
import torch
from critic_problems import Row, pair_of

from otdist.bench.problems import Pair, scores
from otdist.learn import Critic

THREADS = 2
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
    estimate = float(at_x.mean() - at_y.mean())
    error = math.sqrt((at_x.var(ddof=1) + at_y.var(ddof=1)) / POINTS)
    return {
        "cosine": slopes.cosine,
        "squared_l2": slopes.squared_l2,
        "undefined": slopes.undefined,
        "estimate": estimate,
        "estimate_error": error,
        "w1": pair.w1,
        "w1_error": pair.w1_error,
        "deviation": (estimate - pair.w1) / pair.w1,
        "overstates": estimate - pair.w1 > BEYOND * math.hypot(error, pair.w1_error),
    }


def streamed(row: Row) -> Row:
    """Our critic on unlimited fresh points."""
    pair = pair_of(row["problem"], row["d"], row["n"])
    family = "auto" if row["method"] == "auto" else row["method"].split(",")
    critic = Critic(family=family, max_seconds=row["seconds"], rng=row["seed"])
    since = time.perf_counter()
    critic.fit(*streams(pair, row["seed"]))
    taken = time.perf_counter() - since
    return trained(critic, taken) | judged(pair, critic, critic.gradient, row["seed"])


def trained(critic: Critic, taken: float) -> Row:
    """What a fitted critic says of itself; steps are those of the one that was kept."""
    return {
        "status": "ok",
        "family": critic.name,
        "steps": critic.history[-1]["steps"],
        "all_steps": sum({look["critic"]: look["steps"] for look in critic.history}.values()),
        "taken": taken,
        "lipschitz": critic.lipschitz,
        "gaps": critic.gaps,
        "message": critic.message,
        "trials": {look["critic"]: look["validation"] for look in critic.history},
    }


def main() -> None:
    row = json.loads(sys.argv[1])
    torch.set_num_threads(THREADS)
    print(json.dumps(streamed(row)))


if __name__ == "__main__":
    main()
