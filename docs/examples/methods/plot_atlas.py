"""
The atlas: accuracy against seconds and memory
==============================================

What methods for W1 take, from 100 to 100,000 points and from 1 to 128 columns, and which of them
:func:`otdist.recommend` names. No method runs here: the figures are those that
``benchmarks/atlas/measure.py`` measured on two cores, for normal samples of which one is shifted by 2. What
they say is told on :doc:`the atlas's page </atlas>`.
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

import otdist

place, here = "benchmarks/results/atlas.json", Path.cwd()
results = next(folder / place for folder in (here, *here.parents) if (folder / place).exists())
rows = [row for row in json.loads(results.read_text())["rows"] if row["status"] == "ok"]
grid = [row for row in rows if row["part"] in ("grid", "critic")]

styles = {
    "otdist line": ("exact: line", "#333333", "-", "o"),
    "otdist dense": ("exact: dense", "#8a8a8a", "-", "o"),
    "otdist sparse": ("exact: sparse", "#2b6cb0", "-", "o"),
    "otdist sparse tol=0.01": ("sparse, 1 %", "#2b6cb0", "--", "s"),
    "otdist sparse tol=0.1": ("sparse, 10 %", "#2b6cb0", ":", "^"),
    "otdist sinkhorn tol=0.001": ("sinkhorn, 0.1 %", "#dd7a1c", "-", "o"),
    "otdist sinkhorn tol=0.01": ("sinkhorn, 1 %", "#dd7a1c", "--", "s"),
    "otdist sinkhorn tol=0.1": ("sinkhorn, 10 %", "#dd7a1c", ":", "^"),
    "otdist sliced": ("sliced: another distance", "#7b4fa3", "-", "D"),
    "otdist critic max_seconds=10": ("critic, up to 10 s", "#111111", "", "*"),
    "scipy assignment": ("scipy: assignment, line", "#2f8f5b", "-", "v"),
    "POT emd2": ("POT emd2", "#b3364c", "-", "v"),
    "POT sinkhorn reg=0.02": ("POT sinkhorn, reg 0.02", "#e39aa5", "-", "v"),
    "scipy line": ("scipy line", "#2f8f5b", "-", "v"),
}


def tidy(panel, title):
    """What all panels have."""
    panel.set_title(title, fontsize="medium")
    panel.grid(alpha=0.25)
    panel.minorticks_off()
    panel.spines[["top", "right"]].set_visible(False)


# %%
# Seconds by size
# ---------------
#
# A call whose code is loaded. Dashed and dotted lines stop at a proved gap of 1 % and 10 %.

columns = (1, 2, 8, 32, 128)
figure, panels = plt.subplots(2, 3, figsize=(10, 7.4), sharex=True, sharey=True, layout="constrained")
for panel, d in zip(panels.flat, columns, strict=False):
    for name, (_, color, line, marker) in styles.items():
        same = sorted(
            (row["n"], row["seconds"])
            for row in grid
            if (row["d"], row["method"]) == (d, name) and row.get("converged", True)
        )
        if same and "critic" not in name:
            panel.plot(*zip(*same, strict=True), color=color, linestyle=line, marker=marker, markersize=3.5)
    panel.set(xscale="log", yscale="log")
    tidy(panel, "one column" if d == 1 else f"{d} columns")
panels.flat[-1].set_axis_off()
for panel in panels[:, 0]:
    panel.set_ylabel("seconds")
for panel in (*panels[1, :2], panels[0, 2]):
    panel.set_xlabel("points a side")
    panel.tick_params(labelbottom=True)
figure.legend(
    handles=[
        plt.Line2D([], [], color=color, linestyle=line, marker=marker, markersize=4, label=label)
        for name, (label, color, line, marker) in styles.items()
        if any(row["method"] == name for row in grid) and "critic" not in name and name != "scipy line"
    ],
    loc="lower right",
    bbox_to_anchor=(0.97, 0.06),
    frameon=False,
)
plt.show()

# %%
# Accuracy against cost
# ---------------------
#
# Down is more accurate, left is cheaper. The error is that of the value against W1 between the same samples;
# what is exact lies on the lowest line. The interval that otdist proves is wider than the error of its value.

EXACT = 1e-5
problems = [(1000, 2), (1000, 32), (10_000, 8)]
figure, panels = plt.subplots(2, 3, figsize=(10, 7), sharey=True, layout="constrained")
met = set()
for across, (n, d) in enumerate(problems):
    same = [row for row in grid if (row["n"], row["d"]) == (n, d) and row.get("error") is not None]
    for down, cost in enumerate(("seconds", "memory")):
        panel = panels[down, across]
        for row in same:
            if row[cost]:
                met.add(row["method"])
                _, color, _, marker = styles[row["method"]]
                unit = 1e6 if cost == "memory" else 1.0
                look = {"color": color, "marker": marker, "s": 90 if marker == "*" else 40}
                panel.scatter(row[cost] / unit, max(row["error"], EXACT), zorder=3, clip_on=False, **look)
        panel.set(xscale="log", yscale="log", ylim=(EXACT, 1))
        panel.set_yticks(
            [1, 0.1, 0.01, 1e-3, 1e-4, EXACT], labels=["100 %", "10 %", "1 %", "0.1 %", "0.01 %", "exact"]
        )
        panel.set_xlabel("MB" if cost == "memory" else "seconds")
        tidy(panel, f"{n:,} points, {d} columns")
for panel in panels[:, 0]:
    panel.set_ylabel("error of the value")
figure.legend(
    handles=[
        plt.Line2D([], [], color=color, linestyle="", marker=marker, markersize=6, label=label)
        for name, (label, color, _, marker) in styles.items()
        if name in met
    ],
    loc="outside upper center",
    ncols=4,
    frameon=False,
)
plt.show()

# %%
# What is recommended
# -------------------
#
# The method that :func:`otdist.recommend` names, for many calls in one process (above) and for one call in a
# new one (below), by the gap that is good enough.

colors = {"line": "#333333", "dense": "#bdbdbd", "sparse": "#2b6cb0", "sinkhorn": "#dd7a1c"}
gaps = {0.0: "exact", 0.001: "0.1 %", 0.01: "1 %", 0.1: "10 %"}
sizes = np.geomspace(100, 100_000, 61)
widths = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128]
figure, panels = plt.subplots(2, 4, figsize=(10, 5.6), sharex=True, sharey=True, layout="constrained")
for down, calls in enumerate((1000, 1)):
    for panel, (gap, words) in zip(panels[down], gaps.items(), strict=True):
        chosen = [
            [
                list(colors).index(otdist.recommend(round(n), d, gap, calls=calls, max_bytes=10**11).method)
                for n in sizes
            ]
            for d in widths
        ]
        paint = {"cmap": ListedColormap(list(colors.values())), "vmin": 0, "vmax": len(colors) - 1}
        panel.pcolormesh(sizes, np.arange(len(widths)), chosen, shading="nearest", rasterized=True, **paint)
        panel.set(xscale="log")
        panel.set_title(f"{words}, {'many calls' if calls > 1 else 'one call'}", fontsize="medium")
        panel.set_yticks([widths.index(d) for d in (1, 2, 8, 32, 128)], labels=["1", "2", "8", "32", "128"])
        panel.minorticks_off()
        panel.spines[["top", "right"]].set_visible(False)
for panel in panels[:, 0]:
    panel.set_ylabel("columns")
for panel in panels[1]:
    panel.set_xlabel("points a side")
figure.legend(
    handles=[Patch(color=color, label=name) for name, color in colors.items()],
    loc="outside upper center",
    ncols=len(colors),
    frameon=False,
)
plt.show()
