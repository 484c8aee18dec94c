"""The page of claims is complete, points to what there is, and quotes the measured figures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
CLAIMS = (ROOT / "docs/demonstrations.md").read_text()
CAUTION = (ROOT / "docs/when_not_to_use.md").read_text()
VERDICTS = ("holds", "does not hold", "not measured yet", "no figure")


def rows():
    lines = [line for line in CLAIMS.splitlines() if re.match(r"\| \d+ \|", line)]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def results(name):
    return json.loads((ROOT / f"benchmarks/results/{name}.json").read_text())


def test_every_claim_has_one_row_and_a_verdict():
    assert [int(row[0]) for row in rows()] == list(range(1, 36))
    for number, claim, measured, verdict in rows():
        assert claim and verdict.startswith(VERDICTS), number
        # Nothing is claimed without a measurement, and nothing measured is called unmeasured.
        assert (verdict == "not measured yet") == (measured == ""), number


@pytest.mark.parametrize("page", [CLAIMS, CAUTION], ids=["claims", "caution"])
def test_gallery_pages_that_are_quoted_exist_and_check_themselves(page):
    names = set(re.findall(r"<gallery/(plot_\w+)>", page))
    assert len(names) > 5
    for name in names:
        assert "\nassert " in (ROOT / f"docs/examples/{name}.py").read_text(), name


def test_steps_by_constraint_are_those_measured():
    ratio = {
        (row["d"], row["constraint"]): f"{row['ratio']:.2f}" for row in results("constraint_steps")["rows"]
    }
    assert f"takes {ratio[16, 'spectral']} and {ratio[64, 'spectral']} of the penalty's" in CLAIMS
    assert f"orthogonal layers {ratio[16, 'orthogonal']} and {ratio[64, 'orthogonal']}" in CLAIMS


def test_the_critics_deviation_is_the_one_measured():
    shipped = [row for row in results("critic_w1bench")["rows"] if row["track"] == "B" and row["seed"] == 0]
    assert len(shipped) == 28 and not any(row["overstates"] for row in shipped)
    mean = np.mean([abs(row["deviation"]) for row in shipped])
    assert f"{100 * mean:.1f} % off in the mean" in CLAIMS


def test_published_deviations_are_those_of_the_tables():
    pairs = results("w1bench_published")["pairs"].values()
    off = {
        name: 100 * np.mean([abs(pair[name][2] / pair["true"][2] - 1.0) for pair in pairs])
        for name in ("wgan", "sn-gan", "wgan-gp", "wgan-lp")
    }
    words = " ".join(CAUTION.split())
    assert f"{off['wgan']:.0f} % with clipped weights, {off['sn-gan']:.0f} % with spectral" in words
    assert (
        f"{off['wgan-gp']:.0f} % with a gradient penalty and {off['wgan-lp']:.0f} % with a one-sided" in words
    )
