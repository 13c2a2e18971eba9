"""The GPU's kernels compiled for sm_90, without a GPU: run by `tests/test_gpu.py` in a process of its own.

A stand-in for the driver names the processor, and every launch compiles its kernel with the very arguments of
that launch but does not start it. What is then read is the assembly: it must round as the CPU does.
"""

import re

import pytest
import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

import mho
from mho.kernels.cpu.memory import Arrays
from mho.kernels.gpu import product
from mho.kernels.gpu.update import GpuKernels
from mho.kernels.law.plan import KernelPlan
from mho.numerics.rng import Stream, Use


class NoDriver:
    """What Triton asks of a driver until it launches."""

    def get_current_target(self):
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0


driver.set_active(NoDriver())
COMPILED = []
launch_kernel = JITFunction.run


def compile_only(self, *args, grid, warmup, **kwargs):
    COMPILED.append((self.__name__, launch_kernel(self, *args, grid=grid, warmup=True, **kwargs)))
    if self.__name__ == "place_rows":  # the host reads what it writes: eight numbers a row
        starts = args[2]
        torch.arange(0, 8 * len(starts), 8, out=starts)


JITFunction.run = compile_only

# A multiplication or addition without .rn may be fused with its neighbour by the assembler.
INEXACT = re.compile(r"approx|\.ftz|\.full|(?:mul|add|sub|div|sqrt)\.f(?:32|64)")
IN_NORMAL_PAIR = (
    14  # fused multiply-adds that the CPU's text asks for: 7 in the logarithm, 7 in sine and cosine
)


def compiled(run):
    """{kernel: compiled} of all launches of a function."""
    COMPILED.clear()
    run()
    return dict(COMPILED)


def kernels_of(device, n_in=40, n_out=6):
    tile = mho.Tile(torch.zeros(n_out, n_in), device, key=3, count_cells=True)
    buffers = (tile.cells, tile.planes, tile._apparent, tile.reference, tile.counts, tile.touched)
    return GpuKernels(KernelPlan.of(device, tile.parameters_of_cells.values()), Arrays(*buffers), 3)


def update(device, pulses, n_in=40, n_out=6, samples=2, lr=0.1, event=0):
    kernels = kernels_of(device, n_in, n_out)
    kernels.update(torch.ones(samples, n_in), torch.ones(samples, n_out), lr, pulses, event)


def assert_rounds_as_the_cpu(name, kernel, n_fused):
    assembly = kernel.asm["ptx"]
    assert ".target sm_90" in assembly
    assert kernel.asm["cubin"][:4] == b"\x7fELF", name
    assert not kernel.metadata.enable_fp_fusion, f"{name} is not launched with EXACT"
    assert set(INEXACT.findall(assembly)) == set(), name
    assert len(re.findall(r"\bfma\.", assembly)) == n_fused, name


LAWS = [mho.responses.Constant(), mho.responses.SoftBounds(), mho.responses.Power()]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
@pytest.mark.parametrize(("sigma", "c2c"), [(0.0, "additive"), (0.3, "additive"), (0.3, "multiplicative")])
def test_trains(law, sigma, c2c):
    device = mho.Device(law, sigma_c2c=sigma, c2c=c2c, spread={"gain": 0.3}, reference_std=0.1)
    kernels = compiled(lambda: update(device, mho.Pulses(bl=100)))
    of_noise = {"count_rows", "place_rows", "draw"}
    assert set(kernels) == {"measure", "words", "columns", "send_trains"} | (of_noise if sigma else set())
    for name, kernel in kernels.items():
        assert_rounds_as_the_cpu(name, kernel, 4 * IN_NORMAL_PAIR if name == "draw" else 0)


@pytest.mark.parametrize(("n_in", "cells_a_thread"), [(1, 1), (40, 1), (3000, 16)])
def test_rounded_pulses(n_in, cells_a_thread):
    device = mho.Device(LAWS[1], sigma_c2c=0.3)
    kernels = compiled(lambda: update(device, mho.Pulses(rounding="stochastic"), n_in=n_in))
    assert set(kernels) == {"send_rounded"}
    assert_rounds_as_the_cpu("send_rounded", kernels["send_rounded"], IN_NORMAL_PAIR * cells_a_thread)


def test_aggregated_pulses():
    device = mho.Device(LAWS[1], sigma_c2c=0.3, reference_std=0.1)
    kernels = compiled(lambda: update(device, mho.Pulses(aggregate=2)))
    assert set(kernels) == {"measure", "words", "count", "apply"}
    for name, kernel in kernels.items():
        assert_rounds_as_the_cpu(name, kernel, IN_NORMAL_PAIR if name == "apply" else 0)


class Decaying(mho.Response):
    """A law with one exponential up, and one down."""

    rate: float = 1.5

    def up(self, w):
        return torch.exp(-self.rate * w)

    def down(self, w):
        return 1 + torch.exp(w)

    def bounds(self):
        return -1.0, 1.0


def test_a_law_with_exponentials():
    kernels = compiled(lambda: update(mho.Device(Decaying()), mho.Pulses()))
    in_exp, columns_a_thread = 4, 2
    assert_rounds_as_the_cpu("send_trains", kernels["send_trains"], 2 * in_exp * columns_a_thread)


@pytest.mark.parametrize("rows", [None, [1, 3]])
def test_converters(rows):
    io = mho.IO(sigma_inp=0.1)
    x, matrix = torch.ones(5, 40), torch.ones(40, 6)
    once = product._Product(matrix, x, io, Use(3, Stream.FORWARD, 0), 1.0)
    kernels = compiled(lambda: once.attempt(0, None if rows is None else torch.tensor(rows)))
    assert set(kernels) == {"encode", "decode"}
    for name, kernel in kernels.items():
        assert_rounds_as_the_cpu(name, kernel, IN_NORMAL_PAIR)


def test_other_keys_and_rates_need_no_other_machine_code():
    kernels = kernels_of(mho.Device(LAWS[1], sigma_c2c=0.3))
    x, d = torch.ones(2, 40), torch.ones(2, 6)

    def updates():
        for event in range(40):
            kernels.update(x, d, 0.1 + event, mho.Pulses(), event)

    COMPILED.clear()
    updates()
    assert len({kernel.hash for _, kernel in COMPILED}) == 7
