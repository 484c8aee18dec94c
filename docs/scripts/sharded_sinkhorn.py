"""Sinkhorn divergence of two clouds whose rows lie on several processes."""

import torch
import torch.distributed as dist

from otdist.learn import sharded_divergence


def main() -> None:
    """Run by torchrun, once on each process."""
    dist.init_process_group("gloo")  # "nccl", and torch.cuda.set_device, on GPUs
    rank, processes = dist.get_rank(), dist.get_world_size()

    # Here every process draws all points and keeps its rows; yours would read its own part.
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(400, 3, generator=rng).tensor_split(processes)[rank].requires_grad_()
    y = (torch.randn(300, 3, generator=rng) + 0.5).tensor_split(processes)[rank]

    value, info = sharded_divergence(x, y, p=2)
    value.backward()  # on every process: x.grad is the gradient of the one value for its rows

    if rank == 0:
        print(f"divergence {value.item():.4f}, residual below 1e-4: {bool(info['converged'])}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
