"""What tests/learn/test_evaluate_torchmetrics.py starts on several processes: W1 of the rows of all."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.distributed as dist


def batches(seed=0):
    rng = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(n, 3, generator=rng), torch.randn(m, 3, generator=rng) + 0.5)
        for n, m in ((20, 30), (7, 1), (1, 9))
    ]


def main(folder):
    from otdist.learn.w1metric import W1Metric

    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    metric = W1Metric()
    for fake, real in batches(dist.get_rank()):
        metric.update(fake, real)
    # A file for each: lines that two processes print at once may become one.
    Path(folder, f"{dist.get_rank()}.txt").write_text(float(metric.compute()).hex())
    dist.destroy_process_group()
