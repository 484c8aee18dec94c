"""
How smooth W1 is, and where it is not
=====================================

W1 changes continuously when a law is moved or stretched. It is often said to be "always finite and smooth";
that is too much. It needs a finite first moment, it has kinks, and between samples it is biased. And it grows
more slowly with an outlier than squared errors do, but it does grow.
"""

import matplotlib.pyplot as plt
import numpy as np
import scipy.stats

import otdist

blue, orange, green, red, grey = "#2b6cb0", "#dd7a1c", "#2f8f5b", "#b3364c", "#777777"
rng = np.random.default_rng(0)

# %%
# **Continuous, with kinks.** W1 between N(0, 1) and N(shift, scale²), in closed form, and that of 200
# points a side. At shift 0 and scale 1 the laws are equal, and there the derivative jumps: from -1 to 1 in
# the shift, from -0.80 to 0.80 in the scale. Between samples it stays above the law's value where that is
# near 0.

shifts, scales = np.linspace(-1.5, 1.5, 61), np.linspace(0.2, 1.8, 61)
by_shift = [otdist.closed.normal(0, 1, shift, 1).value for shift in shifts]
by_scale = [otdist.closed.normal(0, 1, 0, scale).value for scale in scales]
assert np.allclose(by_shift, np.abs(shifts)) and np.allclose(
    by_scale, np.abs(scales - 1) * np.sqrt(2 / np.pi)
)

x, y = rng.normal(size=(2, 200))
sampled_shift = [otdist.w1(x, y + shift).value for shift in shifts]
sampled_scale = [otdist.w1(x, scale * y).value for scale in scales]
# A move by s changes W1 by at most s: no step of either curve is longer.
assert np.abs(np.diff(sampled_shift)).max() <= 1.000001 * np.diff(shifts).max()

# %%
# **Biased.** Between two samples of n points of one law W1 is above 0, its value between the laws. On the
# line it falls like the root of n, in more than two columns like n to the power -1/d.

sizes = [25, 50, 100, 200, 400]
bias = {}
for d in (1, 3, 8):
    draws = [[otdist.w1(*rng.normal(size=(2, n, d))).value for _ in range(8)] for n in sizes]
    bias[d] = np.mean(draws, axis=1)
    print(f"d = {d}: W1 between samples of one normal law", np.round(bias[d], 3))
assert all((bias[d] > 0).all() and (np.diff(bias[d]) < 0).all() for d in bias)
assert bias[8][0] / bias[8][-1] < 2.0 < bias[1][0] / bias[1][-1]  # 16 times the points

# %%
# **Not always finite.** Cauchy laws have no first moment. Between scales 1 and 2 W1 is infinite: that of
# their quantiles at n levels grows like the logarithm of n. A single sample does not say so: its W1 is
# finite, and more points do not make it steadier. Only the law can tell, and :func:`otdist.closed.laws`
# asks for it. (A Cauchy law and its translate by 1 are at distance 1: what is infinite is the way, not the
# law.)

tails = [100, 1000, 10_000, 100_000]
laws = {
    "normal": (scipy.stats.norm, rng.standard_normal),
    "Cauchy": (scipy.stats.cauchy, rng.standard_cauchy),
}
heavy = {name: [] for name in laws}
drawn = {name: [] for name in laws}
for n in tails:
    for name, (law, draw) in laws.items():
        levels = law.ppf((np.arange(n) + 0.5) / n)
        heavy[name].append(otdist.w1(levels, 2.0 * levels).value)
        drawn[name].append([otdist.w1(draw(n), 2.0 * draw(n)).value for _ in range(9)])
limit = otdist.closed.normal(0, 1, 0, 2).value
spread = {name: np.ptp(values, axis=1) for name, values in drawn.items()}
print("between quantiles", {name: np.round(values, 3) for name, values in heavy.items()})
print("largest less smallest of 9 samples", {name: np.round(values, 3) for name, values in spread.items()})
assert abs(heavy["normal"][-1] / limit - 1.0) < 1e-3 and spread["normal"][-1] < 0.1 * spread["normal"][0]
assert np.allclose(np.diff(heavy["Cauchy"]), 2 / np.pi * np.log(10), rtol=0.01)
assert spread["Cauchy"].min() > 1.0
refused = False
try:
    otdist.closed.laws(scipy.stats.cauchy(0, 1), scipy.stats.cauchy(0, 2))
except otdist.InputError as error:
    refused = "infinite moment" in str(error)
assert refused

# %%
# **One outlier.** 100 forecasts, all but one within noise of what happened; one is off by r. W1 grows by
# r/100, the mean squared error and the squared W2 by r²/100. That is more robust, and not robust: no r is
# too large.

truth = rng.normal(size=100)
forecast = truth + 0.1 * rng.normal(size=100)
misses = np.array([0.0, 1, 2, 5, 10, 20, 50, 100])
harm = {"MSE": [], "$W_2^2$": [], "$W_1$": []}
last = np.argmax(truth)  # the largest stays the largest, so the plan does not change
for r in misses:
    wrong = forecast + r * (np.arange(100) == last)
    harm["MSE"].append(np.mean((wrong - truth) ** 2))
    harm["$W_2^2$"].append(otdist.wasserstein(wrong, truth, p=2).value ** 2)
    harm["$W_1$"].append(otdist.w1(wrong, truth).value)
growth = {name: values[-1] - values[0] for name, values in harm.items()}
print({name: round(value, 2) for name, value in growth.items()})
assert abs(growth["$W_1$"] - 1.0) < 0.01
assert all(abs(growth[name] / 100.0 - 1.0) < 0.01 for name in ("MSE", "$W_2^2$"))

# %%
# All four, in pictures.

figure, ((kinks, biased), (tailed, outlier)) = plt.subplots(2, 2, figsize=(9.6, 7.0), layout="constrained")
for at, law, sampled, color, name in (
    (shifts, by_shift, sampled_shift, blue, "shift"),
    (scales - 1, by_scale, sampled_scale, orange, "scale - 1"),
):
    kinks.plot(at, law, color=color, label=f"{name}: laws")
    kinks.plot(at, sampled, color=color, linestyle=":", linewidth=2, label=f"{name}: 200 points")
kinks.set(xlabel="shift, or scale - 1", ylim=(0, 1.85), title="continuous, with kinks")
kinks.legend(frameon=False, ncols=2, loc="upper center", fontsize="small")

for (d, values), color in zip(bias.items(), (blue, green, red), strict=True):
    biased.plot(sizes, values, "o-", color=color, markersize=4)
    biased.annotate(f"d = {d}", (sizes[-1], values[-1]), (8, 0), textcoords="offset points", va="center")
biased.set(
    xscale="log", yscale="log", xlabel="points in each sample", xlim=(22, 600), title="samples of one law"
)
biased.set_xticks(sizes, labels=[str(n) for n in sizes])
biased.set_yticks([0.1, 0.3, 1, 3], labels=["0.1", "0.3", "1", "3"])

for name, color in (("Cauchy", red), ("normal", blue)):
    tailed.plot(tails, heavy[name], color=color, label=f"{name}: quantiles of scales 1 and 2")
    tailed.plot(np.repeat(tails, 9), np.ravel(drawn[name]), "o", color=color, markersize=3, alpha=0.5)
tailed.plot([], [], "o", color=grey, markersize=3, label="samples")
tailed.set(xscale="log", yscale="log", xlabel="points in each sample", title="no first moment, no limit")
tailed.set_yticks([1, 10, 100, 1000], labels=["1", "10", "100", "1,000"])
tailed.set_xticks(tails, labels=[f"{n:,}" for n in tails])
tailed.legend(frameon=False, loc="upper left", fontsize="small")

for (name, values), color, style in zip(harm.items(), (grey, orange, blue), ("-", "--", "-"), strict=True):
    outlier.plot(misses, values, style, marker="o", color=color, markersize=4, label=name)
outlier.set(xscale="symlog", yscale="log", xlim=(0, 120), xlabel="error of one forecast in 100")
outlier.set_xticks(misses, labels=[f"{r:g}" for r in misses])
outlier.set_yticks([0.01, 0.1, 1, 10, 100], labels=["0.01", "0.1", "1", "10", "100"])
outlier.set_title("one outlier")
outlier.legend(frameon=False, loc="upper left")
for panel in (kinks, biased, tailed, outlier):
    panel.minorticks_off()
    panel.grid(alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)
    panel.title.set_fontsize("medium")
plt.show()
