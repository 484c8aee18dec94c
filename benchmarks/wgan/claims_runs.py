"""Whole runs: which settings arrive and lose modes, what can be trained on their points; words and days."""

import re
from importlib.metadata import distribution
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_digits, load_wine
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import nn

import otdist
from benchmarks.wgan.claims_curves import NETWORKS, ONCE, TWO, WIDE_RING, draw_ring, shorten
from benchmarks.wgan.claims_parts import part
from benchmarks.wgan.laws import CLASSIC
from benchmarks.wgan.rows import cross
from otdist.learn import fit_wgan
from otdist.learn.wgan.real import RealData

METHODS = {
    "orthogonal": {},
    "gp": {"constraint": "gp", "penalty": 10.0},  # the weight of Gulrajani et al. 2017
    "gp light": {"constraint": "gp", "penalty": 1.0},
    "gan": CLASSIC,
}
RATES = (1e-3, 4e-3, 1.6e-2)  # of the generator
SPEEDS = [{"speed": s, "n_critic": k} for s, k in ((0.25, 1), (1.0, 1), (4.0, 1), (1.0, 4))]
GAMES = {
    "saturating": {"objective": "saturating", "constraint": "none"},
    "gan": CLASSIC,
    "gan packing 4": CLASSIC | {"packing": 4},
    "w1": {},
}
CASES = {
    "1 critic step": {"learning_rate": 8e-3, "critic_rate": 8e-3, "n_critic": 1},
    "4 critic steps": {"learning_rate": 8e-3, "critic_rate": 8e-3, "n_critic": 4},
    # The average would hide a generator that goes from mode to mode.
    "fast generator": {"learning_rate": 1.6e-2, "critic_rate": 1e-3, "n_critic": 1, "average": 0.01},
}
EVEN = {"n_critic": 3, "learning_rate": 2e-3, "critic_rate": 2e-3}
TRAINERS = {"w1": EVEN, "gp": EVEN | METHODS["gp light"], "gan": EVEN | CLASSIC | {"n_critic": 1}}
SYNTHETIC = {"w1": ({}, 500)}  # settings and rounds: the defaults, and small networks with other critics
SYNTHETIC |= {name: (TRAINERS[name] | {"width": 64, "check_points": 16}, 800) for name in ("gp", "gan")}
WATCHED = ("precision", "recall", "coverage", "density", "vendi", "duplicates", "spread", "estimate")
KINDS = ("generated", "letters", "chain", "gaussian", "noise", "real")  # of words and days
NEAR = 0.1  # W1 above the floor below which a run on the ring has arrived; its radius is 1
SAMPLES = 1_000
LETTERS = " abcdefghijklmnopqrstuvwxyz"
PLACES = 8


def train(data, steps, seed, **settings):
    """A run with small networks and a check at its end."""
    chosen = NETWORKS | {"check_every": steps} | settings
    run = fit_wgan(data, steps=steps, seed=seed, stop=False, device="cpu", **chosen)
    if run.diverged:
        raise FloatingPointError(run.message)
    return run


def judge(points, seed):
    """Modes with a quarter of their share of points near them, share of such points, W1 to fresh ones.

    "touched" counts modes that have a quarter of their share of points nearer than to any other mode, however
    far: fewer than eight are a collapse, where few modes at low quality are points that are badly placed.
    """
    nearest, near = WIDE_RING.judge(points)
    modes, touched = (sum(np.bincount(kind) >= 0.25 / 8 * len(points)) for kind in (nearest[near], nearest))
    one, other = draw_ring(2 * SAMPLES, 1_000 + seed).reshape(2, SAMPLES, 2)
    told = {"modes": int(modes), "touched": int(touched), "quality": float(near.mean())}
    return told | {"w1": float(otdist.w1(points[:SAMPLES], one)), "floor": float(otdist.w1(other, one))}


def judge_ring(row):
    """W1 above the floor, and whether a run found all modes and came near their law; the last check."""
    above = row["w1"] - row["floor"]
    last = {name: curve[-1] for name, curve in row.get("curves", {}).items()}
    return [row | last | {"above": above, "arrived": str(row["modes"] == 8 and above < NEAR)}]


@part(
    [row | speed for row in cross(method=METHODS, rate=RATES, seed=ONCE) for speed in SPEEDS],
    "method | rate | critic's over it | critic steps | modes | touched | W1 above the floor | arrived",
    ("method", "rate", "speed", "n_critic"),
    "{modes} | {touched} | {above:.3g} | {arrived}",
    judge_ring,
)
def sweep(row, steps=1_000):
    """Ring, 1,000 rounds."""
    settings = METHODS[row["method"]] | {"learning_rate": row["rate"], "n_critic": row["n_critic"]}
    critic_rate = row["speed"] * row["rate"]
    run = train(draw_ring(4_000, row["seed"]), steps, row["seed"], critic_rate=critic_rate, **settings)
    return {"steps": steps} | judge(run.sample(SAMPLES, rng=1), row["seed"])


@part(
    cross(seed=range(3), case=CASES, method=GAMES),
    "speeds | game | modes | touched | precision | recall | coverage | Vendi | duplicates"
    " | W1 above the floor | alarms",
    ("case", "method"),
    "{modes} | {touched} | {precision:.2f} | {recall:.2f} | {coverage:.2f} | {vendi:.2f}"
    " | {duplicates:.2f} | {above:.2f} | {alarms}",
    judge_ring,
)
def collapse(row, steps=1_000, checks=10):
    """Ring, 1,000 rounds."""
    settings = {"check_every": steps // checks} | GAMES[row["method"]] | CASES[row["case"]]
    run = train(draw_ring(4_000, row["seed"]), steps, row["seed"], **settings)
    points = run.sample(SAMPLES, rng=1, state="last")  # the best check would hide a late collapse
    return {
        **{"steps": steps, "real_duplicates": run.history[-1].real_duplicates, **judge(points, row["seed"])},
        "checks": [check.step for check in run.history],
        "curves": {name: shorten([getattr(check, name) for check in run.history]) for name in WATCHED},
        "alarms": [[alarm.step, alarm.name] for alarm in run.alarms],
        "points": points[:250].round(3).tolist(),
    }


@part(
    cross(data=("wine", "digits"), method=SYNTHETIC, seed=ONCE),
    "data | method | real | generated | Gaussian | real and generated",
    ("data", "method"),
    "{real:.1%} | {generated:.1%} | {gaussian:.1%} | {both:.1%}",
)
def synthetic(row):
    """Accuracy on real rows, trained on.

    One generator a class, as many rows as real ones: W1 with the default settings, the others with small
    networks; beside it a Gaussian a class, with shrunk covariance.
    """
    values, labels = (load_digits if row["data"] == "digits" else load_wine)(return_X_y=True)
    split = {"test_size": 0.3, "random_state": row["seed"], "stratify": labels}
    x, held, y, held_labels = train_test_split(values, labels, **split)
    chosen, steps = SYNTHETIC[row["method"]]
    settings = (NETWORKS | {"check_every": steps, "stop": False} if chosen else {}) | chosen
    settings |= {"scale": "columns" if row["data"] == "wine" else "common"}
    gaussian, fakes, spread = [], [], x.std(0).clip(1e-9)
    rng = np.random.default_rng(row["seed"])
    for own in (x[y == label] for label in np.unique(y)):
        trained = fit_wgan(own, steps=steps, seed=row["seed"], device="cpu", **settings)
        fakes.append(trained.sample(len(own), rng=1))
        covariance = LedoitWolf().fit((own - own.mean(0)) / spread).covariance_
        noise = rng.multivariate_normal(np.zeros(own.shape[1]), covariance, size=len(own))
        gaussian.append(own.mean(0) + noise * spread)
    made, order = np.concatenate(fakes), np.sort(y)
    sets = {"real": (x, y), "generated": (made, order), "gaussian": (np.concatenate(gaussian), order)}
    sets["both"] = np.concatenate([x, made]), np.concatenate([y, order])
    models = {name: make_pipeline(StandardScaler(), SVC()).fit(*pair) for name, pair in sets.items()}
    told = {name: float(model.score(held, held_labels)) for name, model in models.items()}
    images = {"images": [own[:3].round(1).tolist() for own in fakes]} if row["data"] == "digits" else {}
    return told | {"steps": steps, "n": len(x), "held": len(held)} | images


def split_kinds(row):
    return [row | {"kind": kind} | row[kind] for kind in KINDS if kind in row]


def list_vocabulary():
    """Words of two to eight letters in the pages of the documentation, as often as they come."""
    pages = sorted((Path(__file__).parents[2] / "docs").glob("*.md"))
    text = " ".join(page.read_text() for page in pages).lower()
    return re.findall(r"(?<![\w/.`_{-])[a-z]{2,8}(?![\w/`_}-])", text)


def encode(words):
    """One-hot letters (n, 8, 27), blanks behind."""
    codes = [[LETTERS.index(letter) for letter in word.ljust(PLACES)] for word in words]
    return np.eye(len(LETTERS))[np.array(codes)]


def decode(codes):
    """Words from numbers (n, 8, 27): the largest at each place."""
    return ["".join(LETTERS[k] for k in word).rstrip() for word in codes.argmax(-1)]


class Speller(nn.Module):
    """From latent numbers to chances of letters, on the scale of the networks.

    Chances go to the critic as they are (Gulrajani et al. 2017, section 5.5): no letter is ever drawn.
    """

    def __init__(self, latent, width, scale, seed):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers = [nn.Linear(latent, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
            layers += [nn.Linear(width, PLACES * len(LETTERS)), nn.Unflatten(1, (PLACES, len(LETTERS)))]
        self.layers = nn.Sequential(*layers, nn.Softmax(-1))
        self.register_buffer("centre", torch.from_numpy(scale.centre).float())
        self.register_buffer("unit", torch.from_numpy(scale.unit).float())

    def forward(self, z):
        """Chances (n, 216) for latent numbers (n, latent)."""
        return (self.layers(z).flatten(1) - self.centre) / self.unit


@part(
    cross(method=TWO, seed=ONCE),
    "method | seed | source | words | pairs of letters | different | different real words",
    ("method", "seed", "kind"),
    "{words:.1%} | {pairs:.1%} | {distinct:.1%} | {distinct_real}",
    split_kinds,
)
def words(row, steps=1_000, n=1_000):
    """Words that are real."""
    known, rng = list_vocabulary(), np.random.default_rng(row["seed"])
    data = encode([known[k] for k in rng.integers(len(known), size=4_000)])
    scale = RealData.of(data, held_out=0.2, scale="auto", seed=row["seed"]).scale
    settings = {"generator": Speller(32, 128, scale, row["seed"]), "width": 128, "latent": 32}
    run = train(data, steps, row["seed"], check_points=200, **settings, **TRAINERS[row["method"]])
    chances = run.sample(n, rng=1)
    fakes = decode(chances)
    sets = {"generated": fakes, "real": [known[k] for k in rng.integers(len(known), size=n)]}
    # What needs no network: letters place by place, each with its own frequency; a Markov chain.
    sets["letters"] = decode(data[rng.integers(len(data), size=(n, PLACES)), np.arange(PLACES)])
    sets["chain"] = draw_chain(known, n, rng)
    told = {"steps": steps, "words": len(set(known))}
    told |= {name: judge_words(made, known) for name, made in sets.items()}
    return told | {"certain": float(chances.max(-1).mean()), "w1": vars(run.w1), "examples": fakes[:60]}


def list_pairs(words):
    """Letters that follow each other, with a blank at either end of a word."""
    return [pair for word in words for pair in pairwise(f" {word} ")]


def judge_words(made, known):
    """Shares that are real, and how many different words there are."""
    real, different, spoken, pairs = set(known), set(made), list_pairs(made), set(list_pairs(known))
    return {
        "words": sum(word in real for word in made) / len(made),
        "pairs": sum(pair in pairs for pair in spoken) / len(spoken),
        "distinct": len(different) / len(made),
        "distinct_real": len(different & real),
        "letters": float(np.mean([len(word) for word in made])),
    }


def draw_chain(known, n, rng):
    """Words from a Markov chain of letters, at most eight long."""
    after, made = {}, []
    for one, other in list_pairs(known):
        after.setdefault(one, []).append(other)
    for _ in range(n):
        word = " "
        while len(word) <= PLACES and (word == " " or word[-1] != " "):
            word += after[word[-1]][rng.integers(len(after[word[-1]]))]
        made.append(word.strip())
    return made


def read_power():
    """1,096 days of electric power in Italy, 24 hours each, every day with mean 0 and spread 1."""
    folder, days = distribution("aeon").locate_file("aeon/datasets/data/ItalyPowerDemand"), []
    for share in ("TRAIN", "TEST"):
        lines = (folder / f"ItalyPowerDemand_{share}.ts").read_text().partition("@data")[2].split()
        days += [[float(hour) for hour in line.split(":")[0].split(",")] for line in lines]
    return np.array(days)


@part(
    cross(method=TWO, seed=ONCE),
    "method | seed | source | W1 | DTW",
    ("method", "seed", "kind"),
    "{w1:.3f} | {dtw:.3f}",
    split_kinds,
)
def series(row, steps=800):
    """Days of power, against days kept aside."""
    days, rng = read_power(), np.random.default_rng(row["seed"])
    days = days[np.random.default_rng(row["seed"]).permutation(len(days))]
    given, held, beside = days[:596], days[596:846], days[846:]
    run = train(given, steps, row["seed"], width=64, **TRAINERS[row["method"]])
    gaussian = rng.multivariate_normal(given.mean(0), np.cov(given.T), size=len(held))
    sets = {"generated": run.sample(len(held), rng=1), "gaussian": gaussian, "real": beside}
    sets["noise"] = given.mean(0) + given.std(0) * rng.standard_normal(held.shape)
    told = {"steps": steps, "n": len(held)}
    for name, points in sets.items():
        dtw = float(otdist.emd(measure_warping(points, held)))
        told[name] = {"w1": float(otdist.w1(points, held)), "dtw": dtw}
    shown = {"days": sets["generated"][:12], "real_days": held[:12]}
    return told | {name: [shorten(day.tolist()) for day in some] for name, some in shown.items()}


def measure_warping(x, y):
    """Dynamic time warping between all rows, absolute differences."""
    best = np.full((x.shape[1] + 1, y.shape[1] + 1, len(x), len(y)), np.inf)
    best[0, 0] = 0.0
    for i, j in np.ndindex(x.shape[1], y.shape[1]):
        before = np.minimum(best[i, j], np.minimum(best[i, j + 1], best[i + 1, j]))
        best[i + 1, j + 1] = before + np.abs(x[:, None, i] - y[None, :, j])
    return best[-1, -1]
