"""A whole training iteration beside one of plain torch: each algorithm in turn with it.

    python benchmarks/iteration.py fcn AnalogSGD ERIDER   # all without names; or lenet
    MHO_DATA=... OMP_WAIT_POLICY=passive python benchmarks/iteration.py fcn

Batches of MNIST if `MHO_DATA` has it, else random ones of the same sparsity. It prints medians of the phases in
milliseconds, the median and the quartiles of the ratio to digital, and the pulses of an iteration. Nothing else
should run meanwhile, and the ratios are what may be quoted.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

import mho
import mho.testing

BATCH = {"fcn": 10, "lenet": 8}


def network(kind: str) -> nn.Sequential:
    """Make 784-256-128-10 or LeNet."""
    torch.manual_seed(0)
    if kind == "fcn":
        sizes = (nn.Linear(784, 256), nn.Sigmoid(), nn.Linear(256, 128), nn.Sigmoid(), nn.Linear(128, 10))
        return nn.Sequential(*sizes)
    first = nn.Conv2d(1, 16, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 5), nn.Tanh(), nn.MaxPool2d(2)
    return nn.Sequential(*first, nn.Flatten(), nn.Linear(512, 128), nn.Tanh(), nn.Linear(128, 10))


def batches(kind: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return 100 batches of images and labels."""
    n = 100 * BATCH[kind]
    try:
        data = mho.data.load("mnist")
        x, y = data.x_train[:n], data.y_train[:n]
    except mho.MhoError:
        g = torch.Generator().manual_seed(1)
        x = torch.rand(n, 784, generator=g) * (torch.rand(n, 784, generator=g) < 0.19)
        y = torch.randint(0, 10, (n,), generator=g)
    x = x.reshape(n, 784) if kind == "fcn" else x.reshape(n, 1, 28, 28)
    return list(zip(x.split(BATCH[kind]), y.split(BATCH[kind]), strict=True))


class Training:
    """A network in training."""

    def __init__(self, kind: str, algorithm: mho.Algorithm | None) -> None:
        self.model, self.data, self.at = network(kind), batches(kind), 0
        self.optimizer: Any = torch.optim.SGD(self.model.parameters(), lr=0.05)
        if algorithm is not None:
            law = mho.responses.SoftBounds(tau_max=0.6, tau_min=-0.6)
            device = mho.Device(law, dw_min=1e-3, sigma_c2c=0.3, spread={"gain": 0.3})
            mho.convert_(self.model, mho.Crossbar(algorithm, device=device), key=0)
            self.optimizer = mho.AnalogOptimizer(self.model, lr=0.05)

    def iterate(self) -> list[float]:
        """Return the seconds of forward, backward, step, and of all."""
        x, y = self.data[self.at % len(self.data)]
        self.at += 1
        times = [time.perf_counter()]
        self.optimizer.zero_grad()
        loss = functional.cross_entropy(self.model(x), y)
        times.append(time.perf_counter())
        loss.backward()
        times.append(time.perf_counter())
        self.optimizer.step()
        times.append(time.perf_counter())
        return [times[1] - times[0], times[2] - times[1], times[3] - times[2], times[3] - times[0]]

    def several(self, n: int) -> list[float]:
        """Return the medians of n iterations, after one that warms the caches."""
        self.iterate()
        return [statistics.median(phase) for phase in zip(*(self.iterate() for _ in range(n)), strict=True)]


def compare(kind: str, algorithm: mho.Algorithm, rounds: int) -> str:
    """Return the row of an algorithm."""
    digital, analog, n = Training(kind, None), Training(kind, algorithm), 12 if kind == "fcn" else 4
    for training in (digital, analog):
        training.several(30)
    before, steps = _pulses(analog.model), analog.at
    pairs = [(digital.several(n), analog.several(n)) for _ in range(rounds)]
    pulses = (_pulses(analog.model) - before) / (analog.at - steps)
    ratios = sorted(own[3] / other[3] for other, own in pairs)
    phases = (1e3 * statistics.median(own[k] for _, own in pairs) for k in range(4))
    low, middle, high = (ratios[int(q * (rounds - 1))] for q in (0.25, 0.5, 0.75))
    row = " ".join(f"{phase:8.3f}" for phase in phases)
    return f"{type(algorithm).__name__:20}{row}   {middle:.2f} [{low:.2f} {high:.2f}] {pulses:9.0f}"


def _pulses(model: nn.Module) -> int:
    tiles = (m for m in model.modules() if isinstance(m, mho.Tile))
    return sum(sum(tile.pulses_sent) for tile in tiles)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each algorithm."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", choices=BATCH)
    parser.add_argument(
        "algorithms", nargs="*", help="classes of mho.algorithms; all but DigitalSGD without any"
    )
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    mho.set_threads(options.threads)
    known = {cls.__name__: cls for cls in mho.testing.algorithms() if cls.__name__ != "DigitalSGD"}
    print(f"{'':20} forward backward     step    total   ratio to digital [quartiles], pulses")
    for name in options.algorithms or known:
        print(compare(options.network, known[name](), options.rounds), flush=True)


if __name__ == "__main__":
    main()
