"""
Regression whose answer is a distribution
=========================================

A network that is trained on squared errors answers with the mean. Where y given x has two values, say, the
mean is one that never occurs. A network that has random numbers as a second input can answer with the law
of y: :class:`otdist.learn.W1Loss` compares its pairs (x, y) with those of the data.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

import otdist
from otdist.learn import W1Loss

STEPS, BATCH = 600, 128
STRETCH = 3.0  # of x in the distance: what is moved along x is another question's answer


def data(n, rng):
    """Two branches that part from each other, and noise that grows."""
    x = torch.rand(n, 1, generator=rng) * 2 - 1
    branch = torch.sign(torch.rand(n, 1, generator=rng) - 0.35)
    noise = (0.05 + 0.06 * (x + 1)) * torch.randn(n, 1, generator=rng)
    return x, torch.sin(2.5 * x) / 2 + branch * (x + 1) / 2 + noise


def trained(price, inputs):
    """Network from x and further random inputs to y."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
        model = nn.Sequential(*layers)
    rng = torch.Generator().manual_seed(1)
    step = torch.optim.Adam(model.parameters(), lr=3e-3)
    for k in range(STEPS):
        step.param_groups[0]["lr"] = 3e-3 * (1 - k / STEPS)
        x, y = data(BATCH, rng)
        step.zero_grad()
        price(x, y, model(torch.cat([x, torch.randn(BATCH, inputs - 1, generator=rng)], 1))).backward()
        step.step()
    return model.requires_grad_(False)


def pairs(x, y):
    """Points in the plane of x and y."""
    return torch.cat([STRETCH * x, y], 1)


loss = W1Loss("exact")
mean = trained(lambda x, y, answer: (answer - y).square().mean(), 1)
law = trained(lambda x, y, answer: loss(pairs(x, answer), pairs(x, y)), 3)

rng = torch.Generator().manual_seed(2)
x, y = data(800, rng)
other = data(800, rng)
answers = {"squared error": mean(x), "W1": law(torch.cat([x, torch.randn(800, 2, generator=rng)], 1))}
errors = {name: float((answer - y).square().mean()) for name, answer in answers.items()}
distances = {name: float(otdist.w1(pairs(x, answer), pairs(x, y)).value) for name, answer in answers.items()}
floor = float(otdist.w1(pairs(*other), pairs(x, y)).value)
for name in answers:
    print(f"trained on {name}: squared error {errors[name]:.2f}, W1 {distances[name]:.3f}")
print(f"other data: W1 {floor:.3f}")

# %%
# On data that neither has seen, the squared error ranks them the wrong way round, if what is asked for is
# what may happen: the network whose answers are as near to the data as other data are has nearly *twice*
# the error of the one whose answers never occur. That is no accident: an independent draw from the true
# law has on average twice the squared error of the true mean. W1 ranks them rightly. Between the branches
# it leaves a few points: a network is continuous in its random numbers.
#
# The same happens with forecasts that come at the wrong time. Rain falls at two o'clock. One forecast has
# all of it two hours late, the other has a drizzle all day. The squared error of hourly amounts charges
# the first one twice, for rain that did not fall and for rain that was missed, and prefers the drizzle.
# W1 in hours moves the rain: the first is off by two hours, the second by nearly six.

hours = np.arange(24.0)
peak = lambda at: np.exp(-((hours - at) ** 2) / 1.2)  # noqa: E731
fallen, late, drizzle = (rain / rain.sum() for rain in (peak(14), peak(16), np.ones(24)))
squared = {name: float(((rain - fallen) ** 2).sum()) for name, rain in (("late", late), ("drizzle", drizzle))}
moved = {
    name: otdist.w1(hours, hours, fallen, rain).value for name, rain in (("late", late), ("drizzle", drizzle))
}
print(f"squared error: {squared}\nW1 in hours: {moved}")

blue, orange, green = "#2b6cb0", "#dd7a1c", "#2f8f5b"
figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(9.6, 3.7), width_ratios=[1.0, 1.0, 1.1], layout="constrained"
)
for axes, (name, answer), colour in zip((left, middle), answers.items(), (orange, green), strict=True):
    axes.scatter(x, y, s=5, color="#bbbbbb", linewidth=0, label="unseen data")
    axes.scatter(x, answer, s=5, color=colour, linewidth=0, alpha=0.8, label="answers")
    axes.set(xlabel="x", ylim=(-2.4, 2.2), yticks=[-2, -1, 0, 1, 2])
    text = f"trained on {name}:\nsquared error {errors[name]:.2f}, W1 {distances[name]:.2f}"
    axes.set_title(text, fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower left", markerscale=2, fontsize="small", handletextpad=0.2)
left.set_ylabel("y")
right.bar(hours, fallen, width=1.0, color="#bbbbbb", label="rain")
for name, rain, colour in (("late", late, green), ("drizzle", drizzle, orange)):
    text = f"{name}: squared error {squared[name]:.2f}, W1 {moved[name]:.0f} h"
    right.step(hours, rain, where="mid", color=colour, linewidth=1.6, label=text)
right.set(
    xlabel="hour", ylabel="share of the day's rain", xlim=(0, 24), ylim=(0, 0.78), xticks=[0, 6, 12, 18, 24]
)
right.set_title("two forecasts of one shower", fontsize="medium")
right.legend(frameon=False, loc="upper left", fontsize="small")
right.spines[["top", "right"]].set_visible(False)
plt.show()

assert errors["squared error"] < 0.6 * errors["W1"] and distances["W1"] < 0.35 * distances["squared error"]
assert distances["W1"] < 1.3 * floor
assert squared["drizzle"] < squared["late"] and moved["late"] < 2.001 and 5.5 < moved["drizzle"] < 6.0
