"""
A generator is trained, and checked
===================================

:func:`otdist.learn.fit_wgan` trains a Wasserstein GAN and holds it, again and again, against data that no
step has seen. The data here are two half moons. A few hundred steps, some seconds, are enough to see what a
run says about itself.
"""

import matplotlib.pyplot as plt
import numpy as np

from otdist.learn import fit_wgan

rng = np.random.default_rng(0)
angle = rng.uniform(0, np.pi, size=3000)
upper = rng.random(3000) < 0.5
data = np.column_stack([np.cos(angle), np.sin(angle)])
data[~upper] = [1.0, 0.5] - data[~upper]
data += 0.07 * rng.normal(size=data.shape)

run = fit_wgan(data, steps=700, check_every=50, check_points=250, average=0.98, batch_size=128, width=64)
print(run)

# %%
# Left, the bracket over the steps: at each check W1 between the law of the data and that of the generator
# lies in the band, with 95 % confidence. The line is the exact distance between 250 fresh and 250 held-
# out points. It cannot fall below the floor, the same between real and real, by more than chance: where
# it comes near, samples of this size no longer show what is left to learn, though the eye may. Right,
# what the critic makes of the points it is trained on and of those kept aside. They agree; a critic that
# learned its points by heart would tear them apart.

blue, orange, violet = "#2b6cb0", "#dd7a1c", "#7c3aed"
steps = [check.step for check in run.history]


def over_steps(name):
    """One figure of all checks."""
    return np.array([getattr(check, name) for check in run.history])


figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.8), layout="constrained")
left.fill_between(
    steps, over_steps("lower"), over_steps("upper"), color=violet, alpha=0.2, lw=0, label="W1 of the laws"
)
left.plot(steps, over_steps("estimate"), color=violet, lw=2, label="between samples of 250")
left.plot(steps, over_steps("floor"), color="#333333", lw=1.4, ls="--", label="floor: real against real")
right.plot(steps, over_steps("gap"), color=orange, lw=2, label="on training points")
right.plot(steps, over_steps("heldout_gap"), color=blue, lw=2, label="on points kept aside")
for axes, title in ((left, "distance to the data"), (right, "gap of the critic")):
    axes.set_title(title, fontsize="medium")
    axes.set(xlabel="steps of the generator", ylim=(0, None))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
assert (over_steps("lower") <= over_steps("upper")).all()
assert over_steps("estimate")[-1] < 0.6 * over_steps("estimate")[0]
plt.show()

# %%
# The same latent points at some of the checks, and in the end 1,000 fresh ones, over data kept aside.
# ``run.report("run.html")`` draws these and more as one page.

strip = [k for k in range(len(run.snapshots.steps)) if run.snapshots.steps[k] in (0, 100, 300)]
figure, panels = plt.subplots(1, 4, figsize=(9.6, 2.75), layout="constrained")
kept = run.scale.inverse_transform(run.real.heldout)
shown = [
    (f"step {run.snapshots.steps[k]}", run.scale.inverse_transform(run.snapshots.points[k])) for k in strip
]
shown.append((f"{run.steps} steps, fresh points", run.sample(1000)))
for axes, (title, made) in zip(panels, shown, strict=False):
    axes.scatter(*kept.T, s=4, color=blue, alpha=0.3, linewidth=0)
    axes.scatter(*made.T, s=5 if len(made) > 100 else 9, color=orange, alpha=0.8, linewidth=0)
    axes.set(xticks=[], yticks=[], aspect="equal", xlim=(-1.5, 2.5), ylim=(-1.5, 2.0))
    axes.set_title(title, fontsize="medium")
plt.show()
