"""Random numbers of training steps: drawn on the CPU step by step, copied to the device in blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

BLOCK_STEPS = 100  # steps whose numbers are copied together
BLOCK_BYTES = 2**26  # largest size of a block


@dataclass(eq=False)
class StepNumbers:
    """Random numbers of one kind for one step after another.

    The numbers do not depend on device or block size: each step has a draw of its own. A copy per block
    instead of per step does not stall a device, which would wait for the host each time.

    Attributes
    ----------
    generator : torch.Generator
        Random generator on the CPU, which is ahead of the steps by the rest of the block.
    draw : callable
        ``draw()`` draws the numbers of one step, shape (n, ...), on the CPU.
    device : torch.device
        Device of the numbers.
    n_steps : int
        Steps of a block.
    key : tuple
        Sizes and sources that the draws depend on.
    gather : callable, optional
        Function of the numbers of a block, shape (n_steps, n, ...), on the CPU before they are copied.
    """

    generator: torch.Generator
    draw: Callable[[], Tensor]
    device: torch.device
    n_steps: int
    key: tuple[object, ...] = ()
    gather: Callable[[Tensor], Tensor] | None = None
    block: Tensor | None = field(default=None, init=False)
    position: int = field(default=0, init=False)
    start: Tensor | None = field(default=None, init=False)  # state of the generator before the block

    def next(self) -> Tensor:
        """Return the numbers of the next step, on the device."""
        if self.block is None or self.position == len(self.block):
            self.start, self.position = self.generator.get_state(), 0
            numbers = torch.stack([self.draw() for _ in range(self.n_steps)])
            self.block = copy_to_device(numbers if self.gather is None else self.gather(numbers), self.device)
        self.position += 1
        return self.block[self.position - 1]

    def get_state(self) -> Tensor:
        """Return the state of the generator after the numbers of the steps so far, without the rest."""
        if self.block is None or self.start is None or self.position == len(self.block):
            return self.generator.get_state()
        ahead = self.generator.get_state()
        self.generator.set_state(self.start)
        for _ in range(self.position):
            self.draw()
        state = self.generator.get_state()
        self.generator.set_state(ahead)
        return state

    def rewind(self) -> None:
        """Return the rest of the block, so that others can draw from the generator."""
        self.generator.set_state(self.get_state())
        self.block = None


def count_steps(bytes_per_step: int) -> int:
    """Return the number of steps in a block for a device."""
    return max(1, min(BLOCK_STEPS, BLOCK_BYTES // max(bytes_per_step, 1)))


def copy_to_device(values: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor of the CPU to a device; CUDA reads it from pinned memory, and the host does not wait."""
    if device.type == "cuda":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)
