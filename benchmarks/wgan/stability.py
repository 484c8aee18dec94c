"""Stability: does training stay near the data, and do alarms name the cause if it does not.

Three classes of digits (64 columns), each with the defaults, with a narrow generator and critic at the
default rates, with rates at which such a critic is too slow ("one rate"), and with ``n_critic="auto"`` at
these; wines (13 columns and 3 of labels) and housing (8 and 2) with the defaults. W1 is measured apart from
the run: exact transport between generated points and rows that no step has seen, over the same for training
rows; 1 is perfect. "last" is the generator of the last step, "best" the one that ``sample`` uses. Processor
time, one core; run with ``python -m benchmarks.wgan.stability``; housing needs data in nannyml's wheel
(``pip install --no-deps nannyml``).
"""

import csv
from importlib.metadata import distribution, version

import numpy as np
from sklearn.datasets import load_digits, load_wine

import otdist
from benchmarks.wgan.rows import Study, cross, format_rows, grid, is_ok, run
from otdist.learn import fit_wgan

CLASSES = {"digits 2": 2, "digits 7": 7, "digits 8": 8}
DATA = (*CLASSES, "wine", "housing")
ONE_RATE = {"width": 64, "batch_size": 64, "latent": 8, "average": 0.99, "check_points": 16}
ONE_RATE |= {"learning_rate": 2e-3, "critic_rate": 2e-3, "n_critic": 3}
SETTINGS = {
    "defaults": {},
    "width 64": {"width": 64},
    "one rate": ONE_RATE,
    "one rate, auto": ONE_RATE | {"n_critic": "auto"},
}
STEPS = {"defaults": 600, "width 64": 1_600, "one rate": 800, "one rate, auto": 800}  # 6 to 9 s for digits
CHECKS = 10
HELD_OUT = 0.3
MAX_ROWS = 500  # of each side of a distance
DRAWS = 4  # samples of generated points, and of training rows
KEYS = ("data", "setting", "seed")
# Wines and housing have few columns for the default width, so that one rate is their default.
ROWS = [
    row
    for row in cross(data=DATA, setting=SETTINGS, seed=(0, 1))
    if row["data"] in CLASSES or row["setting"] == "defaults"
]


def read_rows(name):
    """Rows of a data set, with columns of unit spread but for pixels."""
    if name in CLASSES:
        values, labels = load_digits(return_X_y=True)
        return values[labels == CLASSES[name]]
    if name == "wine":
        values, labels = load_wine(return_X_y=True)
        return np.c_[(values - values.mean(0)) / values.std(0), np.eye(3)[labels]]
    return read_housing()


def read_housing():
    """5,832 districts of California: eight columns, skew ones as logarithms, and labels of two classes."""
    path = distribution("nannyml").locate_file("nannyml/datasets/data/california_housing_reference.csv")
    with open(path, newline="") as file:
        rows = [list(row.values()) for row in csv.DictReader(file)]
    values, labels = np.array([row[1:9] for row in rows], float), np.array([int(row[10]) for row in rows])
    values[:, 2:6] = np.log(values[:, 2:6])
    return np.c_[(values - values.mean(0)) / values.std(0), 2.0 * np.eye(2)[labels]]


def split(values, seed):
    """Rows to train on, and rows kept aside."""
    order = np.random.default_rng(seed).permutation(len(values))
    kept = round(HELD_OUT * len(values))
    return values[order[kept:]], values[order[:kept]]


def measure(row):
    """W1 over the floor of the best and of the last generator, with the alarms of the run."""
    train, held = split(read_rows(row["data"]), row["seed"])
    steps = STEPS[row["setting"]] if row["data"] in CLASSES else 3_000
    options = {"check_every": steps // CHECKS, "stop": False, "device": "cpu"}
    trained = fit_wgan(train, steps=steps, seed=row["seed"], **options, **SETTINGS[row["setting"]])
    rng, n = np.random.default_rng(1), min(len(held), len(train), MAX_ROWS)

    def measure_w1(points):
        return float(np.mean([float(otdist.w1(some, held[:n])) for some in points]))

    floor = measure_w1([train[rng.choice(len(train), n, replace=False)] for _ in range(DRAWS)])
    drawn = {
        state: trained.sample(DRAWS * n, rng=1, state=state).reshape(DRAWS, n, -1)
        for state in ("best", "last")
    }
    return {
        "floor": floor,
        **{state: measure_w1(points) / floor for state, points in drawn.items()},
        "best_step": trained.best.step,
        "steps": trained.steps,
        "mean_error": float(np.linalg.norm(drawn["best"].mean((0, 1)) - held.mean(0))),
        "n_critic": [check.n_critic for check in trained.history],
        "alarms": [[alarm.step, alarm.name] for alarm in trained.alarms if alarm.name != "data"],
        "debiased": [[check.debiased, check.debiased_error] for check in trained.history],
        "versions": {name: version(name) for name in ("torch", "numpy", "scipy", "scikit-learn")},
    }


def group(rows):
    """A row for every data set and setting: means, worst seeds, and the runs with each alarm."""
    grouped = []
    for key in cross(data=DATA, setting=SETTINGS):
        own = [row for row in rows if is_ok(row) and all(row[k] == v for k, v in key.items())]
        if not own:
            continue
        names = sorted({name for row in own for _, name in row["alarms"]})
        counts = {name: sum(name in {other for _, other in row["alarms"]} for row in own) for name in names}
        told = {"alarms": ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"}
        for state in ("best", "last"):
            values = [row[state] for row in own]
            told |= {state: np.mean(values), f"{state}_worst": max(values)}
        grouped.append(key | told | {"runs": len(own), "cpu": np.mean([row["row_seconds"] for row in own])})
    return grouped


def table(rows):
    """W1 over the floor by data and setting, with the worst seed in brackets."""
    head = "data, setting | runs | W1 over floor | of the last step | alarms (runs) | s"
    line = "{name} | {runs} | {best:.2f} [{best_worst:.2f}] | {last:.2f} [{last_worst:.2f}]"
    line += " | {alarms} | {cpu:.0f}"
    return grid(head, format_rows(line, group(rows), KEYS[:2]), "lrrrlr")


if __name__ == "__main__":
    run(Study("wgan_stability", KEYS, ROWS, measure, table))
