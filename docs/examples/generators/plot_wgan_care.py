"""
Set and forget?
===============

Wasserstein GANs are said to need less care than classic ones, several critic steps to one of the generator,
and to lose fewer modes. Small networks on a ring of eight Gaussians of radius 1: over learning rates and
critic steps, at equal cost, and in games that are known to go wrong. Nothing is trained on this page: the
figures are those of ``benchmarks/results/wgan_claims.json``, which ``python -m benchmarks.wgan.claims``
makes.
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

place, here = "benchmarks/results/wgan_claims.json", Path.cwd()
results = next(folder / place for folder in (here, *here.parents) if (folder / place).exists())
rows = json.loads(results.read_text())["rows"]
blue, orange, red, grey = "#2b6cb0", "#dd7a1c", "#b3364c", "#777777"
near = 0.1  # W1 above the floor below which a run has arrived


def part(name, **chosen):
    """Rows of one part."""
    wanted = {"part": name} | chosen
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def above(row):
    """W1 of 1,000 points to fresh ones, less that of 1,000 real ones; infinite for a run that broke down."""
    return row["w1"] - row["floor"] if row["status"] == "ok" else np.inf


def arrived(row):
    """Whether a run found all modes and came near their law."""
    return above(row) < near and row["modes"] == 8


# %%
# Rates and steps
# ---------------
#
# 1,000 rounds of small networks (32 units, batches of 64). Up: the generator's learning rate. Across: the
# critic's, as a multiple of it, with one critic step a round or with four. In each cell W1 above its floor;
# bold where the run has *arrived*: each of the eight modes has at least a quarter of its share, and W1 is
# less than 0.1 above the floor. One run of each.

methods = {
    "orthogonal": "W1, orthogonal layers",
    "gp": "W1, penalty of weight 10",
    "gp light": "W1, penalty of weight 1",
    "gan": "classic",
}
rates = sorted({row["rate"] for row in part("sweep")})
speeds = ((0.25, 1), (1.0, 1), (4.0, 1), (1.0, 4))
columns = ["¼ x", "1 x", "4 x", "1 x,\n4 steps"]
figure, panels = plt.subplots(1, 4, figsize=(9.6, 2.9), layout="constrained", sharey=True)
share = {}
for panel, (method, title) in zip(panels, methods.items(), strict=True):
    table = np.zeros((len(rates), len(speeds)))
    for i, rate in enumerate(rates):
        for j, (speed, count) in enumerate(speeds):
            cell = part("sweep", method=method, rate=rate, speed=speed, n_critic=count)
            table[i, j] = np.mean([above(row) for row in cell])
            text = f"{table[i, j]:.2f}" if table[i, j] < 10 else "far"
            weight = "bold" if all(map(arrived, cell)) else "normal"
            panel.text(j, i, text, ha="center", va="center", fontsize=9, weight=weight)
    shown = np.minimum(table, 1e3)
    image = panel.imshow(
        shown, cmap="RdYlBu_r", vmin=0.0, vmax=0.6, aspect="auto", alpha=0.75, origin="lower"
    )
    panel.set_xticks(range(len(speeds)), columns)
    panel.set_yticks(range(len(rates)), [f"{rate:g}" for rate in rates])
    panel.set_title(title, fontsize=10)
    panel.tick_params(length=0)
    runs = part("sweep", method=method)
    share[method] = np.mean([arrived(row) for row in runs])
    best = min(map(above, runs))
    print(f"{title:26} {sum(map(arrived, runs)):2} of {len(runs)} runs arrived; best {best:.3f}")
panels[0].set_ylabel("generator's rate")
figure.supxlabel("critic's rate over the generator's, and its steps a round", fontsize=9.5)
figure.colorbar(image, ax=panels, label="W1 above the floor", shrink=0.9, extend="max")
plt.show()

# %%
# With orthogonal layers every run arrives whose generator has a rate of 0.004 or more, and whose critic is
# at least as fast. A critic that is much too strong does no harm: on that side *it holds* that generator and
# critic need no careful balance. On the other it does not: with a critic at a quarter of the generator's
# rate no run arrives. The classic game arrives in three settings of twelve, all at the largest rate with one
# critic step; with four it loses half of the modes or more, at every rate. A gradient penalty brings one
# more choice, its weight: with 1 it does about as well as the classic game, with 10, as it was published
# :cite:p:`gulrajani2017`, no run of this length arrives. So rates and steps *do need care*, and what is best
# for one method is not for another.

strong = [row for row in part("sweep", method="orthogonal") if row["rate"] >= 0.004 and row["speed"] >= 1]
weak = part("sweep", method="orthogonal", speed=0.25)
assert all(map(arrived, strong)) and not any(map(arrived, weak))
assert all(row["touched"] <= 4 for row in part("sweep", method="gan", n_critic=4))
assert share["gan"] == 0.25 and share["orthogonal"] == 0.5 and share["gp light"] < 0.4 and share["gp"] == 0.0

# %%
# Critic steps
# ------------
#
# The same ring, orthogonal layers, 400 rounds with 1, 2, 5 and 10 critic steps each, one run of each. Left,
# how much of W1 the critic sees: its gap on points kept aside over the exact distance less its noise, mean
# over rounds 150 to 400. Middle, W1 of the generator (not averaged) at the end of the 400 rounds; right,
# after equal work: as many steps of either network, all in all, as in 400 rounds with five critic steps.

counts = sorted({row["n_critic"] for row in part("ratio")})
figure, panels = plt.subplots(1, 3, figsize=(9.6, 2.7), layout="constrained")
titles = {"ratio": "gap / W1", "last": "W1 after 400 rounds", "last_same_cost": "W1 after equal work"}
steps = {}
for panel, (name, title) in zip(panels, titles.items(), strict=True):
    steps[name] = np.array([[row[name] for row in part("ratio", n_critic=k)] for k in counts])
    for at, values in enumerate(steps[name]):
        panel.scatter([at] * len(values), values, color=blue, s=24, alpha=0.8, linewidth=0)
    panel.plot(range(len(counts)), steps[name].mean(axis=1), color=blue, linewidth=1.2)
    panel.set_xticks(range(len(counts)), counts)
    panel.set(xlabel="critic steps a round", xlim=(-0.4, 3.4), ylim=(0.0, 0.6 if name == "ratio" else 0.13))
    panel.set_title(title, fontsize=10)
plt.show()
for k, *means in zip(counts, *(steps[name].mean(axis=1) for name in titles), strict=True):
    cells = ", ".join(f"{title} {mean:.3f}" for title, mean in zip(titles.values(), means, strict=True))
    print(f"{k:2} critic steps: {cells}")

# %%
# A critic with one step a round sees a quarter of W1, one with five about half: what it says gets better
# with steps. What the generator gains from them is little, and at equal work nothing: rounds with one step
# are cheap, and there can be three times as many. So "several critic steps" *holds, with this limit*: for
# the distance that the critic tells. With orthogonal layers the trainer takes one step by default, with a
# gradient penalty three.

ratio, work = steps["ratio"].mean(axis=1), steps["last_same_cost"].mean(axis=1)
assert ratio[0] < 0.35 and ratio[counts.index(5)] > 0.4
assert work[0] <= 1.05 * work[counts.index(5)] and work[0] < work[counts.index(10)]

# %%
# Modes that are lost
# -------------------
#
# Four games at three speeds: learning rates of 0.008 on both sides with one critic step, the same with four,
# and a generator 16 times as fast as the critic, one run of each. Below each picture the modes found, and
# two measures of the trainer's checks that know nothing of modes: precision, the share of fakes where real
# points are, and coverage, the share of real points that have fakes around them.

games = {
    "saturating": "classic, saturating",
    "gan": "classic",
    "gan packing 4": "classic, packing 4",
    "w1": "W1",
}
cases = ("1 critic step", "4 critic steps", "fast generator")
figure, panels = plt.subplots(3, 4, figsize=(9.6, 8.3), layout="constrained", sharex=True, sharey=True)
angles = 2 * np.pi * np.arange(8) / 8
for across, case in zip(panels, cases, strict=True):
    for panel, game in zip(across, games, strict=True):
        row = part("collapse", case=case, method=game, seed=0)[0]
        panel.scatter(np.cos(angles), np.sin(angles), s=110, color=grey, alpha=0.35, linewidth=0)
        panel.scatter(*np.array(row["points"]).T, s=4, color=blue if game == "w1" else red)
        panel.set(xlim=(-1.7, 1.7), ylim=(-1.7, 1.7), aspect="equal", xticks=[], yticks=[])
        precision, coverage = (row["curves"][name][-1] for name in ("precision", "coverage"))
        text = f"{row['modes']} modes\nprecision {precision:.2f}, coverage {coverage:.2f}"
        panel.set_xlabel(text, fontsize=8.5)
    across[0].set_ylabel(case)
for panel, title in zip(panels[0], games.values(), strict=True):
    panel.set_title(title, fontsize=10)
plt.show()

lost, alarms = {}, {}
for case in cases:
    for game in games:
        runs = part("collapse", case=case, method=game)
        lost[case, game] = [8 - row["touched"] for row in runs]
        alarms[case, game] = sorted({name for row in runs for _, name in row["alarms"]})
        modes, reached = (" ".join(str(row[name]) for row in runs) for name in ("modes", "touched"))
        far = " ".join(f"{above(row):.2f}" for row in runs)
        told = f"{case + ', ' + game:32} modes {modes}, in reach {reached}, W1 above the floor {far}"
        print(told, *alarms[case, game], sep="; ")

# %%
# With four critic steps the classic game stays at three of eight modes in two of three runs. Wasserstein
# GANs find all eight at both even speeds, in all runs: that they lessen collapse *holds* here. It is not
# ruled out: against a generator that is far too fast for its critic they, too, lose modes in two of three
# runs, and find three at most. (The classic game is no better off there: one of its runs breaks down.) And
# the classic game has a remedy of its own, a critic that judges four points at once: it sees that they are
# all alike.

assert max(max(lost[case, "w1"]) for case in cases[:2]) == 0
assert sum(n > 0 for n in lost["4 critic steps", "gan"]) == 2
assert max(lost["4 critic steps", "gan packing 4"]) == 0
assert sum(n > 0 for n in lost["fast generator", "w1"]) == 2
assert max(row["modes"] for row in part("collapse", case="fast generator", method="w1")) == 3
assert max(map(above, part("collapse", case="fast generator", method="gan"))) > 1

# %%
# Along the way
# -------------
#
# The run of the classic game with four critic steps, check by check: precision, which is quality, and
# coverage, which is diversity, beside the W1 run at the same speed.

figure, panels = plt.subplots(1, 2, figsize=(9.6, 2.6), layout="constrained", sharey=True)
for panel, (game, title) in zip(panels, (("gan", "classic"), ("w1", "W1")), strict=True):
    row = part("collapse", case="4 critic steps", method=game, seed=0)[0]
    for name, color in (("precision", grey), ("coverage", orange)):
        panel.plot(row["checks"], row["curves"][name], color=color, marker="o", markersize=3, label=name)
    for step, name in row["alarms"]:
        panel.axvline(step, color=red, linewidth=1.0, linestyle=":")
        panel.text(step + 8, 0.03, name, color=red, fontsize=8.5)
    panel.set(xlabel="rounds", ylim=(0.0, 1.05))
    panel.set_title(f"{title}, 4 critic steps", fontsize=10)
panels[0].legend(frameon=False, fontsize=9, loc="upper left")
plt.show()

# %%
# Whoever looks at precision only, or at a few samples, is content: the classic run gets better and better.
# Its coverage tells from the first check on that most of the ring is missing, and the trainer raises its
# alarm half way. So "watch quality and diversity along the way" *holds*: one of them alone would have missed
# it.

classic, ours = (part("collapse", case="4 critic steps", method=game, seed=0)[0] for game in ("gan", "w1"))
assert classic["curves"]["precision"][-1] > 0.9 > 2 * max(classic["curves"]["coverage"])
assert [500, "collapse"] in classic["alarms"] and not ours["alarms"]
assert ours["curves"]["coverage"][-1] > 0.7
