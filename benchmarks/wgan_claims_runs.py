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
from wgan_claims_curves import CLASSIC, MODES, SMALL, SPREAD, Points, Row, centres, ring

import otdist
from otdist.learn import fit_wgan

METHODS: dict[str, Row] = {"orthogonal": {}, "gp": {"constraint": "gp"}, "gan": CLASSIC}
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
GAMES: dict[str, Row] = {
    "saturating": {"objective": "saturating", "constraint": "none"},
    "gan": CLASSIC,
    "gan packing 4": CLASSIC | {"packing": 4},
    "w1": {},
    "w1 4 steps": {"n_critic": 4},
}
SPEEDS: dict[str, Row] = {
    "even": {"learning_rate": 3e-3, "critic_rate": 3e-3},
    # The average would hide a generator that goes from mode to mode.
    "fast generator": {"learning_rate": 1e-2, "critic_rate": 1e-3, "average": 0.01},
}
EVEN: Row = {"learning_rate": 2e-3, "critic_rate": 2e-3}
TRAINERS: dict[str, Row] = {
    "w1": EVEN | {"n_critic": 3},
    "w1 slow generator": {"learning_rate": 5e-4, "critic_rate": 3e-3, "n_critic": 10},
    "gan": EVEN | CLASSIC | {"n_critic": 1},
}
SAMPLES = 1_000


def trained(data: Points, steps: int, seed: int, **settings: Any) -> Any:
    """A run with small networks and a check at its end."""
    chosen = SMALL | {"check_every": steps} | settings
    run = fit_wgan(data, steps=steps, seed=seed, stop=False, device="cpu", **chosen)
    if run.diverged:
        raise FloatingPointError(run.message)
    return run


def found(points: Points, seed: int) -> Row:
    """Modes with at least a quarter of their share, points near one, and W1 to fresh points, less noise."""
    means = centres()
    distances = np.linalg.norm(points[:, None] - means, axis=-1)
    near = distances.min(1) < 3 * SPREAD
    shares = np.bincount(distances.argmin(1)[near], minlength=MODES) / len(points)
    one, other = ring(2 * SAMPLES, 1_000 + seed).reshape(2, SAMPLES, 2)
    w1 = float(otdist.w1(points[:SAMPLES], one))
    return {
        "modes": int((shares >= 0.25 / MODES).sum()),
        "quality": float(near.mean()),
        "w1": w1,
        "floor": float(otdist.w1(other, one)),
    }


def sweep(row: Row, steps: int = 1_000) -> Row:
    """The ring, by one learning rate for both sides and by steps of the critic."""
    settings = METHODS[row["method"]] | {"learning_rate": row["rate"], "critic_rate": row["rate"]}
    run = trained(ring(4_000, row["seed"]), steps, row["seed"], n_critic=row["n_critic"], **settings)
    return {"steps": steps, "falls": len(run.alarms)} | found(run.sample(SAMPLES, rng=1), row["seed"])


def collapse(row: Row, steps: int = 1_000) -> Row:
    """The ring, by games: even rates, or a fast generator and no average."""
    data = ring(4_000, row["seed"])
    settings = {"n_critic": 1} | GAMES[row["method"]] | SPEEDS[row["case"]]
    run = trained(data, steps, row["seed"], check_every=steps // 10, **settings)
    points, last = run.sample(SAMPLES, rng=1), run.history[-1]
    told = {
        name: getattr(last, name)
        for name in ("precision", "recall", "coverage", "density", "vendi", "spread", "duplicates")
    }
    return (
        {"steps": steps, "real_duplicates": last.real_duplicates, **told}
        | found(points, row["seed"])
        | {
            "alarms": sorted({alarm.name for alarm in run.alarms}),
            "points": points[:250].round(3).tolist(),
        }
    )


def synthetic(row: Row) -> Row:
    """Accuracy on real held-out rows of a classifier that was trained on real or on generated rows.

    One generator a class, as many rows as real ones; beside it a Gaussian a class, with shrunk covariance.
    """
    values, labels = (load_digits if row["data"] == "digits" else load_wine)(return_X_y=True)
    x, held, y, held_labels = train_test_split(
        values, labels, test_size=0.3, random_state=row["seed"], stratify=labels
    )
    settings = TRAINERS[row["method"]] | {"width": 64, "check_points": 16}
    scale = "columns" if row["data"] == "wine" else "common"
    gaussian, fakes = [], []
    rng = np.random.default_rng(row["seed"])
    for label in np.unique(y):
        own = x[y == label]
        run = trained(own, 800, row["seed"], scale=scale, **settings)
        fakes.append(run.sample(len(own), rng=1))
        fitted = LedoitWolf().fit((own - own.mean(0)) / x.std(0).clip(1e-9))
        noise = rng.multivariate_normal(np.zeros(own.shape[1]), fitted.covariance_, size=len(own))
        gaussian.append(own.mean(0) + noise * x.std(0).clip(1e-9))
    order = np.concatenate([y[y == label] for label in np.unique(y)])
    made, plain = np.concatenate(fakes), np.concatenate(gaussian)
    sets = {
        "real": (x, y),
        "generated": (made, order),
        "gaussian": (plain, order),
        "both": (np.concatenate([x, made]), np.concatenate([y, order])),
    }
    told: Row = {name: accuracy(*pair, held, held_labels) for name, pair in sets.items()}
    told |= {"n": len(x), "held": len(held)}
    if row["data"] == "digits":
        told["images"] = [part[:3].round(1).tolist() for part in fakes]
    return told


def accuracy(x: Points, y: Any, held: Points, labels: Any) -> float:
    """Share of held-out rows that support vectors get right."""
    model = make_pipeline(StandardScaler(), SVC()).fit(x, y)
    return float(model.score(held, labels))
