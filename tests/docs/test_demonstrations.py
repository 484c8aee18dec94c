"""The page of claims is complete, points to what there is, and quotes the measured figures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

ROOT = Path(__file__).parents[2]
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
    names = set(re.findall(r"<gallery/\w+/(plot_\w+)>", page))
    assert len(names) > 5
    for name in names:
        [source] = (ROOT / "docs/examples").rglob(f"{name}.py")
        assert "\nassert " in source.read_text(), name


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


class TestSmallRuns:
    """Claims about training, by benchmarks/results/wgan_claims.json."""

    @staticmethod
    def part(name, **chosen):
        wanted = {"part": name, "status": "ok"} | chosen
        every = results("wgan_claims")["rows"]
        return [row for row in every if all(row.get(key) == value for key, value in wanted.items())]

    def mean(self, measure, part, **chosen):
        return np.mean([row[measure] for row in self.part(part, **chosen)])

    def row(self, number):
        return next(" ".join(row[1:]) for row in rows() if row[0] == str(number))

    def test_steps_of_the_critic(self):
        seen = [f"{self.mean('ratio', 'ratio', n_critic=k):.2f}" for k in (1, 5)]
        work = [f"{self.mean('last_same_cost', 'ratio', n_critic=k):.3f}" for k in (1, 5, 10)]
        assert "sees {} of W1 with one step a round, {} with five".format(*seen) in self.row(11)
        assert "{} with one step, {} with five, {} with ten".format(*work) in self.row(11)

    def test_losses(self):
        def ranks(curve, **chosen):
            found = [row["curves"] for row in self.part("loss", **chosen)]
            return [spearmanr(curves[curve], curves["exact"]).statistic for curves in found]

        several = ranks("gap", method="w1", setting=1) + ranks("gap", method="w1", setting=2)
        classic = ranks("critic_loss", method="gan")
        assert f"{min(several):.2f} to {max(several):.2f}" in self.row(12)
        assert f"{min(classic):.2f} to {max(classic):.2f}".replace("-", "−") in self.row(12)

    def test_few_points(self):
        (row,) = self.part("overfit")
        seen = row["curves"]["orthogonal 200"]["train"]
        unseen = max(abs(curve["held"][-1]) for curve in row["curves"].values())
        assert f"rises from {seen[0]:.2f} to {seen[-1]:.2f}" in self.row(22)
        assert f"ends within {unseen:.2f} of 0" in self.row(22)

    def test_collapse(self):
        def touched(case, method):
            return [row["touched"] for row in self.part("collapse", case=case, method=method)]

        lost = [n for n in touched("4 critic steps", "gan") if n < 8]
        assert lost == [3, 3] and "stays at three of eight modes in two of three runs" in self.row(18)
        assert touched("4 critic steps", "w1") == touched("1 critic step", "w1") == [8, 8, 8]
        assert sum(n < 8 for n in touched("fast generator", "w1")) == 2

    def test_settings_that_arrive(self):
        def share(method):
            runs = self.part("sweep", method=method)
            return sum(row["modes"] == 8 and row["w1"] - row["floor"] < 0.1 for row in runs), len(runs)

        for method in ("orthogonal", "gp light", "gp", "gan"):
            assert "{} of {}".format(*share(method)) in self.row(20)

    @pytest.mark.slow
    def test_synthetic_data(self):
        for data in ("digits", "wine"):
            kinds = [
                ("w1", "real"),
                ("w1", "generated"),
                ("gp", "generated"),
                ("gan", "generated"),
                ("w1", "gaussian"),
            ]
            for method, kind in kinds:
                right = self.mean(kind, "synthetic", data=data, method=method)
                assert f"{100 * right:.1f}" in self.row(23), (data, method, kind)

    def test_words_and_days(self):
        (words,), (days,) = (self.part(part, method="w1") for part in ("words", "series"))
        for told in (words["generated"], words["chain"]):
            assert f"{100 * told['words']:.1f} %" in self.row(30) and str(told["distinct_real"]) in self.row(
                30
            )
        floor = days["real"]["w1"]
        for told in (days["generated"], days["gaussian"]):
            assert f"{told['w1'] / floor:.2f}" in self.row(30)
