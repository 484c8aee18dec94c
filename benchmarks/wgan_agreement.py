"""Does the critic say how good a generator is? Its figures against exact transport, check by check.

Per run, 60 checks at steps that grow by a factor, as the distance falls: most at even steps would look at a
generator that has arrived, where what differs is noise. Spearman's rank correlation with the exact distance
between the same held-out points and those of the same latent numbers: of the critic's gap on these points, as
it trains; of that of a copy that has made 100 steps more while the generator stood still; of ``lower`` with
the averaged generator's; and of both losses of a classic GAN. Correlations are per run, and not filtered.
Run with ``python benchmarks/wgan_agreement.py``; writes results/wgan_agreement.json row by row and goes on
where it was stopped. ``--only``, ``--limit``, ``--again``, ``--list``, ``--table`` as in wgan_modes.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from wgan_modes_problems import TASKS, Row
from wgan_modes_tables import grid
from wgan_rows import fill

CHECKS = 60
STEPS = 3_000
MORE = 100  # steps of the copy
SEEDS = (0, 1, 2)
POINTS = 1_000  # a side, in the exact distance
GAPS = ("heldout_gap", "refreshed_gap", "critic_loss", "generator_loss")
METHODS: dict[str, dict[str, Any]] = {
    "w1": {},
    "gan": {"objective": "gan", "constraint": "none"},
}


def rows() -> list[Row]:
    names = [name for name in TASKS if name != "stacked"]
    return [{"task": t, "method": m, "seed": s} for s in SEEDS for t in names for m in METHODS]


def named(row: Row) -> str:
    return f"{row['task']} {row['method']} seed={row['seed']}"


def curves(row: Row) -> dict[str, list[float]]:
    """What a run's critic says of itself at each check, and what exact transport says."""
    import torch
    from wgan_modes_runs import source

    from otdist.learn.wgan.real import RealData
    from otdist.learn.wgan.settings import make_settings
    from otdist.learn.wgan.state import build_state

    torch.set_num_threads(1)
    task = TASKS[row["task"]]
    settings = make_settings(METHODS[row["method"]], False)
    given = task.draw(source(row["task"], row["seed"], "given"), task.given)
    real = RealData.of(given, held_out=settings.held_out, scale=settings.scale, seed=row["seed"])
    state = build_state(settings, real.shape, row["seed"], None, None, torch.device("cpu"))
    told: dict[str, list[float]] = {}
    looks = steps_of_looks()
    for step in range(1, STEPS + 1):
        if not (all(state.critic_step(real.train) for _ in range(state.n_critic)) and state.generator_step()):
            raise FloatingPointError(f"values are not finite at step {step}")
        if step in looks:
            for name, value in looked(state, real).items():
                told.setdefault(name, []).append(value)
    return told


def steps_of_looks() -> set[int]:
    """So many steps, each about the same factor after the last."""
    count, found = CHECKS, set[int]()
    while len(found) < CHECKS:
        found = {round(step) for step in np.geomspace(min(5, STEPS // CHECKS), STEPS, count)}
        count += 1
    return found


def looked(state: Any, real: Any) -> dict[str, float]:
    """The exact distance, and what is held against it; the generator is the one the critic was trained on."""
    import torch

    import otdist
    from otdist.learn.wgan.monitor.probe import clone_state
    from otdist.learn.wgan.monitor.run_check import generate_fakes, run_check
    from otdist.learn.wgan.objectives import critic_loss, generator_loss

    check = run_check(state, real, 0.0)
    objective = state.settings.objective
    x = real.heldout[:POINTS]
    y = generate_fakes(state, len(x), averaged=False, stream=torch.Generator().manual_seed(3))
    twin = clone_state(state)
    if not all(twin.critic_step(real.train) for _ in range(MORE)):
        raise FloatingPointError("values of the copy are not finite")
    with torch.no_grad():
        state.critic.eval()
        twin.critic.eval()
        f, g = state.scores(x), state.scores(y)
        return {
            "exact": float(otdist.w1(x.double().numpy(), y.double().numpy())),
            "averaged": check.estimate,
            "lower": check.lower,
            "heldout_gap": float(f.mean() - g.mean()),
            "refreshed_gap": float(twin.scores(x).mean() - twin.scores(y).mean()),
            "critic_loss": float(critic_loss(objective, f, g)) / len(x),
            "generator_loss": float(generator_loss(objective, g)) / len(x),
        }


def agreement(told: dict[str, list[float]]) -> Row:
    """Rank correlations: what falls with the distance is 1, what rises as it falls is -1."""
    from scipy.stats import spearmanr

    def rho(name: str, against: str) -> float:
        return float(spearmanr(told[name], told[against]).statistic)

    pairs = {name: rho(name, "exact") for name in GAPS}
    # `lower` is about the averaged generator, as the distance that the trainer shows is.
    return pairs | {"lower": rho("lower", "averaged")}


def table(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        if row["status"] != "ok":
            lines.append([named(row), row["status"], "", "", "", "", ""])
            continue
        ours = row["method"] == "w1"
        cells = [f"{row['heldout_gap']:+.3f}", f"{row['refreshed_gap']:+.3f}"]
        cells += [f"{row['lower']:+.3f}" if ours else ""]
        cells += ["", ""] if ours else [f"{row[name]:+.3f}" for name in ("critic_loss", "generator_loss")]
        first, last = row["curves"]["exact"][0], row["curves"]["exact"][-1]
        lines.append([named(row), *cells, f"{first:.3g} to {last:.3g}"])
    head = [
        "run",
        "held-out gap",
        "100 steps on",
        "lower",
        "critic's loss",
        "generator's loss",
        "exact W1, scaled",
    ]
    return grid(head, lines)


def answered(row: Row) -> Row:
    """Correlations of a run, and the curves they are of."""
    told = curves(row)
    return agreement(told) | {"curves": told}


if __name__ == "__main__":
    fill(Path(__file__), rows(), named, answered, table)
