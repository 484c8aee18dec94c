"""
The ground cost decides: images, series, tables, words
=======================================================

W1 knows the data only by the distance between two points. With a distance that does not see what matters it
answers another question, exactly. Four kinds of data, each with a distance that misleads and one that does
not.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

import otdist
from otdist.metrics import Metric, mixed

blue, orange, green, red, grey = "#2b6cb0", "#dd7a1c", "#2f8f5b", "#b3364c", "#777777"
rng = np.random.default_rng(0)

# %%
# Images
# ------
#
# A batch of real digits, against another real batch, and against ten *blurred* ones: the centres of
# k-means, each with the mass of its group. By pixels the blurred ones are nearer
# :cite:p:`stanczuk2021`! A loss that asks for small W1 of batches asks for blur. Two remedies. The distance
# between the class scores that a small network gives the images sees most of the difference. And the cause
# is the noise of the batches: less half of W1 within either side, as in :func:`otdist.sinkhorn_divergence`,
# a real batch is at 0 by pixels, too.

digits = load_digits()
images, labels = digits.data / 16, digits.target
order = rng.permutation(len(images))
train, rest = order[:900], order[900:]
network = MLPClassifier((64,), learning_rate_init=0.005, max_iter=500, random_state=0)
network.fit(images[train], labels[train])
groups = KMeans(10, n_init=2, random_state=0).fit(images[train])
blurred, share = groups.cluster_centers_, np.bincount(groups.labels_) / len(train)


def scores(z):
    """Class scores: the last layer before the softmax."""
    hidden = np.maximum(z @ network.coefs_[0] + network.intercepts_[0], 0.0)
    return hidden @ network.coefs_[1] + network.intercepts_[1]


def mean_w1(view, n, draws=5):
    """W1 of a real batch to real, to blurred ones and to one mean image; the first two less noise; means."""
    rows, flat = [], view(images[train].mean(axis=0, keepdims=True))
    for _ in range(draws):
        one, other, third, fourth = view(images[rng.permutation(rest)[: 4 * n]]).reshape(4, n, -1)
        real, blur = otdist.w1(one, other).value, otdist.w1(one, view(blurred), None, share).value
        noise = [otdist.w1(*both).value / 2 for both in ((one, third), (other, fourth))]
        rows.append([real, blur, otdist.w1(one, flat).value, real - sum(noise), blur - noise[0]])
    return np.mean(rows, axis=0)


sizes = [32, 64, 128, 224]
pixels = np.array([mean_w1(lambda z: z, n) for n in sizes])
classes = np.array([mean_w1(scores, n) for n in sizes])
for name, table in (("pixels", pixels), ("scores", classes)):
    for n, row in zip(sizes, table, strict=True):
        print(f"{name} n = {n:3}: real {row[0]:.3f}, ten blurred {row[1]:.3f}, one mean image {row[2]:.3f}")
        print(f"{'':16} less noise {row[3]:.3f}, {row[4]:.3f}")
print(
    f"the network is right on {network.score(images[rest], labels[rest]):.1%} of the digits it has not seen"
)

assert (pixels[:3, 1] < pixels[:3, 0]).all() and pixels[0, 0] > 1.1 * pixels[0, 1]  # blurred images win
assert (classes[1:, 1] > classes[1:, 0]).all()  # and lose
assert np.abs(pixels[:, 3]).max() < 0.1 and (pixels[:, 4] > 0.6).all()
assert (pixels[:, 2] > pixels[:, 0]).all()  # one mean image alone loses in any case

# %%
# The blurred ones win in batches of up to 128; from 224 on noise no longer hides the difference. Scores see
# it from 64 on, and not in batches of 32. Less noise it shows in all of them, by pixels. The one mean of
# all digits, which is said to win among larger images, loses here by either distance.
#
# Series
# ------
#
# A bump somewhere in time. Point by point, a bump that comes later is as far as two smaller bumps are.
# Dynamic time warping (DTW) may stretch time: now a late bump is the same. **But DTW is no metric.** It
# breaks the triangle inequality, so there is no 1-Lipschitz critic of it, and no WGAN: only
# :func:`otdist.emd` with the matrix of costs, whose answer is a cost and not a distance.

clock = np.arange(60.0)


def bumps(places, height=1.0):
    """Series with bumps around some times, one row for each row of places."""
    return height * np.exp(-((clock[None, None] - places[:, :, None]) ** 2) / (2 * 2.5**2)).sum(axis=1)


def dtw(u, v):
    """Costs of the best warping between all rows, with absolute differences."""
    best = np.full((len(u), len(v), u.shape[1] + 1, v.shape[1] + 1), np.inf)
    best[:, :, 0, 0] = 0.0
    for i in range(u.shape[1]):
        for j in range(v.shape[1]):
            before = np.minimum(best[:, :, i, j], np.minimum(best[:, :, i, j + 1], best[:, :, i + 1, j]))
            best[:, :, i + 1, j + 1] = before + np.abs(u[:, None, i] - v[None, :, j])
    return best[:, :, -1, -1]


early = bumps(rng.uniform(10, 25, (30, 1)))
late = bumps(rng.uniform(35, 50, (30, 1)))
double = bumps(np.column_stack([rng.uniform(8, 16, 30), rng.uniform(24, 32, 30)]), height=0.7)
euclid = {name: otdist.w1(early, other).value for name, other in (("late", late), ("double", double))}
warped = {name: otdist.emd(dtw(early, other)).value for name, other in (("late", late), ("double", double))}
print("Euclidean", euclid, "DTW", warped)
assert euclid["late"] > 1.1 * euclid["double"] and warped["late"] < 0.1 * warped["double"]

a, b, c = (np.array([row], dtype=float) for row in ([0], [1, 2], [2, 3, 3]))
legs, straight = dtw(a, b)[0, 0] + dtw(b, c)[0, 0], dtw(a, c)[0, 0]
print(f"DTW: {straight:g} straight, {legs:g} by a detour")
assert straight > legs
try:
    otdist.emd(dtw(early, late)).critic(early)
except otdist.InputError as error:
    print(error)
else:
    raise AssertionError("a cost without triangle inequality must have no critic")

# %%
# Tables
# ------
#
# Labels written as numbers have an order that they do not have in the world. Euclidean W1 changes when the
# labels are numbered anew; :func:`otdist.metrics.mixed` counts a label as equal or not, beside numbers in
# their units, and is a metric.

colours = [np.repeat([0, 1, 2], counts) for counts in ((60, 20, 20), (20, 20, 60))]
prices = [rng.normal(10.0, 1.0, 100) for _ in range(2)]
gower = mixed([4.0, 1.0], categorical=[False, True])
answers = {"Euclidean": [], "mixed": []}
for numbering in ([0, 1, 2], [0, 2, 1], [1, 0, 2]):
    x, y = (np.column_stack([p, np.array(numbering)[col]]) for p, col in zip(prices, colours, strict=True))
    answers["Euclidean"].append(otdist.w1(x, y).value)
    answers["mixed"].append(otdist.w1(x, y, metric=gower).value)
print({name: np.round(values, 3) for name, values in answers.items()})
assert np.ptp(answers["mixed"]) < 1e-12 and np.ptp(answers["Euclidean"]) > 0.2

# %%
# Words
# -----
#
# The edit distance is a metric on words. So two lists of words have a W1 in edits, and a critic which gives
# *any* word a score: high where the first list is, and never steeper than one an edit. Word counts, the
# usual features, see no difference between a typing error and another word.


def edits(u, v):
    """Least number of letters to insert, delete or change."""
    row = list(range(len(v) + 1))
    for i, letter in enumerate(u):
        last, row = row, [i + 1]
        for j, other in enumerate(v):
            row.append(min(last[j + 1] + 1, row[j] + 1, last[j] + (letter != other)))
    return float(row[-1])


clean = ["monday", "tuesday", "friday", "sunday", "january", "march"]
typed = ["munday", "tuesdy", "fridai", "sunday", "janury", "marhc"]
others = ["orange", "lemon", "cherry", "plum", "banana", "apple"]
words = clean + typed + others + ["saturday", "melon"]
table = np.array([[edits(u, v) for v in words] for u in words])
metric = Metric(
    "edits", lambda x, y: table[x[:, 0].astype(int)[:, None], y[:, 0].astype(int)[None]], triangle=True
)
numbers = {word: [float(k)] for k, word in enumerate(words)}
spelled = {
    name: otdist.w1([numbers[w] for w in clean], [numbers[w] for w in row], metric=metric)
    for name, row in (("typed", typed), ("others", others))
}
counted = {
    name: 2 * (1 - len(set(clean) & set(row)) / 6) for name, row in (("typed", typed), ("others", others))
}
print({name: r.value for name, r in spelled.items()}, "counts:", counted)
score = spelled["others"].critic([numbers[word] for word in ("saturday", "melon")])
print("critic of days and months against fruit: saturday", score[0], "melon", score[1])
assert spelled["typed"].value < 1.2 and spelled["others"].value > 4 * spelled["typed"].value
assert counted["typed"] > 0.8 * counted["others"] and score[0] > score[1]

# %%
# In pictures. Above: real digits, and the ten blurred ones. Below: W1 of a real batch to another real
# batch, relative to W1 to the blurred ones: above 1 blur is preferred; and the other three kinds.

figure = plt.figure(figsize=(9.6, 6.4), layout="constrained")
above, below = figure.subfigures(2, 1, height_ratios=[1, 1.9])
for part, rows, name in zip(
    above.subfigures(1, 2), (images[rest[:10]], blurred), ("real", "blurred: centres of groups"), strict=True
):
    part.suptitle(name, fontsize="medium")
    for axes, row in zip(part.subplots(2, 5).flat, rows, strict=True):
        axes.imshow(row.reshape(8, 8), cmap="Greys")
        axes.set_axis_off()

picture, series, tables, texts = below.subplots(1, 4, width_ratios=[1.5, 1, 1, 1])
ratios = (("pixels", pixels[:, 0] / pixels[:, 1], red), ("class scores", classes[:, 0] / classes[:, 1], blue))
for name, ratio, color in ratios:
    picture.plot(sizes, ratio, "o-", color=color, markersize=4, label=name)
picture.plot(sizes, pixels[:, 3] / pixels[:, 4], "o-", color=green, markersize=4, label="pixels, less noise")
picture.axhline(1.0, color="#333333", linestyle="--", linewidth=1)
picture.set(xscale="log", ylim=(-0.2, 1.45), xlabel="images in a batch", title="real / blurred")
picture.set_xticks(sizes, labels=[str(n) for n in sizes])
picture.minorticks_off()
picture.legend(frameon=False, fontsize="small", loc="center right")


def bars(axes, title, groups, names):
    """Two bars in each of two groups, in parts of the larger one."""
    for k, (values, color) in enumerate(zip(zip(*groups.values(), strict=True), (orange, blue), strict=True)):
        tall = [value / max(pair) for value, pair in zip(values, groups.values(), strict=True)]
        axes.bar(np.arange(len(tall)) + 0.38 * k - 0.19, tall, 0.36, color=color, label=names[k])
    axes.set_xticks(range(len(groups)), labels=list(groups))
    axes.set(title=title, ylim=(0, 1.45), yticks=[0, 0.5, 1])
    axes.legend(frameon=False, fontsize="small", loc="upper center")


bars(
    series,
    "one early bump to",
    {"Euclid": euclid.values(), "DTW": warped.values()},
    ["one late bump", "two bumps"],
)
bars(
    tables,
    "labels numbered",
    {name: values[:2] for name, values in answers.items()},
    ["one way", "another way"],
)
bars(
    texts,
    "words to",
    {"counts": counted.values(), "edits": [r.value for r in spelled.values()]},
    ["misspelled", "other words"],
)
for axes in (picture, series, tables, texts):
    axes.spines[["top", "right"]].set_visible(False)
    axes.title.set_fontsize("medium")
plt.show()
