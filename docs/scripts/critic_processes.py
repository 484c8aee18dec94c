"""A critic of two sources, trained by several processes."""

import numpy as np
import torch.distributed as dist

from otdist.bench import problems
from otdist.learn import Critic


def main() -> None:
    """Run by torchrun, once on each process."""
    dist.init_process_group("gloo")  # "nccl", and torch.cuda.set_device, on GPUs
    rng = np.random.default_rng(dist.get_rank())  # fresh points of its own on every process

    pair = problems.shift([3.0, 4.0])
    x = lambda n: pair.sample(n, 1, rng, np.float32)[0]  # noqa: E731
    y = lambda n: pair.sample(1, n, rng, np.float32)[1]  # noqa: E731
    critic = Critic(anchors=64, batch=512, steps=200, rng=0).fit(x, y)

    if dist.get_rank() == 0:
        print(f"held-out lower bound {critic.gaps['test']:.1f} of {pair.w1:.1f}")
        critic.save("critic")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
