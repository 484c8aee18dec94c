"""What is said of Wasserstein GANs, measured with small ones: rows of docs/demonstrations.md.

``loss``: does the critic's loss follow the distance, and a classic GAN's? ``overfit``: what does a critic
say that has too few points? ``ratio``: how much of W1 does it see after 1, 2, 5, 10 steps, and what is best
at equal cost? ``sweep``: over learning rates and critic steps, which runs arrive? ``collapse``: which runs
lose modes, and which checks see it? ``synthetic``: is a classifier as good when trained on generated digits
and wines? ``words``, ``series``: the same trainer on words of the documentation and on days of power.

One run of each setting, three of those about collapse: some twenty minutes of one core. These are short runs
of small networks, which rank settings; what long runs reach is measured elsewhere (modes.py). Run with
``python -m benchmarks.wgan.claims``; ``series`` needs data in aeon's wheel (``pip install --no-deps aeon``).
"""

from benchmarks.wgan.claims_curves import loss, overfit, ratio
from benchmarks.wgan.claims_runs import collapse, series, sweep, synthetic, words
from benchmarks.wgan.rows import Study, is_ok, run

KEYS = ("part", "data", "case", "method", "setting", "rate", "speed", "n_critic", "seed")
PARTS = {
    one.measure.__name__: one for one in (loss, overfit, ratio, sweep, collapse, synthetic, words, series)
}


def table(rows):
    """A table for each part that has rows; runs that failed are named."""
    drawn = []
    for name, part in PARTS.items():
        own = [row for row in rows if row["part"] == name]
        drawn += [part.draw(own)] if own else []
        drawn += [f"Not finite: {row}" for row in own if not is_ok(row)]
    return "\n\n".join(drawn)


if __name__ == "__main__":
    plan = [{"part": name} | row for name, part in PARTS.items() for row in part.rows]
    run(Study("wgan_claims", KEYS, plan, lambda row: PARTS[row["part"]].measure(row), table))
