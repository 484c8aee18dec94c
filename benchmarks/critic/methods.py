"""One row of the critic, measured in a process of its own and printed as JSON."""

import json
import math
import sys
import time

import numpy as np
import torch
from scipy.special import ndtri
from torch.profiler import ProfilerActivity, profile

import otdist
from benchmarks.critic.questions import PAIRS, PEERS
from otdist.bench.problems import scores
from otdist.learn import Anchors, Critic, Orthogonal
from otdist.learn.critics.training import Training

GRADIENTS = 4096  # points that gradients are compared at, as in the published figures
POINTS = 32_768  # fresh points of each law for the estimate
MAX_ERRORS = 3.0  # joint standard errors from which on an estimate overstates W1
BATCH, WARM, PROFILED, LARGEST = 512, 30, 50, 6  # of the track of speed: points, steps, steps, operators


def answer(row):
    """A critic on unlimited fresh points, or on samples of finite size; judged on fresh ones."""
    pair, seed = PAIRS[row["problem"]](row["d"], row["n"]), row["seed"]
    if row["samples"]:
        x, y = pair.sample(row["samples"], rng=np.random.default_rng([seed, 3]))
    else:
        x, y = (_stream(pair, side, np.random.default_rng([seed, side])) for side in range(2))
    told, value, gradient = (_fit_peer if row["method"] in PEERS else _fit_own)(row, x, y)
    if row["samples"]:
        told["test_overstates"] = _is_beyond(told["gaps"]["test"], told["test_error"], pair)
    return told | judge(pair, value, gradient, seed)


def judge(pair, value, gradient, seed):
    """Scores on points that nothing was trained or chosen on."""
    rng = np.random.default_rng([seed, 2])
    slopes = scores(pair, value, gradient, rng, GRADIENTS)
    x, y = pair.sample(POINTS, rng=rng)
    at_x, at_y = value(x), value(y)
    estimate, error = ours = _gap(at_x, at_y)
    # E_P f - E_Q f = W1 for the true potential, and it has nearly the critic's noise: the difference of both
    # says how far the critic is from W1 much more sharply than the estimate does.
    beside, beside_error = _gap(at_x - pair.potential(x), at_y - pair.potential(y))
    told = {name: getattr(slopes, name) for name in ("cosine", "squared_l2", "undefined")}
    told |= {"paired_deviation": beside / pair.w1, "paired_error": beside_error / pair.w1}
    told |= {"paired_overstates": beside > MAX_ERRORS * beside_error, "overstates": _is_beyond(*ours, pair)}
    told |= {"estimate": estimate, "estimate_error": error, "deviation": (estimate - pair.w1) / pair.w1}
    return told | {"w1": pair.w1, "w1_error": pair.w1_error}


def _stream(pair, side, rng):
    """Source of fresh points of one law, in float32."""
    return lambda size: pair.sample(*((1, size) if side else (size, 1)), rng, np.float32)[side]


def _gap(at_x, at_y):
    """Difference of the means and its standard error."""
    error = math.sqrt(at_x.var(ddof=1) / len(at_x) + at_y.var(ddof=1) / len(at_y))
    return float(at_x.mean() - at_y.mean()), error


def _is_beyond(estimate, error, pair):
    return estimate - pair.w1 > MAX_ERRORS * math.hypot(error, pair.w1_error)


def _fit_own(row, x, y):
    """Our critic; steps are those of the one that was kept."""
    family = "auto" if row["method"] == "auto" else row["method"].split(",")
    critic = Critic(family=family, max_seconds=row["seconds"], rng=row["seed"])
    since = time.perf_counter()
    critic.fit(x, y)
    told = {"taken": time.perf_counter() - since, "family": critic.name, "steps": critic.history[-1]["steps"]}
    told |= {name: getattr(critic, name) for name in ("lipschitz", "gaps", "message")}
    told["all_steps"] = sum({look["critic"]: look["steps"] for look in critic.history}.values())
    told["trials"] = {look["critic"]: look["validation"] for look in critic.history}
    if row["samples"]:
        told["test_error"] = (critic.gaps["test"] - critic.confidence.normal) / float(ndtri(0.95))
    return told, critic, critic.gradient


def _fit_peer(row, x, y):
    """A network of others, of samples on four fifths of the rows; a tenth is the test, as it is in ours."""
    from benchmarks.critic.peers import BATCH, train

    settings = row["seconds"], row["seed"]
    if not row["samples"]:
        return train(row["method"], row["d"], lambda size: (x(size), y(size)), BATCH, *settings)
    rng, tenth = np.random.default_rng(row["seed"]), row["samples"] // 10
    orders = [rng.permutation(len(side)) for side in (x, y)]
    parts = [side[order[2 * tenth :]].astype(np.float32) for side, order in zip((x, y), orders, strict=True)]
    tests = [side[order[:tenth]] for side, order in zip((x, y), orders, strict=True)]

    def batches(size):
        return tuple(part[rng.integers(len(part), size=size)] for part in parts)

    told, value, gradient = train(row["method"], row["d"], batches, min(BATCH, len(parts[0])), *settings)
    (train_gap, _), (test_gap, error) = (_gap(*map(value, sides)) for sides in (parts, tests))
    return told | {"test_error": error, "gaps": {"train": train_gap, "test": test_gap}}, value, gradient


def prove(row):
    """The interval for given samples, against the exact distance between them."""
    pair = PAIRS[row["problem"]](row["d"], row["n"])
    x, y = pair.sample(row["samples"], rng=np.random.default_rng([row["seed"], 3]))
    since = time.perf_counter()
    result = otdist.w1(x, y, method="critic", max_seconds=row["seconds"], rng=row["seed"])
    taken, exact = time.perf_counter() - since, otdist.w1(x, y)
    told = {"family": result.info["critic"], "steps": result.info["steps"], "gaps": result.info["gaps"]}
    told |= {"lower": result.lower, "upper": result.upper, "exact": [exact.lower, exact.upper]}
    told |= {"taken": taken, "deviation": result.lower / exact.upper - 1}
    return told | {"overstates": result.lower > exact.upper or result.upper < exact.lower}


def time_steps(row):
    """Steps per second on one batch that stays, and which operators they are spent in."""
    d, units, generator = row["d"], row["n"], torch.Generator().manual_seed(row["seed"])
    if row["method"] == "orthogonal":
        module, rate = Orthogonal(d, width=units, generator=generator), 0.01
    else:
        module, rate = Anchors(torch.randn(units, d, generator=generator), orientation="max"), 0.016
    training = Training(row["method"], module, rate)
    z = torch.randn(2 * BATCH, d, generator=generator)
    signs = torch.cat([torch.ones(BATCH), -torch.ones(BATCH)]) / BATCH

    def step():
        training.step(z, signs, 0.5, False)

    _clock(step, count=WARM)
    seconds = _clock(step, row["seconds"])
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        _clock(step, count=PROFILED)
    events = [(event.key, event.self_cpu_time_total) for event in seen.key_averages()]
    total = sum(spent for _, spent in events)
    shares = {key: spent / total for key, spent in sorted(events, key=lambda event: -event[1])[:LARGEST]}
    told = {"per_second": 1 / seconds, "milliseconds": 1e3 * seconds, "shares": shares, "batch": BATCH}
    return told | {"retraction": _clock(module.retract, count=PROFILED) / seconds}


def _clock(call, seconds=math.inf, count=math.inf):
    """Median seconds of a call that is repeated for so long, or so many times."""
    rounds, began = [], time.perf_counter()
    while time.perf_counter() - began < seconds and len(rounds) < count:
        since = time.perf_counter()
        call()
        rounds.append(time.perf_counter() - since)
    return float(torch.tensor(rounds).median())


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    torch.set_num_threads(int(sys.argv[2]))
    print(json.dumps({"status": "ok"} | {"E": prove, "P": time_steps}.get(asked["track"], answer)(asked)))
