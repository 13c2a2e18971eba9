"""Two hundred thousand training steps in one process, with memory that stays flat.

    python tests/soak.py --steps 200000     # `make soak`, a report at the end; exit code 1 if memory grows

Models of several algorithms take steps by turns, with batches of changing sizes, evaluations, checkpoints that are
saved and loaded, and copies. Resident memory is sampled; a line is fitted to it after a warm-up. Memory counts as
flat if the slope is below a byte a step, or below three of its standard errors. Errors come from the means of 20
blocks, because neighbouring samples are alike.
"""

import argparse
import copy
import io
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress

import mho

ALGORITHMS = (
    mho.algorithms.AnalogSGD(),
    mho.algorithms.TikiTakaV2(),
    mho.algorithms.AGAD(),
    mho.algorithms.ERIDER(),
    mho.algorithms.ResidualLearning(),
    mho.algorithms.MixedPrecision(),
)
DEVICE = mho.Device(dw_min=0.01, sigma_c2c=0.3, spread={"gain": 0.1})
SAMPLES = 400
WARM_UP = 0.25  # of all steps, which the line leaves out
FLAT = 1.0  # bytes a step


class Learner:
    """A network of one layer, 4 x 8, that learns from random numbers."""

    def __init__(self, algorithm: mho.Algorithm) -> None:
        hardware = mho.Crossbar(algorithm, DEVICE, mho.IO())
        self.model: Any = torch.nn.Sequential(torch.nn.Linear(8, 12), torch.nn.Tanh(), torch.nn.Linear(12, 4))
        mho.convert_(self.model, hardware, key=1)
        self.optimizer = mho.AnalogOptimizer(self.model, lr=0.01)

    def step(self, n: int) -> None:
        """Take a step; at some of them evaluate, save and load, or go on with a copy."""
        x = torch.randn(1 + n % 8, 8)
        self.optimizer.zero_grad()
        self.model(x).square().mean().backward()
        self.optimizer.step()
        if n % 100 == 50:
            self.model.eval()
            with torch.no_grad():
                assert torch.isfinite(self.model(x)).all()
            self.model.train()
        if n % 1000 == 500:
            file = io.BytesIO()
            torch.save([self.model.state_dict(), self.optimizer.state_dict()], file)
            file.seek(0)
            model, optimizer = torch.load(file, weights_only=True)
            self.model.load_state_dict(model)
            self.optimizer.load_state_dict(optimizer)
        if n % 5000 == 2500:
            assert math.isfinite(sum(p.sum().item() for p in copy.deepcopy(self.model).parameters()))


def resident() -> int:
    """Return the resident memory of this process [bytes]."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return 4096 * pages


def line(steps: list[int], memory: list[int], blocks: int = 20) -> tuple[float, float]:
    """Return the slope of a line through the means of blocks and its standard error [bytes a step]."""
    size = len(steps) // blocks
    x, y = (
        torch.tensor(v[: size * blocks], dtype=torch.float64).reshape(blocks, size).mean(1)
        for v in (steps, memory)
    )
    dx = x - x.mean()
    slope = (dx * y).sum() / dx.square().sum()
    rest = y - y.mean() - slope * dx
    return slope.item(), (rest.square().sum() / (blocks - 2) / dx.square().sum()).sqrt().item()


def main() -> None:
    """Train, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=200_000, help="of all algorithms together")
    parser.add_argument("--report", type=Path, help="a JSON file of all samples")
    asked = parser.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(1)
    learners = [Learner(algorithm) for algorithm in ALGORITHMS]
    every, began = max(1, asked.steps // SAMPLES), time.monotonic()
    steps, memory = [], []
    with Progress(console=Console(stderr=True)) as bar:
        for n in bar.track(range(1, asked.steps + 1), description="steps"):
            learners[n % len(learners)].step(n // len(learners))
            if n % every == 0:
                steps.append(n)
                memory.append(resident())
    first = int(WARM_UP * len(steps))
    slope, error = line(steps[first:], memory[first:])
    mib = [m / 2**20 for m in memory]
    print(f"{asked.steps} steps of {len(learners)} algorithms in {time.monotonic() - began:.0f} s")
    print(
        f"resident memory [MiB]: {mib[0]:.1f} first, {mib[first]:.1f} warm, {mib[-1]:.1f} last, {max(mib):.1f} most"
    )
    print(f"slope after the warm-up: {slope:.3f} +- {error:.3f} bytes a step")
    if asked.report:
        asked.report.write_text(
            json.dumps({"slope": slope, "error": error, "steps": steps, "memory": memory})
        )
    sys.exit(slope > max(FLAT, 3 * error))


if __name__ == "__main__":
    main()
