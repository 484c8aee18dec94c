"""Generators of words and of series."""

from __future__ import annotations

import re
from collections import Counter
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import otdist
from benchmarks.wgan.claims_curves import shorten
from benchmarks.wgan.claims_runs import TRAINERS, train
from benchmarks.wgan.laws import Points
from benchmarks.wgan.rows import Row
from otdist.errors import InputError
from otdist.learn.wgan.real import RealData

LETTERS = " abcdefghijklmnopqrstuvwxyz"
PLACES = 8
ITALY = "datasets/data/ItalyPowerDemand/ItalyPowerDemand_{}.ts"


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
            self.layers = nn.Sequential(
                nn.Linear(latent, width),
                nn.ReLU(),
                nn.Linear(width, width),
                nn.ReLU(),
                nn.Linear(width, PLACES * len(LETTERS)),
                nn.Unflatten(1, (PLACES, len(LETTERS))),
                nn.Softmax(-1),
            )
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
    sets["letters"] = decode(draw_letters(data, n, rng))
    sets["chain"] = draw_chain(known, n, rng)
    told: Row = {"steps": steps, "words": len(set(known))}
    told |= {name: judge(made, known) for name, made in sets.items()}
    return told | {"certain": float(chances.max(-1).mean()), "w1": vars(run.w1), "examples": fakes[:60]}


def judge(made: list[str], known: list[str]) -> Row:
    """Shares that are real, and how many different words there are."""
    list_of, counts = set(known), Counter(made)
    pairs = {pair for word in known for pair in pairwise(f" {word} ")}
    spoken = [pair for word in made for pair in pairwise(f" {word} ")]
    return {
        "words": sum(word in list_of for word in made) / len(made),
        "pairs": sum(pair in pairs for pair in spoken) / len(spoken),
        "distinct": len(counts) / len(made),
        "distinct_real": len(set(made) & list_of),
        "letters": float(np.mean([len(word) for word in made])),
    }


def draw_letters(data: Points, n: int, rng: np.random.Generator) -> Points:
    """Letters drawn place by place, each with its own frequency: what needs no network."""
    picks = data[rng.integers(len(data), size=(n, PLACES)), np.arange(PLACES)]
    return np.asarray(picks)


def draw_chain(known: list[str], n: int, rng: np.random.Generator) -> list[str]:
    """Words from a Markov chain of letters, at most eight long: what needs no network either."""
    after: dict[str, list[str]] = {}
    for word in known:
        for one, other in pairwise(f" {word} "):
            after.setdefault(one, []).append(other)
    made = []
    for _ in range(n):
        word, last = "", " "
        while len(word) < PLACES:
            last = after[last][rng.integers(len(after[last]))]
            if last == " ":
                break
            word += last
        made.append(word)
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
