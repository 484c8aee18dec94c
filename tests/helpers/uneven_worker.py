"""What tests/learn/test_learn_uneven.py starts by torchrun: processes with rows of different numbers."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from otdist.learn import W1Loss, fit_wgan, sharded_divergence

STEPS = 2
LOSSES = {
    "exact": lambda: W1Loss("exact"),
    "sinkhorn": lambda: W1Loss("sinkhorn"),
    "sliced": lambda: W1Loss("sliced", n_projections=8),
    "orthogonal": lambda: W1Loss(inner_steps=2),
    "anchors": lambda: W1Loss(family="anchors", anchors=8, inner_steps=2),
    "gp": lambda: W1Loss(family="gp", inner_steps=2),
    "clip": lambda: W1Loss(family="clip", inner_steps=2),
}


def points(seed):
    """Fakes and reals of all processes."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(7, 3, generator=rng), torch.randn(6, 3, generator=rng) + 1.0


def part(rows, rank, share):
    """Rows of a process: ``share`` of them on the first, the others on the second; rank None: all."""
    return rows if rank is None else rows[:share] if rank == 0 else rows[share:]


def trained(name, rank, shares):
    """Values and gradients of some calls of a loss."""
    loss, found = LOSSES[name](), []
    for seed in range(STEPS):
        fake, real = (part(rows, rank, share) for rows, share in zip(points(seed), shares, strict=True))
        fake = fake.clone().requires_grad_()
        value = loss(fake, real)
        value.backward()
        found.append((value.item(), fake.grad))
    return found


def divergence_of(rank, shares):
    """Value and gradients of the sharded divergence."""
    x, y = (part(rows, rank, share).double() for rows, share in zip(points(0), shares, strict=True))
    x, y = x.requires_grad_(), y.requires_grad_()
    value, _ = sharded_divergence(x, y, tol=1e-9)
    value.backward()
    return value.item(), x.grad, y.grad


def said(call):
    """What a call raises."""
    try:
        call()
    except ValueError as error:
        return str(error)
    return None


def metrics(rank):
    """Values of the metric where processes have other numbers of batches."""
    from otdist.learn.w1metric import W1Metric

    found = {}
    metric = W1Metric()
    if rank == 0:
        metric.update(torch.tensor([[1.0, 0], [2, 0]]), torch.tensor([[0.0, 0], [1, 0]]))
    found["one has none"] = metric.compute().item()
    metric.update(torch.tensor([[5.0, 0]]), torch.tensor([[4.0, 0]]))  # after the synchronisation all go on
    found["more"] = metric.compute().item()
    metric.reset()
    for seed in range(3 if rank == 0 else 1):
        metric.update(*points(10 * rank + seed))
    found["updates"] = metric.compute().item()
    metric.reset()
    found["none"] = said(metric.compute)
    metric = W1Metric()
    metric.update(torch.zeros(2, 2 + rank), torch.zeros(2, 2 + rank))
    found["columns"] = said(metric.compute)
    return found


def main(folder):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    none = torch.zeros(0, 3)
    found = {name: trained(name, rank, (7, 6)) for name in LOSSES}
    found["apart"] = trained("exact", rank, (7, 0))
    found["divergence"] = divergence_of(rank, (7, 6))
    found["divergence apart"] = divergence_of(rank, (0, 6))
    rows = np.random.default_rng(0).normal(size=(80, 2))
    found["said"] = {
        "empty": said(lambda: W1Loss()(none, points(0)[1])),
        "gp apart": said(lambda: trained("gp", rank, (7, 0))),
        "shapes": said(lambda: W1Loss()(*(z.view(len(z), *((1, 3), (3, 1))[rank]) for z in points(0)))),
        "type": said(lambda: W1Loss()(*(("text", "text") if rank else points(0)))),
        "sharded": said(lambda: sharded_divergence(none, points(0)[1])),
        "wgan": said(lambda: fit_wgan(rows, steps=1, batch_size=4, packing=4, check_points=16)),
    }
    found["metrics"] = metrics(rank)
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
