"""What do generators of tables give for the same seconds? Real tables, a third of the rows held out.

TSTR: the accuracy on held-out rows of a classifier trained on generated ones (boosting, and an SVC).
W1 over floor: W1 between generated and held-out rows, over that between training and held-out rows, of
equal numbers of rows; labels are one-hot codes with distance 1, numbers are divided by their spread.
Impossible cells: labels that do not occur in the data, numbers that are not whole where all real ones are.
New pairs: rows with a pair of labels that no real row has. Recall: of ``otdist.learn.precision_recall``.

The tables "housing" and "employment" are those of the wheel of nannyml, which is not imported:
``pip install nannyml --no-deps``. Peers: ``pip install ctgan imbalanced-learn``. Networks have the same
seconds of one core; the time of a step or an epoch is measured first. Run with
``python -m benchmarks.wgan.real_tables``.
"""

import time
from importlib import metadata
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import otdist
from benchmarks.wgan.rows import Study, cross, format_rows, grid, run
from otdist.learn import fit_wgan, precision_recall

SECONDS = {"housing": 25.0, "employment": 22.0, "penguins": 15.0, "digits": 40.0}
TARGETS = {"housing": "clf_target", "employment": "employed", "penguins": "species", "digits": "digit"}
METHODS = ("real rows", "otdist", "otdist y", "TVAE", "CTGAN", "SMOTE")
MAX_ROWS = {"employment": 5_000}  # as of a usual survey
POINTS = 1_000  # rows a side of an exact W1
KEYS = ("data", "method", "seed")
ROWS = cross(seed=(0, 1, 2), data=tuple(SECONDS), method=METHODS)
PACKAGES = ("otdist", "torch", "numpy", "pandas", "scikit-learn", "ctgan", "imbalanced-learn")
PROBES = (50, 200)  # steps of the runs by which a step is timed
PAC = 10  # rows that ctgan packs; batches are multiples of it


def read_data(name):
    """A table with its target."""
    if name == "digits":
        x, y = load_digits(return_X_y=True)
        table = pd.DataFrame(x, columns=[f"p{k}" for k in range(x.shape[1])])
        return table.assign(digit=y.astype(str))
    if name == "penguins":
        table = pd.read_csv(Path(otdist.__file__).parent / "data" / "penguins.csv")
        return table.assign(year=table["year"].astype(str))
    spec = find_spec("nannyml")
    if spec is None:
        raise SystemExit("needs: pip install nannyml --no-deps")
    folder = Path(spec.origin).parent / "datasets" / "data"
    if name == "housing":
        table = pd.read_csv(folder / "california_housing_reference.csv")
        table = table.drop(columns=["id", "timestamp", "y_pred_proba", "y_pred"])
    else:
        table = pd.read_parquet(folder / "employment_MA_reference.pq")
        table = table.drop(columns=["id", "year", "prediction", "predicted_probability"])
        table = table.sample(MAX_ROWS[name], random_state=0, ignore_index=True)
        labels = table.columns.drop("AGEP")
        table[labels] = table[labels].astype(str)
    return table.astype({TARGETS[name]: str})


def split(name, seed):
    table = read_data(name)
    target = table[TARGETS[name]]
    size = 540 if name == "digits" else 0.3
    train, test = train_test_split(table, test_size=size, random_state=seed, stratify=target)
    return train.reset_index(drop=True), test.reset_index(drop=True)


def generate(method, train, name, seed):
    """As many rows as the training rows."""
    target, seconds, n = TARGETS[name], SECONDS[name], len(train)
    if method == "real rows":
        return train
    if method.startswith("otdist"):
        features = train.drop(columns=target)
        # Pixels and coordinates of one unit keep it.
        data, y = (features.to_numpy(), train[target].to_numpy()) if name == "digits" else (train, target)
        if method == "otdist":
            return fit_for(seconds, train, None, seed).sample(n, rng=seed + 100)
        run = fit_for(seconds, data, y, seed)
        if name != "digits":
            return run.sample(n, rng=seed + 100)
        labels = run.sample_labels(n, rng=seed + 100)
        points = run.sample(n, y=labels, rng=seed + 100)
        return pd.DataFrame(points, columns=features.columns).assign(**{target: labels})
    if method == "SMOTE":
        return oversample(train.dropna().reset_index(drop=True), target, seed)
    return train_peer(method, train.dropna().reset_index(drop=True), seconds, n, seed)


def fit_for(seconds, data, y, seed):
    """A run of as many steps as fit into seconds of the processor, measured first."""
    options = {"y": y, "seed": seed, "device": "cpu", "stop": False}
    few, more = (
        measure_cpu(lambda k=k: fit_wgan(data, steps=k, check_every=1_000, **options)) for k in PROBES
    )
    step = (more - few) / (PROBES[1] - PROBES[0])
    return fit_wgan(data, steps=max(100, int(seconds / step)), **options)


def measure_cpu(function):
    start = time.process_time()
    function()
    return time.process_time() - start


def oversample(train, target, seed):
    """New rows of SMOTE, as many of each class as there are."""
    from imblearn.over_sampling import SMOTE, SMOTENC

    counts = train[target].value_counts()
    features = train.drop(columns=target)
    labels = list(features.select_dtypes(exclude="number"))
    goal = {label: 2 * count for label, count in counts.items()}
    options = {"sampling_strategy": goal, "random_state": seed}
    method = SMOTENC(categorical_features=labels, **options) if labels else SMOTE(**options)
    x, y = method.fit_resample(features, train[target])
    return x.assign(**{target: y}).iloc[len(train) :].reset_index(drop=True)[list(train)]


def train_peer(method, train, seconds, n, seed):
    """CTGAN or TVAE, for as many epochs as fit into the seconds."""
    import ctgan
    import torch

    labels = list(train.select_dtypes(exclude="number"))

    def fit(epochs):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002  it draws from numpy's global generator
        batch = min(500, len(train) // PAC * PAC)
        model = getattr(ctgan, method)(epochs=epochs, batch_size=batch, enable_gpu=False)
        return model, measure_cpu(lambda: model.fit(train, labels))

    fit(1)  # first calls take longer, and would make an epoch seem free
    once, more = fit(1)[1], fit(11)[1]
    epoch = (more - once) / 10 if more > once else more / 11
    model, _ = fit(max(1, int((seconds - (once - epoch)) / epoch)))
    return model.sample(n)


class Encoding:
    """Rows as points: numbers over their spread, and one-hot codes of labels with distance 1."""

    def __init__(self, table):
        self.numbers = list(table.select_dtypes("number"))
        self.labels = list(table.columns.drop(self.numbers))
        self.levels = {name: sorted(table[name].dropna().unique()) for name in self.labels}
        self.centre, self.spread = table[self.numbers].mean(), table[self.numbers].std() + 1e-12

    def points(self, table):
        """Rows as an array."""
        z = ((table[self.numbers].astype(float) - self.centre) / self.spread).fillna(0.0)
        gaps = [table[name].isna().to_numpy(float)[:, None] for name in self.numbers]
        codes = [
            (table[name].to_numpy(object)[:, None] == np.array(levels, object)) / np.sqrt(2)
            for name, levels in self.levels.items()
        ]
        return np.hstack([z.to_numpy(), *gaps, *codes])


def count_impossible(fake, real):
    """Share of cells that cannot be, and of rows with a pair of labels that no real row has."""
    labels = list(real.select_dtypes(exclude="number"))
    bad = 0
    for name in real:
        values, known = fake[name].dropna(), real[name].dropna()
        if name in labels:
            bad += (~values.isin(set(known))).sum()
        elif np.all(known == np.rint(known)):
            bad += (values != np.rint(values)).sum()
    zeros = np.zeros(len(fake), bool)
    for pair in combinations(labels, 2):
        known = set(map(tuple, real[list(pair)].astype(str).to_numpy()))
        zeros |= np.array([tuple(row) not in known for row in fake[list(pair)].astype(str).to_numpy()])
    return bad / fake.size, zeros.mean()


def score(classifier, encoding, fake, test, target):
    """Accuracy on held-out rows after training on generated ones."""
    x, y = encoding.points(fake.drop(columns=target)), fake[target].astype(str)
    if y.nunique() < 2:
        return float((test[target].astype(str) == y.iloc[0]).mean())
    model = classifier.fit(x, y)
    return float(model.score(encoding.points(test.drop(columns=target)), test[target].astype(str)))


def measure(row):
    """What one method gives for one table."""
    name, seed = row["data"], row["seed"]
    train, test = split(name, seed)
    target, real = TARGETS[name], pd.concat([train, test])
    start = time.process_time()
    try:
        fake = generate(row["method"], train, name, seed)
    except ImportError as error:
        raise SystemExit(f"needs {error.name}") from None
    seconds = time.process_time() - start
    features = Encoding(train.drop(columns=target))
    whole = Encoding(train)
    fakes, rows, held = (whole.points(table) for table in (fake, train, test))
    rng = np.random.default_rng(seed)
    m = min(POINTS, len(held), len(fakes))
    held = held[rng.permutation(len(held))[:m]]
    near, floor = (otdist.w1(z[rng.permutation(len(z))[:m]], held) for z in (fakes, rows))
    cells, zeros = count_impossible(fake, real)
    _, zeros_real = count_impossible(test, train)
    precision, recall = precision_recall(held, fakes[rng.permutation(len(fakes))[:m]])
    boosting = HistGradientBoostingClassifier(random_state=0)
    svc = make_pipeline(StandardScaler(), SVC()) if name != "digits" else SVC(C=10)
    return {
        "boosting": score(boosting, features, fake, test, target),
        "svc": score(svc, features, fake, test, target),
        "w1_over_floor": float(near) / float(floor),
        "impossible_cells": float(cells),
        "new_pairs": float(zeros),
        "new_pairs_of_real": float(zeros_real),
        "precision": float(precision),
        "recall": float(recall),
        "gaps": float(fake.isna().to_numpy().mean()),
        "gaps_real": float(train.isna().to_numpy().mean()),
        "cpu_seconds": round(seconds, 1),
        "rows": [len(train), len(test)],
        "versions": {package: read_version(package) for package in PACKAGES},
    }


def read_version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return otdist.__version__ if package == "otdist" else None


def table(rows):
    """A line for each row."""
    head = "row | boosting | SVC | W1 / floor | impossible cells | new pairs | recall | gaps | s"
    line = (
        "{name} | {boosting:.1%} | {svc:.1%} | {w1_over_floor:.2f} | {impossible_cells:.1%}"
        " | {new_pairs:.1%} (real {new_pairs_of_real:.1%}) | {recall:.2f} | {gaps:.2%} (real {gaps_real:.2%})"
        " | {cpu_seconds:.0f}"
    )
    return grid(head, format_rows(line, rows, KEYS), "lr")


if __name__ == "__main__":
    run(Study("wgan_real_tables", KEYS, ROWS, measure, table))
