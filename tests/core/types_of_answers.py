"""Types that a checker sees: statements that basedpyright checks (see .ci/run), and pytest does not run."""

from pathlib import Path
from typing import assert_type

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import torch
from scipy import stats
from torch import Tensor

import otdist
from otdist.learn import Critic, W1Loss, divergence, fit_wgan
from otdist.result import Result

points = np.zeros((3, 2))
tensor = torch.zeros((3, 2), requires_grad=True)

# The value is a float, and a tensor where a tensor went in, also as weights.
assert_type(otdist.w1(points, points).value, float)
assert_type(otdist.w1([0.0, 1.0], [2.0]).value, float)
assert_type(otdist.w1(tensor, points).value, Tensor)
assert_type(otdist.w1(points, tensor, metric="cityblock").value, Tensor)
assert_type(otdist.w1(points, points, tensor[:, 0]).value, Tensor)
assert_type(otdist.w1(points, points, b=tensor[:, 0]).value, Tensor)
assert_type(otdist.wasserstein(points, points, p=2).value, float)
assert_type(otdist.wasserstein(tensor, tensor, p=2), Result[Tensor])
assert_type(otdist.emd([[0.0, 1.0]]).value, float)
assert_type(otdist.emd(tensor).value, Tensor)
assert_type(otdist.wasserstein_1d(tensor, points), Tensor)

# Arithmetic is that of the value.
assert_type(otdist.w1(points, points) - 1.0, float)
assert_type(otdist.w1(tensor, points) / 2, Tensor)
assert_type(otdist.w1(points, points) < 1, bool)

# Any container of numbers, and options by name.
otdist.w1(pd.DataFrame({"a": [0.0]}), pl.DataFrame({"a": [1.0]}))
otdist.w1(pa.table({"a": [0.0]}), iter([1.0, 2.0]), method="sinkhorn", eps=0.1)
otdist.w1(points, points, method="sparse", on_interval=lambda lower, upper, seconds: None)
otdist.closed.laws(stats.norm(0, 1), [0.0, 1.0])
otdist.compare({"a": [1.0]}, {"a": ["b"]}).report("page.html")
divergence(tensor, points, p=2, penalty="tv")
fit_wgan(points, objective="w1", constraint="orthogonal", n_critic="auto").report(Path("page.html"), points)
Critic(family=["anchors", "folds"]).fit(points, lambda count: np.zeros((count, 2)))
W1Loss("critic", family="gp")

# What is no option, or none of its values, is an error: without one the comment would be an error itself.
otdist.w1(points, points, epsilon=0.1)  # pyright: ignore[reportCallIssue]
otdist.w1(points, points, nan_policy="drop")  # pyright: ignore[reportArgumentType, reportCallIssue]
otdist.w1(object(), points)  # pyright: ignore[reportArgumentType, reportCallIssue]
fit_wgan(points, constraint="orthogonl")  # pyright: ignore[reportArgumentType]
W1Loss("critic", family="g")  # pyright: ignore[reportArgumentType]
