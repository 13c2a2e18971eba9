"""The GPU's kernels under Triton's interpreter, against the oracle. `tests/test_gpu.py` runs this file in a
process of its own, because Triton chooses between interpreter and compiler when it is imported.

The interpreter computes with numpy, whose float32 operations round as a GPU's do. Two of its operations are
replaced here: its `fma` rounds twice, and its `splat` forgets that a comparison of single numbers is a truth
value. With that, everything must be equal bit for bit.
"""

import os

os.environ["TRITON_INTERPRET"] = "1"

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from numba import njit
from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

import mho
from mho.kernels import oracle
from mho.kernels.cpu.memory import Arrays
from mho.kernels.gpu import drawing, noise, primitives, product, update
from mho.kernels.gpu import normal as gpu_normal
from mho.kernels.gpu.update import GpuKernels
from mho.kernels.law.cache import module_of
from mho.kernels.law.dialect import TRITON
from mho.kernels.law.plan import KernelPlan
from mho.numerics import math32, normal
from mho.numerics.compile import ELEMENTARY
from mho.numerics.rng import Stream, Use
from new_operation import Rippled, add_the_sine

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's, of inf and nan that are meant
F = np.float32


def fma(self, a, b, c):
    """a * b + c rounded once to float32: in float64, rounded to odd where that is inexact, then to float32."""
    a, b, c = (np.asarray(v.data, np.float64) for v in (a, b, c))
    product = a * b  # exact
    total = product + c
    part = total - product
    lost = (product - (total - part)) + (c - part)
    odd = np.nextafter(total, np.where(lost > 0, np.inf, -np.inf))
    inexact = (lost != 0) & np.isfinite(total) & (total.view(np.int64) & 1 == 0)
    return TensorHandle(np.where(inexact, odd, total).astype(F), tl.float32)


def splat(self, kind, number):
    """A block filled with a number, of the number's own type."""
    [value] = np.asarray(number.data).reshape(-1)
    return TensorHandle(np.full(kind.shape, value), number.dtype.scalar)


InterpreterBuilder.create_fma = fma
InterpreterBuilder.create_splat = splat


# Elementary functions.

EDGES = [-np.inf, -3.5, -3, -2, -1, -0.5, -0.0, 0, 1e-45, 1e-39, 0.5, 1, 2, 3, 88.73, 129, 8388607, 16777216]
EDGES = np.array([*EDGES, np.inf, np.nan], F)
N = 4096
SCALAR = [e.function for name, e in ELEMENTARY.items() if hasattr(math32, name)]
gpu_math32 = module_of("mho_test_math32", TRITON.library("Elementary functions.", SCALAR))


@triton.jit
def apply_1(x, out, function: tl.constexpr, size: tl.constexpr):
    at = tl.arange(0, size)
    tl.store(out + at, function(tl.load(x + at)))


@triton.jit
def apply_2(x, y, out, function: tl.constexpr, size: tl.constexpr):
    at = tl.arange(0, size)
    tl.store(out + at, function(tl.load(x + at), tl.load(y + at)))


def points():
    """(x, y): all pairs of edge cases, numbers of all sizes, numbers near 1."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 3, (2, N)).astype(F)
    x[: N // 2] = np.exp2(rng.uniform(-149, 127, N // 2))
    pairs = np.meshgrid(EDGES, EDGES)
    for line, edges in zip((x, y), pairs, strict=True):
        line[: edges.size] = edges.ravel()
    return x, y


def assert_same_bits(got, expected, x):
    got, expected = np.asarray(got), np.asarray(expected)
    different = (got.view(np.int32) != expected.view(np.int32)) & ~(np.isnan(got) & np.isnan(expected))
    assert not different.any(), [v[different][:5] for v in (x, got, expected)]


@pytest.mark.parametrize(
    "name",
    ["exp32", "expm1_32", "exp2_32", "log32", "log2_32", "log1p_32", "tanh32", "sigmoid32", "softplus32",
     "sqrt32", "abs32"],
)  # fmt: skip
def test_functions_of_one_number(name):
    scalar = getattr(math32, name)

    @njit(fastmath=False, error_model="numpy")
    def loop(x, out):
        for q in range(x.size):
            out[q] = scalar(x[q])

    x, _ = points()
    expected, out = np.empty_like(x), torch.empty(N)
    loop(x, expected)
    function = getattr(primitives, name, None) or getattr(gpu_math32, name)
    apply_1[(1,)](torch.from_numpy(x), out, function, N)
    assert_same_bits(out, expected, x)


@pytest.mark.parametrize("name", ["pow32", "min32", "max32"])
def test_functions_of_two_numbers(name):
    scalar = getattr(math32, name)

    @njit(fastmath=False, error_model="numpy")
    def loop(x, y, out):
        for q in range(x.size):
            out[q] = scalar(x[q], y[q])

    x, y = points()
    expected, out = np.empty_like(x), torch.empty(N)
    loop(x, y, expected)
    apply_2[(1,)](torch.from_numpy(x), torch.from_numpy(y), out, getattr(gpu_math32, name), N)
    assert_same_bits(out, expected, x)


def test_primitives():
    x, y = points()
    out = torch.empty(N)
    apply_2[(1,)](torch.from_numpy(x), torch.from_numpy(y), out, primitives.div32, N)
    assert_same_bits(out, x / y, x)
    apply_1[(1,)](torch.from_numpy(x), out, primitives.neg32, N)
    assert_same_bits(out, -x, x)
    halves = np.concatenate([np.arange(-20, 20, 0.25), 2.0**22 + np.arange(-4, 4, 0.5), EDGES]).astype(F)
    x = np.resize(halves, N)
    apply_1[(1,)](torch.from_numpy(x), out, primitives.rint32, N)
    assert_same_bits(out, np.rint(x), x)


@triton.jit
def normals(words, first, second, size: tl.constexpr):
    at = tl.arange(0, size)
    a, b = gpu_normal.normal_pair(tl.load(words + at).to(tl.uint32))
    tl.store(first + at, a)
    tl.store(second + at, b)


def test_normal_pairs():
    words = np.random.default_rng(1).integers(0, 2**32, N).astype(np.uint32)
    first, second = torch.empty(2, N)
    normals[(1,)](torch.from_numpy(words.astype(np.int64)), first, second, N)
    expected = np.array([normal.normal_pair(w) for w in words], F).T
    assert_same_bits(first, expected[0], words)
    assert_same_bits(second, expected[1], words)


# Updates.


class Wavy(mho.Response):
    """A user's law: where, exp, pow and five fields."""

    tau: float = 0.9
    bend: float = 0.4
    knee: float = 0.1
    rate: float = 1.5
    power: float = 1.3

    def up(self, w):
        return torch.where(w > self.knee, 1 - w / self.tau, torch.exp(-self.rate * w) * (1 - w / self.tau))

    def down(self, w):
        return (1 + w / self.tau).clamp(0) ** self.power * (1 + self.bend * w * w)

    def bounds(self):
        return -self.tau, self.tau


LAWS = [mho.responses.Constant(), mho.responses.SoftBounds(), mho.responses.Power()]
LAWS += [mho.responses.Exponential(), Wavy()]


def check_against_oracle(
    device, pulses, samples=2, n_in=19, n_out=2, lr=0.05, events=(0,), at_least=20, **tile
):
    """Equal weights, counts and statistics: the GPU's kernels, the CPU's, and the plain loops of the oracle."""
    g = torch.Generator().manual_seed(1)
    cpu = mho.Tile(0.3 * torch.randn(n_out, n_in, generator=g), device, pulses=pulses, key=2**63 + 42, **tile)
    x = torch.randn(samples, n_in, generator=g)
    x[torch.rand(samples, n_in, generator=g) < 0.3] = 0.0
    d = 0.1 * torch.randn(samples, n_out, generator=g)
    buffers = [
        b.clone() for b in (cpu.cells, cpu.planes, cpu._apparent, cpu.reference, cpu.counts, cpu.touched)
    ]
    gpu = GpuKernels(KernelPlan.of(device, cpu.parameters_of_cells.values()), Arrays(*buffers), cpu.key)
    weights = cpu.cells.numpy().copy()
    name = "aggregated" if pulses.aggregate else "trains" if pulses.rounding == "trains" else "rounded"
    for event in events:
        sent = gpu.update(x, d, lr, pulses, event)
        info = cpu.update(x, d, lr)
        kernels = cpu._kernels
        module = kernels.flow if pulses.aggregate else kernels.module
        factors = x.numpy(), d.numpy(), lr, device.dw_min
        counts = getattr(oracle, name)(
            module, weights, cpu.planes.numpy(), kernels.scal, *factors, pulses, cpu.key, event
        )
        assert sent.up + sent.down >= at_least, "the test must send pulses"
        assert (sent.up, sent.down) == counts
        assert sent == (info.up, info.down, -1, info.clipped, info.lines)
        np.testing.assert_array_equal(buffers[0].numpy(), weights)
    for ours, theirs in zip(
        buffers, (cpu.cells, cpu.planes, cpu._apparent, cpu.reference, cpu.counts, cpu.touched), strict=True
    ):
        assert torch.equal(ours, theirs)


NOISES = [(law, "additive") for law in LAWS] + [(LAWS[1], "multiplicative"), (LAWS[4], "multiplicative")]


@pytest.mark.parametrize(("law", "c2c"), NOISES, ids=lambda v: v if isinstance(v, str) else type(v).__name__)
def test_trains(law, c2c):
    spread = {"gain": 0.3} | ({"tau": 0.1} if isinstance(law, Wavy) else {})
    device = mho.Device(law, dw_min=2e-3, sigma_c2c=0.3, c2c=c2c, spread=spread)
    check_against_oracle(device, mho.Pulses(bl=31))


@pytest.mark.parametrize(
    ("bl", "lr", "managements"),
    [
        (5, 0.05, (False, False)),
        (31, -0.05, (True, False)),
        (100, 0.05, (True, False)),
        (100, -0.05, (True, True)),
        (5, 0.5, (True, True)),
    ],
)
def test_kinds_of_trains(bl, lr, managements):
    device = mho.Device(mho.responses.SoftBounds(), dw_min=2e-3)
    pulses = mho.Pulses(bl=bl, update_management=managements[0], bl_management=managements[1])
    check_against_oracle(device, pulses, lr=lr, at_least=20)


def test_blocks_of_samples_and_of_columns_do_not_show(monkeypatch):
    monkeypatch.setattr(update, "_COLUMNS", 16)  # two programs a row
    monkeypatch.setattr(drawing, "WIDTH", 16)
    monkeypatch.setattr(update, "_ROOM", 31 * 19)  # a block a sample
    monkeypatch.setattr(noise, "_ROOM", 64)  # a strip a row
    monkeypatch.setattr(noise, "_CALLS", 2)
    monkeypatch.setattr(noise, "_SCAN", 2)
    device = mho.Device(mho.responses.SoftBounds(), dw_min=2e-3, sigma_c2c=0.3)
    check_against_oracle(device, mho.Pulses(), samples=3, n_out=5)


def test_reference_cell_counters_and_events():
    device = mho.Device(
        mho.responses.SoftBounds(), dw_min=3e-3, sigma_c2c=0.3, reference_mean=0.1, reference_std=0.2
    )
    check_against_oracle(device, mho.Pulses(), events=(0, 1), count_cells=True)


def test_clipped_lines():
    device = mho.Device(mho.responses.Constant(), dw_min=2e-4)
    check_against_oracle(device, mho.Pulses(bl=7, update_management=False, bl_management=False), lr=0.1)


def test_bounds_hold():
    device = mho.Device(mho.responses.Constant(tau_max=0.1, tau_min=-0.1), dw_min=7e-3)
    check_against_oracle(device, mho.Pulses(), lr=0.2)


def test_one_column_and_a_sample_without_pulses():
    device = mho.Device(mho.responses.Constant(), dw_min=1e-3)
    check_against_oracle(device, mho.Pulses(), n_in=1, samples=4, lr=0.3, at_least=1)


@pytest.mark.parametrize(("law", "c2c"), NOISES, ids=lambda v: v if isinstance(v, str) else type(v).__name__)
def test_aggregated_pulses(law, c2c, monkeypatch):
    monkeypatch.setattr(update, "_ROOM", 2 * 2 * 4 * 19)  # two groups of two samples a block, then one of one
    device = mho.Device(law, dw_min=2e-4, sigma_c2c=0.3, c2c=c2c, spread={"gain": 0.3}, reference_std=0.1)
    pulses = mho.Pulses(bl=100, aggregate=2)
    check_against_oracle(device, pulses, samples=5, lr=-0.05, at_least=1000, count_cells=True)


@pytest.mark.parametrize("law", [mho.responses.SoftBounds(), Wavy()], ids=lambda law: type(law).__name__)
def test_rounded_pulses(law):
    device = mho.Device(law, dw_min=2e-3, sigma_c2c=0.3, spread={"gain": 0.3})
    check_against_oracle(device, mho.Pulses(bl=3, rounding="stochastic"), lr=-0.05, count_cells=True)


@pytest.mark.parametrize("kind", [{}, {"column": 2}, {"row": 1}], ids=["matrix", "column", "row"])
def test_given_numbers_of_pulses(kind):
    device = mho.Device(dw_min=2e-3, sigma_c2c=0.3, reference_std=0.1)
    tile = mho.Tile(torch.zeros(5, 7), device, key=9, count_cells=True)
    names = "cells", "planes", "_apparent", "reference", "counts", "touched"
    buffers = {name: getattr(tile, name).clone() for name in names}
    gpu = GpuKernels(
        KernelPlan.of(device, tile.parameters_of_cells.values()), Arrays(*buffers.values()), tile.key
    )
    shape = (5,) if "column" in kind else (7,) if kind else (5, 7)
    n = torch.randint(-3, 4, shape, generator=torch.Generator().manual_seed(2)).float()
    info = tile.pulse(n, **kind)
    assert info.up and info.down
    place = kind.get("row", 0), kind.get("column", 0)
    n = n[:, None] if "column" in kind else n.reshape(-1, 7)
    sent = gpu.send_counted(n, *place, int(n.abs().sum()), 0)
    assert (sent.up, sent.down, sent.bad) == (info.up, info.down, -1)
    for name in names[:-1]:
        assert torch.equal(buffers[name], getattr(tile, name)), name


class Exploding(mho.Response):
    """A law with a pole at w = 0.5."""

    def up(self, w):
        return 1 / (0.5 - w)

    def down(self, w):
        return torch.ones_like(w)

    def bounds(self):
        return -1.0, 1.0


@pytest.mark.parametrize("kind", [{}, {"aggregate": 2}, {"rounding": "stochastic"}], ids=str)
def test_gains_of_the_two_directions(kind):
    device = mho.Device(dw_min=2e-3, sigma_c2c=0.3, up_down=0.3, up_down_std=0.2)
    check_against_oracle(device, mho.Pulses(bl=5, **kind))


def test_noise_of_the_law():
    law = mho.responses.ExpStep(noise=0.5, noise_add=0.3, noise_slope=2.0)
    check_against_oracle(mho.Device(law, dw_min=2e-3, c2c="law"), mho.Pulses(bl=5))


def test_an_operation_that_one_edit_adds(monkeypatch):
    add_the_sine(monkeypatch)
    device = mho.Device(Rippled(), dw_min=2e-3, sigma_c2c=0.3, spread={"gain": 0.3, "rate": 0.1})
    check_against_oracle(device, mho.Pulses(bl=31))


def test_a_row_with_a_broken_weight_is_named():
    device = mho.Device(Exploding(), dw_min=0.1)
    tile = mho.Tile(torch.tensor([[0.0, 0.0], [0.0, 0.5]]), device)
    tile.cells.fill_(0.0)[1, 1] = float("nan")
    buffers = (tile.cells, tile.planes, tile._apparent, tile.reference, tile.counts, tile.touched)
    gpu = GpuKernels(KernelPlan.of(device, tile.parameters_of_cells.values()), Arrays(*buffers), 0)
    assert gpu.update(torch.ones(1, 2), torch.ones(1, 2), 1.0, mho.Pulses(), 0).bad == 1


# Products.

IOS = [
    mho.IO(),
    mho.IO(sigma_inp=0.1, out_bound=2.0),
    mho.IO(noise_management="none", inp_res=0, out_res=0, out_bound=1.0, max_bm_factor=8),
    mho.IO(sigma_out=0, bound_management="none"),
    mho.IO(perfect=True),
]


def tile_and_input(io):
    g = torch.Generator().manual_seed(0)
    device = mho.Device(mho.responses.Constant(tau_max=9.0, tau_min=-9.0))
    tile = mho.Tile(torch.randn(6, 21, generator=g), device, {"forward": io, "transfer": io}, key=2**63 + 7)
    x = torch.randn(5, 21, generator=g)
    x[2] = 0.0
    return tile, x


@pytest.mark.parametrize("io", IOS, ids=range(len(IOS)))
def test_products(io, monkeypatch):
    monkeypatch.setattr(product, "_WIDEST", 16)  # two blocks a sample
    tile, x = tile_and_input(io)
    use = Use(tile.key, Stream.FORWARD, 0)
    y = tile.forward(x)
    assert torch.equal(product.multiply(tile.w.mT, x, io, use), y)
    assert torch.equal(product.multiply(tile.w.mT, -x, io, use, sign=-1.0), y)
    assert torch.equal(product.read_line(tile.w, 1, 20, io, Use(tile.key, Stream.READ, 0)), tile.read(20))
    assert torch.equal(product.read_line(tile.w, 0, 5, io, Use(tile.key, Stream.READ, 1)), tile.read(row=5))


def test_bound_management_was_needed():
    """Else `test_products` would not see it."""
    tile, x = tile_and_input(IOS[1])
    once = product._Product(tile.w.mT, x, IOS[1], Use(tile.key, Stream.FORWARD, 0), 1.0)
    once.attempt(0, None)
    assert once.n_over > 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_found(value):
    x = torch.ones(3, 5)
    assert product.bad_factors(x, x) == [-1, -1]
    good = torch.ones(3, 40)
    x[1, 4] = x[2, 0] = value
    use = Use(0, Stream.FORWARD, 0)
    assert product.bad_factors(good, x) == [-1, 1]
    assert product.bad_factors(x, good) == [1, -1]
    assert product.multiply(torch.ones(5, 2), x, mho.IO(), use) is None
    assert product.multiply(torch.ones(5, 2), x, mho.IO(perfect=True), use) is None
