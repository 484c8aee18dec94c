"""Whole runs: which settings arrive, which lose modes, and whether what they make can be trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_digits, load_wine
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import otdist
from benchmarks.wgan.claims_curves import SMALL, WIDE_RING, draw_ring, shorten
from benchmarks.wgan.laws import CLASSIC, Points
from benchmarks.wgan.rows import Row
from otdist.learn import WGAN, fit_wgan

METHODS: dict[str, Row] = {
    "orthogonal": {},
    "gp": {"constraint": "gp", "penalty": 10.0},  # the weight of Gulrajani et al. 2017
    "gp light": {"constraint": "gp", "penalty": 1.0},
    "gan": CLASSIC,
}
RATES = (1e-3, 4e-3, 1.6e-2)  # of the generator
SPEEDS: list[Row] = [{"speed": s, "n_critic": k} for s, k in ((0.25, 1), (1.0, 1), (4.0, 1), (1.0, 4))]
GAMES: dict[str, Row] = {
    "saturating": {"objective": "saturating", "constraint": "none"},
    "gan": CLASSIC,
    "gan packing 4": CLASSIC | {"packing": 4},
    "w1": {},
}
CASES: dict[str, Row] = {
    "1 critic step": {"learning_rate": 8e-3, "critic_rate": 8e-3, "n_critic": 1},
    "4 critic steps": {"learning_rate": 8e-3, "critic_rate": 8e-3, "n_critic": 4},
    # The average would hide a generator that goes from mode to mode.
    "fast generator": {"learning_rate": 1.6e-2, "critic_rate": 1e-3, "n_critic": 1, "average": 0.01},
}
TRAINERS: dict[str, Row] = {
    "w1": {"n_critic": 3, "learning_rate": 2e-3, "critic_rate": 2e-3},
    "gp": METHODS["gp light"] | {"n_critic": 3, "learning_rate": 2e-3, "critic_rate": 2e-3},
    "gan": CLASSIC | {"n_critic": 1, "learning_rate": 2e-3, "critic_rate": 2e-3},
}
WATCHED = ("precision", "recall", "coverage", "density", "vendi", "duplicates", "spread", "estimate")
SAMPLES = 1_000


def train(data: Points, steps: int, seed: int, **settings: Any) -> WGAN:
    """A run with small networks and a check at its end."""
    chosen = SMALL | {"check_every": steps} | settings
    run = fit_wgan(data, steps=steps, seed=seed, stop=False, device="cpu", **chosen)
    if run.diverged:
        raise FloatingPointError(run.message)
    return run


def judge(points: Points, seed: int) -> Row:
    """Modes with a quarter of their share of points near them, share of such points, W1 to fresh ones.

    "touched" counts modes that have a quarter of their share of points nearer than to any other mode, however
    far: fewer than eight are a collapse, where few modes at low quality are points that are badly placed.
    """
    nearest, near = WIDE_RING.judge(points)
    shares, spans = (np.bincount(found, minlength=8) / len(points) for found in (nearest[near], nearest))
    one, other = draw_ring(2 * SAMPLES, 1_000 + seed).reshape(2, SAMPLES, 2)
    return {
        "modes": int((shares >= 0.25 / 8).sum()),
        "touched": int((spans >= 0.25 / 8).sum()),
        "quality": float(near.mean()),
        "w1": float(otdist.w1(points[:SAMPLES], one)),
        "floor": float(otdist.w1(other, one)),
    }


def measure_sweep(row: Row, steps: int = 1_000) -> Row:
    """The ring, by the generator's rate, by the critic's over it, and by steps of the critic."""
    settings = METHODS[row["method"]] | {"learning_rate": row["rate"], "n_critic": row["n_critic"]}
    critic_rate = row["speed"] * row["rate"]
    run = train(draw_ring(4_000, row["seed"]), steps, row["seed"], critic_rate=critic_rate, **settings)
    return {"steps": steps} | judge(run.sample(SAMPLES, rng=1), row["seed"])


def measure_collapse(row: Row, steps: int = 1_000, checks: int = 10) -> Row:
    """The ring, by games and speeds, with what the checks of the trainer see along the way."""
    settings = {"check_every": steps // checks} | GAMES[row["method"]] | CASES[row["case"]]
    run = train(draw_ring(4_000, row["seed"]), steps, row["seed"], **settings)
    points = run.sample(SAMPLES, rng=1)
    told = {"steps": steps, "real_duplicates": run.history[-1].real_duplicates}
    return (
        told
        | judge(points, row["seed"])
        | {
            "checks": [check.step for check in run.history],
            "curves": {name: shorten([getattr(check, name) for check in run.history]) for name in WATCHED},
            "alarms": [[alarm.step, alarm.name] for alarm in run.alarms],
            "points": points[:250].round(3).tolist(),
        }
    )


def measure_synthetic(row: Row, steps: int = 800) -> Row:
    """Accuracy on real held-out rows of a classifier that was trained on real or on generated rows.

    One generator a class, as many rows as real ones; beside it a Gaussian a class, with shrunk covariance.
    """
    values, labels = (load_digits if row["data"] == "digits" else load_wine)(return_X_y=True)
    x, held, y, held_labels = train_test_split(
        values, labels, test_size=0.3, random_state=row["seed"], stratify=labels
    )
    settings = TRAINERS[row["method"]] | {"width": 64, "check_points": 16}
    scale = "columns" if row["data"] == "wine" else "common"
    gaussian, fakes, order, spread = [], [], [], x.std(0).clip(1e-9)
    rng = np.random.default_rng(row["seed"])
    for label in np.unique(y):
        own = x[y == label]
        run = train(own, steps, row["seed"], scale=scale, **settings)
        fakes.append(run.sample(len(own), rng=1))
        covariance = LedoitWolf().fit((own - own.mean(0)) / spread).covariance_
        noise = rng.multivariate_normal(np.zeros(own.shape[1]), covariance, size=len(own))
        gaussian.append(own.mean(0) + noise * spread)
        order.append(y[y == label])
    made, plain, order = (np.concatenate(parts) for parts in (fakes, gaussian, order))
    sets = {
        "real": (x, y),
        "generated": (made, order),
        "gaussian": (plain, order),
        "both": (np.concatenate([x, made]), np.concatenate([y, order])),
    }
    models = {name: make_pipeline(StandardScaler(), SVC()).fit(*pair) for name, pair in sets.items()}
    told: Row = {name: float(model.score(held, held_labels)) for name, model in models.items()}
    told |= {"n": len(x), "held": len(held)}
    if row["data"] == "digits":
        told["images"] = [part[:3].round(1).tolist() for part in fakes]
    return told
