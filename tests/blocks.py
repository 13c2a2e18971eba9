"""One block, driven by hand, and the arithmetic that hand-written traces share: what tests of algorithms use."""

import numpy as np
import torch

import mho
from mho.nn.core import product as analog
from mho.nn.core.block import Block
from mho.nn.core.calls import Calls
from mho.responses import Constant, SoftBounds

FREE = Constant(tau_max=100.0, tau_min=-100.0)
DW_P, DW_W = 2.0**-5, 2.0**-7
DEVICES = {"P": mho.Device(FREE, dw_min=DW_P), "W": mho.Device(FREE, dw_min=DW_W)}
COUNTED = {"update": mho.Expected(), "transfer": mho.Pulses()}
"""P changes by exactly what is asked of it, W by whole pulses."""
NOISY = mho.Device(SoftBounds(), dw_min=2e-3, sigma_c2c=0.3)


def block_of(algorithm, device=None, shape=(2, 3), key=5, io=None, **options):
    """A block that starts from W = -0.3 ... 0.3, without digital scales."""
    hardware = mho.Crossbar(
        algorithm=algorithm, device=device or DEVICES, io=io, mapping=mho.Mapping(out_scale="none"), **options
    )
    return Block(torch.linspace(-0.3, 0.3, shape[0] * shape[1]).reshape(shape), hardware, key)


def step(block, x, d, lr=0.1):
    """One step with these factors, as the optimizer would do it."""
    block.record(x.reshape(-1, block.shape[1]), d.reshape(-1, block.shape[0]))
    block.step(lr)


def see(block, x):
    """The block's product, as autograd sees it."""
    out, n_in = block.shape
    calls = block.__dict__.setdefault("calls_of_test", Calls())
    return analog.product(x, analog.MatrixLayout([block], [(0, out)], [(0, n_in)], calls), True)


def batches(shape, n, samples=2, seed=0):
    """n times x (samples, in), d (samples, out) and a learning rate that changes."""
    g = torch.Generator().manual_seed(seed)
    out, n_in = shape
    rates = (0.1, 0.05, 0.2)
    return [
        (torch.randn(samples, n_in, generator=g), torch.randn(samples, out, generator=g), rates[t % 3])
        for t in range(n)
    ]


def recorded(block, data):
    """What the block holds at the start and after each step: {array, buffer or "weight": float64}."""
    found = [snapshot(block)]
    for x, d, lr in data:
        step(block, x, d, lr)
        found.append(snapshot(block))
    return found


def snapshot(block):
    parts = {name: part.w for name, part in block.state.named_children() if hasattr(part, "w")}
    parts |= dict(block.state.named_buffers(recurse=False)) | {"weight": block.weight.data}
    return {name: part.numpy().astype(float) for name, part in parts.items()}


def assert_follows(found, expected):
    """After each step everything that the trace names is what it says."""
    steps = 0
    for steps, numbers in enumerate(expected, 1):
        for name, value in numbers.items():
            what = f"{name} after step {steps}"
            np.testing.assert_allclose(found[steps][name], value, rtol=2e-5, atol=2e-5, err_msg=what)
    assert steps == len(found) - 1


def fields_of(algorithm):
    """The id of a case."""
    return repr(algorithm).replace(" ", "")


def assert_products(block):
    """Forward and backward see `weight`, whatever it is made of."""
    g = torch.Generator().manual_seed(3)
    x, gradient = (torch.randn(4, n, generator=g, requires_grad=True) for n in reversed(block.shape))
    y = see(block, x)
    y.backward(gradient)
    torch.testing.assert_close(y, x @ block.weight.mT)
    torch.testing.assert_close(x.grad, gradient @ block.weight)


def product(x, d):
    """Minus the gradient, in float64: the sum over samples of d x^T."""
    return d.double().numpy().T @ x.double().numpy()


def n_lines(by, shape):
    return {"column": shape[1], "row": shape[0], "all": 1}[by]


def line(by, k, shape):
    """Number and place of the line that the k-th transfer is about, k = 1, 2, ..."""
    j = (k - 1) % n_lines(by, shape)
    return j, {"column": np.s_[:, j], "row": np.s_[j, :], "all": np.s_[:, :]}[by]


def beta(a, lr):
    return a.transfer_lr * (lr if a.scale_transfer_lr else 1.0)


def alpha(a, lr):
    return a.fast_lr * (lr if a.scale_fast_lr else 1.0)


def threshold(a, shape):
    """Weight units that make one pulse, aihwkit's two formulas, for DEVICES."""
    if a.auto_granularity > 0:
        return DW_P * a.auto_granularity / (n_lines(a.transfer, shape) * a.transfer_every)
    return a.thres_scale * DW_W


def take_pulses(H, at, a):
    """The whole pulses in H[at], which loses them."""
    n = np.clip(np.trunc(H[at]), -a.max_pulses, a.max_pulses)
    H[at] = np.where(n != 0, a.momentum * H[at], H[at]) if a.forget_buffer else H[at] - (1 - a.momentum) * n
    return n


def trained(algorithm, device=NOISY, steps=40, **options):
    """A block after a training by its own products, with pulses: what tells algorithms apart bit by bit."""
    block = block_of(algorithm, device, **options)
    target = torch.linspace(0.4, -0.4, block.weight.numel()).reshape(block.shape)
    for x, _, lr in batches(block.shape, steps, samples=4):
        (see(block, x) - x @ target.mT).square().sum().backward()
        block.step(lr)
    return block


def assert_same(one, other, names):
    """Bit for bit; a tile is compared by its hidden cells and its counters of pulses."""
    for name in names:
        a, b = (getattr(block if name == "weight" else block.state, name) for block in (one, other))
        if hasattr(a, "cells"):
            assert a.pulses_sent == b.pulses_sent, name
            a, b = a.cells, b.cells
        assert torch.equal(a, b), name
