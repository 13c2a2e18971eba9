"""The training iteration that contenders share: forward, loss, backward, step, zero_grad of a small network."""

from itertools import pairwise

import torch
from torch import nn

WIDTHS = (784, 256, 128, 10)
BATCH, LR, ITERATIONS = 10, 0.05, 50
GAMMA, FAST_LR = 0.4, 0.01
DW_MIN, TAU, C2C, GAIN_SPREAD = 1e-3, 0.6, 0.3, 0.3  # soft bounds


def model(widths: tuple[int, ...] = WIDTHS) -> nn.Sequential:
    """784-256-128-10 with sigmoids, or other widths; the same initial weights for everyone."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for n_in, out in pairwise(widths):
        layers += [nn.Linear(n_in, out), nn.Sigmoid()]
    return nn.Sequential(*layers[:-1])


class Iterations:
    """ITERATIONS mini-batches of random images and labels, one pass a call; the weights go on from call to call."""

    def __init__(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, batch: int = BATCH, where: str = "cpu"
    ) -> None:
        generator = torch.Generator().manual_seed(1)
        self.network, self.optimizer, self.loss = network, optimizer, nn.CrossEntropyLoss()
        self.x = torch.rand(ITERATIONS, batch, WIDTHS[0], generator=generator).to(where)
        self.y = torch.randint(WIDTHS[-1], (ITERATIONS, batch), generator=generator).to(where)

    def __call__(self) -> None:
        for x, y in zip(self.x, self.y, strict=True):
            self.loss(self.network(x), y).backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
