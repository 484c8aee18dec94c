"""What tests/learn/test_learn_w1loss_processes.py starts on several processes: each writes what it found."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.distributed as dist
from networks import drawn, mlp, seeded
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from otdist.learn import W1Loss

ROWS = (13, 11)  # of fake, of real on the first process; the second has 9 and 14
TOTAL = (22, 25)
STEPS = 3
CASES = {
    "exact": lambda: W1Loss("exact"),
    "sinkhorn": lambda: W1Loss("sinkhorn", eps=0.05),
    "sliced": lambda: W1Loss("sliced", n_projections=16),
    "orthogonal": lambda: W1Loss(inner_steps=3),
    "anchors": lambda: W1Loss(family="anchors", anchors=8, inner_steps=3),
    "own": lambda: W1Loss(critic=mlp(seeded(dist.get_rank() if dist.is_initialized() else 0))),
    "gp": lambda: W1Loss(family="gp"),
    "weighted": lambda: W1Loss(inner_steps=3),
    "weighted, exact": lambda: W1Loss("exact"),
    "prepared": lambda: W1Loss(inner_steps=3),
}


def part(rows, side, rank):
    """Rows of a batch that belong to a process; None: all."""
    cut = ROWS[side]
    return rows if rank is None else rows[:cut] if rank == 0 else rows[cut:]


def trained(case, rank):
    """Values and gradients of some steps of a generator, on all rows or on those of one process."""
    generator = drawn(nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3)), seeded(5))
    loss, rng, found = CASES[case](), seeded(6), []
    model = generator if rank is None else DistributedDataParallel(generator)
    # The weights of fake points are learned as well: all of them on each process, which uses a part.
    logits = torch.zeros(TOTAL[0], requires_grad=True)
    learned = [*generator.parameters(), *([logits] if case.startswith("weighted") else [])]
    step = torch.optim.SGD(learned, lr=0.1)
    if case == "prepared":  # in evaluation mode, on points of its own
        own = torch.randn(40 + (rank or 0), 3, generator=seeded(rank or 0))
        loss.eval().prepare(own + 1.0, own / 2)
        loss.train()
    for _ in range(STEPS):
        z, real = torch.randn(TOTAL[0], 2, generator=rng), torch.randn(TOTAL[1], 3, generator=rng) + 1.0
        step.zero_grad()
        fake = model(part(z, 0, rank))
        a = part(logits.exp(), 0, rank) if case.startswith("weighted") else None
        value = loss(fake, part(real, 1, rank), a)
        value.backward()
        if rank is not None and logits.grad is not None:  # as DistributedDataParallel does
            dist.all_reduce(logits.grad)
            logits.grad /= dist.get_world_size()
        found.append((value.detach(), [p.grad.clone() for p in learned]))
        step.step()
    critic = {} if loss.online is None else {k: v.clone() for k, v in loss.online.critic.state_dict().items()}
    return {"steps": found, "critic": critic, "alone": _alone(loss, rank)}


def _alone(loss, rank):
    """Value in evaluation mode, called by the first process only."""
    if rank == 1:
        return None
    points = torch.linspace(0.0, 1.0, 18).view(6, 3)
    return loss.eval()(points, 1.0 - points).item(), loss.heldout(points, 1.0 - points)


def refused(call):
    """What is said of a bad argument."""
    try:
        call()
    except ValueError as error:
        return str(error)
    return None


def main(folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    found = {case: trained(case, rank) for case in CASES}
    y, ones = torch.ones(4, 3), torch.ones(4)
    said = {
        "labels": refused(lambda: W1Loss()(torch.arange(4) if rank else y, y)),
        "one weighted": refused(lambda: W1Loss()(y, y, ones if rank else None)),
        "no mass": refused(lambda: W1Loss()(y, y, b=0 * ones)),
        "mass on one": refused(lambda: W1Loss()(y, y, b=rank * ones)),
    }
    torch.save(found | {"said": said}, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()
