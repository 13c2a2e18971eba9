"""Networks for two processes, and their training by both or by one alone."""

import copy
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

import mho
from mho import parallel
from mho.algorithms import ERIDER, AnalogSGD, ResidualLearning, TikiTakaV2
from mho.responses import Constant, SoftBounds

RANKS = 2
FOLDER = Path()  # what the ranks may share
CHECKS = {}
NOISY = mho.IO(sigma_inp=0.05)
DEVICE = mho.Device(SoftBounds(), dw_min=2e-3, sigma_c2c=0.3, spread={"gain": 0.1})
SMALL = mho.Mapping(max_in=4, max_out=3, omega=0.4, out_scale="columnwise")
ALGORITHMS = {
    "AnalogSGD": AnalogSGD(),
    "ResidualLearning": ResidualLearning(fast_lr=0.1),
    "TikiTakaV2": TikiTakaV2(fast_lr=0.1),
    "ERIDER": ERIDER(),
}
EXACT = mho.Crossbar(
    algorithm=AnalogSGD(), device=mho.Device(Constant()), io=None, pulses=mho.Expected(), mapping=SMALL
)


class Network(nn.Module):
    """Analog layers of several sub-tiles, one of them used twice, one that can be left out, and a digital one."""

    def __init__(self, hardware):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.twice = nn.Linear(6, 5), nn.Linear(5, 5)
        self.maybe, self.last = nn.Linear(5, 5), nn.Linear(5, 3)
        self.skips = False
        mho.convert_(self, {name: hardware for name in ("first", "twice", "maybe")})

    def forward(self, x):
        h = torch.tanh(self.first(x))
        h = torch.tanh(self.twice(torch.tanh(self.twice(h))))
        return self.last(h if self.skips else h + self.maybe(h))


class Images(nn.Module):
    """A convolution and a digital layer."""

    def __init__(self, hardware):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.last = nn.Conv2d(2, 5, 3, padding=1), nn.Linear(5, 3)
        mho.convert_(self, {"conv": hardware})

    def forward(self, x):
        images = torch.cat([x, x.flip(1)], dim=1).reshape(len(x), 2, 2, 3)
        return self.last(torch.tanh(self.conv(images)).mean(dim=(2, 3)))


class Sequence(nn.Module):
    """An LSTM of three time steps and a digital layer."""

    def __init__(self, hardware):
        super().__init__()
        torch.manual_seed(0)
        self.lstm, self.last = nn.LSTM(2, 5, batch_first=True), nn.Linear(5, 3)
        mho.convert_(self, {"lstm": hardware})

    def forward(self, x):
        return self.last(self.lstm(x.reshape(len(x), 3, 2))[0][:, -1])


def noisy(algorithm=ALGORITHMS["ResidualLearning"]):
    return mho.Crossbar(algorithm=algorithm, device=DEVICE, io=NOISY, mapping=SMALL)


def batch(step, number, samples=4):
    g = torch.Generator().manual_seed(100 * step + number)
    return torch.randn(samples, 6, generator=g)


def loss_of(model, step, number, samples=4):
    x = batch(step, number, samples)
    return (model(x) - x[:, :3] * x[:, 3:]).square().mean()


def optimizer_of(model):
    return mho.AnalogOptimizer(model, lr=0.1, momentum=0.9)


def alone(model, optimizer, steps, micro_batches=1, samples=(4, 4), between=None):
    """One process has the micro-batches of all ranks, one after the other."""
    n = RANKS * micro_batches
    for step in steps:
        optimizer.zero_grad()
        for number in range(n):
            (loss_of(model, step, number, samples[number % RANKS]) / n).backward()
        if between:
            between(model)
        optimizer.step()


def together(model, optimizer, steps, micro_batches=1, samples=(4, 4), between=None):
    """Each process has its own; after every step all have the same arrays."""
    rank = dist.get_rank()
    for step in steps:
        optimizer.zero_grad()
        for m in range(micro_batches):
            (loss_of(model, step, RANKS * m + rank, samples[rank]) / micro_batches).backward()
        if between:
            between(model)
        optimizer.step()
        parallel.assert_identical(model)


def assert_same(model, other, but=()):
    """Bit for bit, the numbers of calls among them."""
    a, b = model.state_dict(), other.state_dict()
    assert a.keys() == b.keys()
    different = [name for name in a if not torch.equal(a[name], b[name]) and not name.endswith(but or "\n")]
    assert different == []


def both(kind, hardware, steps=6, micro_batches=1, samples=(4, 4), between=None):
    """A model trained by two processes, and one trained by this process alone; neither has stood still."""
    models = kind(hardware), kind(hardware)
    optimizers = [optimizer_of(model) for model in models]
    start = copy.deepcopy(models[0].state_dict())
    parallel.connect(models[0], optimizers[0])
    together(models[0], optimizers[0], range(steps), micro_batches, samples, between)
    alone(models[1], optimizers[1], range(steps), micro_batches, samples, between)
    moved = [name for name, value in models[0].state_dict().items() if not torch.equal(value, start[name])]
    assert {"bias", "cells", "out_scale", "tally"} <= {name.rpartition(".")[2] for name in moved}
    return models


def check(function):
    """Adds a check, which takes the number of the rank, under its name."""
    CHECKS[function.__name__] = function
    return function
