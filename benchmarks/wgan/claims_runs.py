"""Whole runs: which settings arrive and lose modes, what can be trained on their points; words and days."""

from __future__ import annotations

import re
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_digits, load_wine
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import Tensor, nn

import otdist
from benchmarks.wgan.claims_curves import NETWORKS, WIDE_RING, draw_ring, shorten
from benchmarks.wgan.laws import CLASSIC, Points
from benchmarks.wgan.rows import Row
from otdist.errors import InputError
from otdist.learn import WGAN, fit_wgan
from otdist.learn.wgan.real import RealData

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
LETTERS = " abcdefghijklmnopqrstuvwxyz"
PLACES = 8
ITALY = "datasets/data/ItalyPowerDemand/ItalyPowerDemand_{}.ts"


def train(data: Points, steps: int, seed: int, **settings: Any) -> WGAN:
    """A run with small networks and a check at its end."""
    chosen = NETWORKS | {"check_every": steps} | settings
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
    return {
        **{"steps": steps, "real_duplicates": run.history[-1].real_duplicates, **judge(points, row["seed"])},
        "checks": [check.step for check in run.history],
        "curves": {name: shorten([getattr(check, name) for check in run.history]) for name in WATCHED},
        "alarms": [[alarm.step, alarm.name] for alarm in run.alarms],
        "points": points[:250].round(3).tolist(),
    }


def measure_synthetic(row: Row, steps: int = 800) -> Row:
    """Accuracy on real held-out rows of a classifier that was trained on real or on generated rows.

    One generator a class, as many rows as real ones; beside it a Gaussian a class, with shrunk covariance.
    """
    values, labels = (load_digits if row["data"] == "digits" else load_wine)(return_X_y=True)
    split = {"test_size": 0.3, "random_state": row["seed"], "stratify": labels}
    x, held, y, held_labels = train_test_split(values, labels, **split)
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
    sets = {"real": (x, y), "generated": (made, order), "gaussian": (plain, order)}
    sets["both"] = np.concatenate([x, made]), np.concatenate([y, order])
    models = {name: make_pipeline(StandardScaler(), SVC()).fit(*pair) for name, pair in sets.items()}
    told: Row = {name: float(model.score(held, held_labels)) for name, model in models.items()}
    told |= {"n": len(x), "held": len(held)}
    if row["data"] == "digits":
        told["images"] = [part[:3].round(1).tolist() for part in fakes]
    return told


def list_vocabulary() -> list[str]:
    """Words of two to eight letters in the pages of the documentation, as often as they come."""
    pages = sorted((Path(__file__).parents[2] / "docs").glob("*.md"))
    text = " ".join(page.read_text() for page in pages).lower()
    return re.findall(r"(?<![\w/.`_{-])[a-z]{2,8}(?![\w/`_}-])", text)


def encode(words: list[str]) -> Points:
    """One-hot letters (n, 8, 27), blanks behind."""
    codes = [[LETTERS.index(letter) for letter in word.ljust(PLACES)] for word in words]
    return np.eye(len(LETTERS))[np.array(codes)]


def decode(codes: Points) -> list[str]:
    """Words from numbers (n, 8, 27): the largest at each place."""
    return ["".join(LETTERS[k] for k in word).rstrip() for word in codes.argmax(-1)]


class Speller(nn.Module):
    """From latent numbers to chances of letters, on the scale of the networks.

    Chances go to the critic as they are (Gulrajani et al. 2017, section 5.5): no letter is ever drawn.
    """

    def __init__(self, latent: int, width: int, real: RealData, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers = [nn.Linear(latent, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
            layers += [nn.Linear(width, PLACES * len(LETTERS)), nn.Unflatten(1, (PLACES, len(LETTERS)))]
        self.layers = nn.Sequential(*layers, nn.Softmax(-1))
        self.register_buffer("centre", torch.from_numpy(real.scale.centre).float())
        self.register_buffer("unit", torch.from_numpy(real.scale.unit).float())

    def forward(self, z: Tensor) -> Tensor:
        """Chances (n, 216) for latent numbers (n, latent)."""
        return (self.layers(z).flatten(1) - self.centre) / self.unit


def measure_words(row: Row, steps: int = 1_000, n: int = 1_000) -> Row:
    """Share of generated words, pairs of letters and word lengths that are real."""
    known = list_vocabulary()
    rng = np.random.default_rng(row["seed"])
    data = encode([known[k] for k in rng.integers(len(known), size=4_000)])
    real = RealData.of(data, held_out=0.2, scale="auto", seed=row["seed"])
    speller = Speller(32, 128, real, row["seed"])
    settings: Row = {"generator": speller, "check_points": 200, "width": 128, "latent": 32}
    run = train(data, steps, row["seed"], **settings, **TRAINERS[row["method"]])
    chances = run.sample(n, rng=1)
    fakes = decode(chances)
    sets = {"generated": fakes, "real": [known[k] for k in rng.integers(len(known), size=n)]}
    # What needs no network: letters place by place, each with its own frequency; a Markov chain.
    sets["letters"] = decode(data[rng.integers(len(data), size=(n, PLACES)), np.arange(PLACES)])
    sets["chain"] = draw_chain(known, n, rng)
    told: Row = {"steps": steps, "words": len(set(known))}
    told |= {name: judge_words(made, known) for name, made in sets.items()}
    return told | {"certain": float(chances.max(-1).mean()), "w1": vars(run.w1), "examples": fakes[:60]}


def judge_words(made: list[str], known: list[str]) -> Row:
    """Shares that are real, and how many different words there are."""
    real, different = set(known), set(made)
    pairs = {pair for word in real for pair in pairwise(f" {word} ")}
    spoken = [pair for word in made for pair in pairwise(f" {word} ")]
    return {
        "words": sum(word in real for word in made) / len(made),
        "pairs": sum(pair in pairs for pair in spoken) / len(spoken),
        "distinct": len(different) / len(made),
        "distinct_real": len(different & real),
        "letters": float(np.mean([len(word) for word in made])),
    }


def draw_chain(known: list[str], n: int, rng: np.random.Generator) -> list[str]:
    """Words from a Markov chain of letters, at most eight long."""
    after: dict[str, list[str]] = {}
    for word in known:
        for one, other in pairwise(f" {word} "):
            after.setdefault(one, []).append(other)
    made = []
    for _ in range(n):
        word = " "
        while len(word) <= PLACES and (word == " " or word[-1] != " "):
            word += after[word[-1]][rng.integers(len(after[word[-1]]))]
        made.append(word.strip())
    return made


def read_power() -> Points:
    """1,096 days of electric power in Italy, 24 hours each, every day with mean 0 and spread 1."""
    found = find_spec("aeon")
    if found is None or found.origin is None:
        raise InputError("series", "needs data of aeon's wheel", "pip install --no-deps aeon")
    folder, days = Path(found.origin).parent, []
    for part in ("TRAIN", "TEST"):
        text = (folder / ITALY.format(part)).read_text()
        lines = text[text.index("@data") :].splitlines()[1:]
        days += [[float(hour) for hour in line.split(":")[0].split(",")] for line in lines if line]
    return np.array(days)


def measure_series(row: Row, steps: int = 800) -> Row:
    """Days of power: W1 by the Euclidean distance and transport with DTW, against days kept aside."""
    days = read_power()
    days = days[np.random.default_rng(row["seed"]).permutation(len(days))]
    given, held, beside = days[:596], days[596:846], days[846:]
    run = train(given, steps, row["seed"], width=64, **TRAINERS[row["method"]])
    rng = np.random.default_rng(row["seed"])
    gaussian = rng.multivariate_normal(given.mean(0), np.cov(given.T), size=len(held))
    sets = {"generated": run.sample(len(held), rng=1), "gaussian": gaussian, "real": beside}
    sets["noise"] = given.mean(0) + given.std(0) * rng.standard_normal(held.shape)
    told: Row = {"steps": steps, "n": len(held)}
    for name, points in sets.items():
        dtw = float(otdist.emd(measure_warping(points, held)))
        told[name] = {"w1": float(otdist.w1(points, held)), "dtw": dtw}
    told["days"] = [shorten(list(day)) for day in sets["generated"][:12]]
    return told | {"real_days": [shorten(list(day)) for day in held[:12]]}


def measure_warping(x: Points, y: Points) -> Any:
    """Dynamic time warping between all rows, absolute differences."""
    best = np.full((x.shape[1] + 1, y.shape[1] + 1, len(x), len(y)), np.inf)
    best[0, 0] = 0.0
    for i in range(x.shape[1]):
        for j in range(y.shape[1]):
            before = np.minimum(best[i, j], np.minimum(best[i, j + 1], best[i + 1, j]))
            best[i + 1, j + 1] = before + np.abs(x[:, None, i] - y[None, :, j])
    return best[-1, -1]
