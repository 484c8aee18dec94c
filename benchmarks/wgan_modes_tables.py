"""Tables of trained generators, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from wgan_modes_problems import METHODS, TASKS, Row

# Modes, share of high quality in %, reverse KL, as printed by others, on their own data and networks.
PUBLISHED: dict[str, list[tuple[str, str, str, str]]] = {
    "ring": [
        ("VEEGAN (Srivastava et al. 2017, table 1)", "8", "52.9", ""),
        ("GAN (Lin et al. 2018, table 1)", "6.3", "98.2", "0.45"),
        ("PacGAN4 (Lin et al. 2018, table 1)", "7.8", "95.9", "0.07"),
    ],
    "grid": [
        ("VEEGAN (Srivastava et al. 2017, table 1)", "24.6", "40", ""),
        ("GAN (Lin et al. 2018, table 1)", "17.3", "94.8", "0.70"),
        ("PacGAN4 (Lin et al. 2018, table 1)", "24.8", "93.6", "0.04"),
    ],
    "stacked": [
        ("VEEGAN, stacked MNIST (table 2)", "150", "", "2.95"),
        ("WGAN-GP, stacked MNIST (Kumar et al. 2019)", "959", "", "0.73"),
        ("PacDCGAN4, stacked MNIST (Lin et al. 2018, table 2)", "1000", "", "0.07"),
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
HEAD = ("method", "runs", "modes", "high quality %", "reverse KL", "W1", "floor", "steps", "processor s")
LABELS = {"real": "real data", "otdist": "**as shipped**", "gan": "classic GAN", "hinge": "hinge, spectral"}


def tables(rows: Sequence[Row]) -> str:
    """One table a task."""
    parts = []
    for name in TASKS:
        ours = [row for row in rows if row["task"] == name]
        if ours:
            parts.append(f"{PROTOCOLS[name]}\n\n{table(name, ours)}")
    return "\n\n".join(parts)


def table(name: str, rows: Sequence[Row]) -> str:
    lines = [cells(method, [row for row in rows if row["method"] == method]) for method in ("real", *METHODS)]
    lines = [line for line in lines if line]
    lines += [
        [f"*published:* {method}", "", modes, quality, kl, "", "", "", ""]
        for method, modes, quality, kl in PUBLISHED.get(name, [])
    ]
    return grid(HEAD, lines)


def cells(method: str, rows: Sequence[Row]) -> list[str]:
    """Means over seeds with the worst in brackets; runs that failed are counted."""
    if not rows:
        return []
    good = [row for row in rows if row["status"] == "ok" and "w1" in row]
    failed = len(rows) - len(good)
    label = LABELS.get(method, method)
    if not good:
        return [label, f"{len(rows)}, all failed", *[""] * (len(HEAD) - 2)]
    runs = f"{len(rows)}" + (f", {failed} failed" if failed else "")
    judged = [
        row for row in good if row["task"] in ("ring", "grid")
    ]  # nothing tells a good digit from a bad one
    line = [label, runs, told(good, "modes", "{:g}", min), told(judged, "quality", "{:.1f}", min, 100)]
    line += [told(good, "reverse_kl", "{:.4f}", max), told(good, "w1", "{:.3f}", max)]
    line += [told(good, "floor", "{:.3f}"), told(good, "steps", "{:,.0f}")]
    return [*line, told(good, "processor_seconds", "{:.0f}", max)]


def told(rows: Iterable[Row], name: str, form: str, worst: object = None, times: float = 1.0) -> str:
    values = [times * row[name] for row in rows if name in row]
    if not values:
        return ""
    text = form.format(round(float(np.mean(values)), 6))
    return text if worst is None or len(values) < 2 else f"{text} [{form.format(worst(values))}]"  # type: ignore[operator]


def grid(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))
