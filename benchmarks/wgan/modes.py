"""Generators as ``fit_wgan`` trains them: modes found, points of high quality, and the distance to the law.

Mixtures on a ring and a grid, a swiss roll, digits, and three digits stacked (1,000 modes); beside each, real
data, and other objectives and constraints with the same networks and steps, and what the trainer has for
them of rates and critic steps. Run with ``python -m benchmarks.wgan.modes``.
"""

import time

import numpy as np

import otdist
from benchmarks.wgan.laws import METHODS, TASKS, classifier, draw_given, stream
from benchmarks.wgan.rows import Study, cross, grid, run
from otdist.learn import fit_wgan

MATCHED = 2_000  # points a side in the exact distance

# Modes, share of high quality in %, reverse KL, as printed by others, on their own data and networks.
PUBLISHED = {
    "ring": [
        "VEEGAN (Srivastava et al. 2017, table 1) |  | 8 | 52.9",
        "GAN (Lin et al. 2018, table 1) |  | 6.3 | 98.2 | 0.45",
        "PacGAN4 (Lin et al. 2018, table 1) |  | 7.8 | 95.9 | 0.07",
    ],
    "grid": [
        "VEEGAN (Srivastava et al. 2017, table 1) |  | 24.6 | 40",
        "GAN (Lin et al. 2018, table 1) |  | 17.3 | 94.8 | 0.70",
        "PacGAN4 (Lin et al. 2018, table 1) |  | 24.8 | 93.6 | 0.04",
    ],
    "stacked": [
        "VEEGAN, stacked MNIST (table 2) |  | 150 |  | 2.95",
        "WGAN-GP, stacked MNIST (Kumar et al. 2019) |  | 959 |  | 0.73",
        "PacDCGAN4, stacked MNIST (Lin et al. 2018, table 2) |  | 1000 |  | 0.07",
    ],
}
PROTOCOLS = {
    "ring": "Ring: 8 modes, radius 1, sigma 0.01, 10,000 points (Lin et al.: 100,000); 2,500 samples.",
    "grid": "Grid: 25 modes, step 2, sigma 0.05, 10,000 points (Lin et al.: 100,000); 2,500 samples.",
    "swiss roll": "Swiss roll: 10,000 points in the plane.",
    "digits": "Digits: 1,437 images of 8 x 8 pixels, 360 kept for the distance; 2,500 samples.",
    "stacked": "Stacked digits: 25,600 triples of 1,797 images of 8 x 8 pixels as channels, 1,000 modes; "
    "25,600 samples. Stacked MNIST of others has 28 x 28 pixels and 60,000 sources.",
}
HEAD = "method | runs | modes | high quality % | reverse KL | W1 | floor | steps | processor s"
COLUMNS = {
    **{"modes": ("g", min), "quality": (".1f", min), "reverse_kl": (".4f", max), "w1": (".3f", max)},
    **{"floor": (".3f", None), "steps": (",.0f", None), "processor_seconds": (".0f", max)},
}
LABELS = {"real": "real data", "otdist": "**as shipped**", "gan": "classic GAN", "hinge": "hinge, spectral"}


def plan():
    """Real data and the defaults first, then the others, a seed at a time."""
    methods = ("real", *METHODS)
    rows = [row for t in TASKS for row in cross(task=[t], seed=TASKS[t].seeds, method=methods)]
    return sorted(rows, key=lambda row: -1 if row["method"] in ("real", "otdist") else row["seed"])


def measure(row):
    """What a generator, or fresh real points, are worth."""
    name, seed, task, facts = row["task"], row["seed"], TASKS[row["task"]], {}
    given = draw_given(name, seed)
    if name == "digits":  # they are few: the floor is between those kept from training and as many others
        held = task.draw(stream(name, seed, "given"), 1797)[task.given :]
        beside = given[: len(held)]
    else:
        held, beside = (task.draw(stream(name, seed, part), MATCHED) for part in ("held out", "floor"))
    if row["method"] != "real":
        trained, facts = train(row, given)
        points = trained.sample(task.samples, rng=seed)
    else:
        points = given if name == "digits" else task.draw(stream(name, seed, "real"), task.samples)
    if name in ("digits", "stacked"):
        facts["accuracy"] = classifier()[1]
    return facts | {"floor": measure_w1(held, beside)[0]} | judge(task, points, held)


def train(row, given):
    """A generator, and what it took."""
    settings = METHODS[row["method"]] | row.get("settings", {})
    wall, busy = time.perf_counter(), time.process_time()
    steps = row.get("steps", TASKS[row["task"]].steps)
    trained = fit_wgan(given, steps=steps, seed=row["seed"], stop=False, **settings)
    return trained, {
        "seconds": time.perf_counter() - wall,
        "processor_seconds": time.process_time() - busy,
        "steps": trained.steps,
        "message": trained.message,
        "alarms": sorted({alarm.name for alarm in trained.alarms}),
        "settings": trained.settings.to_dict(),
        "bracket": vars(trained.w1) if trained.history else None,
    }


def judge(task, points, held):
    """Modes found, share of high quality, reverse KL, and the exact distance to points nobody has seen."""
    if not np.isfinite(points).all():
        return {"finite": False}
    w1, n = measure_w1(points, held)
    told = {"w1": w1, "n": n}
    if task.judge is None:
        return told
    found, good = task.judge(points)
    shares = np.bincount(found, minlength=task.count) / len(found)
    shares = shares[shares > 0]
    told |= {"modes": len(np.unique(found[good])), "quality": float(good.mean())}
    return told | {"reverse_kl": float((shares * np.log(shares * task.count)).sum())}


def measure_w1(x, y):
    """W1 between as many points of both, and how many."""
    n = min(len(x), len(y))
    return float(otdist.w1(x[:n].reshape(n, -1), y[:n].reshape(n, -1))), n


def table(rows):
    """One table a task."""
    parts = []
    for name, protocol in PROTOCOLS.items():
        own = [row for row in rows if row["task"] == name]
        groups = {m: [row for row in own if row["method"] == m] for m in ("real", *METHODS)}
        lines = [average(LABELS.get(m, m), group) for m, group in groups.items() if group]
        lines += [f"*published:* {text}" for text in PUBLISHED.get(name, ())]
        parts += [f"{protocol}\n\n{grid(HEAD, lines, 'lr')}"] if own else []
    return "\n\n".join(parts)


def average(label, rows):
    """Means over seeds with the worst in brackets; runs that failed are counted."""
    good = [row for row in rows if row["status"] == "ok" and "w1" in row]
    if not good:
        return f"{label} | {len(rows)}, all failed"
    cells = [label, f"{len(rows)}" + f", {len(rows) - len(good)} failed" * (len(good) < len(rows))]
    for name, (spec, worst) in COLUMNS.items():
        values = [100 * row[name] if name == "quality" else row[name] for row in good if name in row]
        if name == "quality" and good[0]["task"] not in ("ring", "grid"):
            values = []  # nothing tells a good digit from a bad one
        text = format(round(float(np.mean(values)), 6), spec) if values else ""
        cells.append(f"{text} [{worst(values):{spec}}]" if worst and len(values) > 1 else text)
    return " | ".join(cells)


if __name__ == "__main__":
    run(Study("wgan_modes", ("task", "method", "seed"), plan(), measure, table, timed=True))
