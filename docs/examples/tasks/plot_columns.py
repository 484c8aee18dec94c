"""
Which columns of a table have drifted
=====================================

Penguins measured in 2007 against those of 2009: :func:`otdist.compare` gives W1 of each column in its
own unit, and the noise floor, which two samples of one distribution exceed in 5 cases of 100.
"""

from importlib.resources import files

import matplotlib.pyplot as plt
from pyarrow import compute as pc
from pyarrow import csv

import otdist

with (files("otdist") / "data/penguins.csv").open("rb") as file:
    birds = csv.read_csv(file).drop_columns(["sex", "island"])
reference, current = (birds.filter(pc.field("year") == year).drop_columns(["year"]) for year in (2007, 2009))
report = otdist.compare(reference, current, joint=False)
columns = sorted(report.columns, key=lambda column: column.w1 / column.floor)
moved = [column.name for column in columns if column.qvalue <= 0.05]
assert moved == ["flipper_length_mm"]

# %%
# Beyond 1 a column has moved further than chance moves it. The right-hand plot shows the two distributions of
# the column that did: the area between the curves is W1.

blue, orange, grey = "#2b6cb0", "#dd7a1c", "#8a93a0"
figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.6), layout="constrained")
for k, column in enumerate(columns):
    left.barh(k, column.w1 / column.floor, 0.6, color=orange if column.name in moved else grey)
left.axvline(1.0, color="#222222", linestyle="--", linewidth=1.2)
left.set_yticks(range(len(columns)), labels=[column.name.replace("_", " ") for column in columns])
left.set(xlabel="W1 in noise floors", title="Columns of the table")
name = moved[0]
values = [table[name].drop_null().to_numpy() for table in (reference, current)]
for sample, color, label in zip(values, (blue, orange), ("2007", "2009"), strict=True):
    right.ecdf(sample, color=color, linewidth=1.8, label=label)
right.set(xlabel=name.replace("_", " "), ylabel="share of birds below", title="The one that moved")
right.legend(frameon=False)
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)
plt.show()
