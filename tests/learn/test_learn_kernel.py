"""The CUDA kernel in Triton's interpreter, which needs no GPU, against the tiles of torch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """if True:
    import warnings
    import torch
    from otdist.learn import divergence
    from otdist.learn.sinkhorn.kernel import softmin_rows
    from otdist.learn.sinkhorn.softmin import _softmin_tile

    rng = torch.Generator().manual_seed(0)
    for p in (1, 2):
        for size, n, m, d in ((1, 40, 130, 3), (2, 5, 7, 1), (2, 33, 65, 20), (1, 1, 1, 2)):
            x, y = (torch.randn(size, k, d, generator=rng) + 100 for k in (n, m))
            h, eps = torch.randn(size, m, generator=rng), torch.rand(size, 1, generator=rng) + 0.01
            h[:, : m // 2] = -torch.inf  # no mass
            found, expected = softmin_rows(x, y, h, eps, p), _softmin_tile(x, y, h, eps, p)
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    x, y = torch.randn(20, 2, generator=rng), torch.randn(15, 2, generator=rng)
    options = {"tol": None, "n_iter": 12, "eps": 0.3}
    for p in (1, 2):
        found = divergence(x, y, p=p, engine="triton", **options)[0]
        torch.testing.assert_close(found, divergence(x, y, p=p, **options)[0], rtol=1e-4, atol=1e-5)
"""


def test_the_kernel_computes_what_torch_computes():
    pytest.importorskip("triton", reason="triton is not installed")
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
