"""The kernels on a GPU. Without one, two other processes check them: one runs them in Triton's interpreter
against the oracle, one compiles them for sm_90 and reads the assembly."""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import mho
from mho.kernels.cpu.memory import Arrays
from mho.kernels.law.plan import KernelPlan
from mho.numerics.rng import Stream, Use

HERE = Path(__file__).parent
needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed: pip install 'mho[gpu]'"
)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA GPU")


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "part"),
    [("gpu_interpreted.py", "trains"), ("gpu_interpreted.py", "not trains"), ("gpu_compiled.py", "test")],
)
def test_without_a_gpu(file, part):
    if file == "gpu_interpreted.py" and importlib.metadata.version("triton") < "3.7":
        pytest.skip("Triton's interpreter before 3.7 fails with numpy 2.4")
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(HERE / file),
        "-k",
        part,
        "--tb=short",
        "-p",
        "no:cacheprovider",
    ]
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent, env=environment)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_nothing_imports_triton_before_it_is_needed():
    code = (
        "import sys, torch, mho; tile = mho.Tile(torch.zeros(2, 3), mho.Device());"
        "tile.update(tile.forward(torch.ones(3)).new_ones(3), torch.ones(2), 0.1); import mho.kernels.gpu;"
        "print('triton' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_a_row_too_long_to_round_is_refused():
    pytest.importorskip("triton", reason="Triton is not installed: pip install 'mho[gpu]'")
    from mho.kernels.gpu.update import GpuKernels

    device = mho.Device()
    tile = mho.Tile(torch.zeros(1, 20_000), device)
    buffers = (tile.cells, tile.planes, tile._apparent, tile.reference, tile.counts, tile.touched)
    kernels = GpuKernels(KernelPlan.of(device, tile.parameters_of_cells.values()), Arrays(*buffers), 0)
    with pytest.raises(mho.MhoError) as error:
        kernels.update(torch.ones(1, 20_000), torch.ones(1, 1), 0.1, mho.Pulses(rounding="stochastic"), 0)
    assert str(error.value) == (
        "`Tile.update`: rounding is stochastic and the tile has 20000 columns. A GPU can round rows of up to "
        "16384. Fix: use smaller tiles."
    )


# With a GPU: it gives the CPU's bits.

LAWS = [
    mho.responses.Constant(),
    mho.responses.SoftBounds(),
    mho.responses.Power(),
    mho.responses.Exponential(),
]


@needs_gpu
@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
@pytest.mark.parametrize("c2c", ["additive", "multiplicative"])
@pytest.mark.parametrize("kind", [{}, {"rounding": "stochastic"}, {"aggregate": 8}], ids=str)
def test_updates_equal_those_of_the_cpu(law, c2c, kind):
    from mho.kernels.gpu.update import GpuKernels

    device = mho.Device(law, dw_min=1e-3, sigma_c2c=0.3, c2c=c2c, spread={"gain": 0.3}, reference_std=0.1)
    pulses = mho.Pulses(bl=100, **kind)
    cpu = mho.Tile(torch.zeros(70, 300), device, pulses=pulses, key=2**63 + 5, count_cells=True)
    buffers = [
        b.cuda() for b in (cpu.cells, cpu.planes, cpu._apparent, cpu.reference, cpu.counts, cpu.touched)
    ]
    gpu = GpuKernels(KernelPlan.of(device, cpu.parameters_of_cells.values()), Arrays(*buffers), cpu.key)
    g = torch.Generator().manual_seed(0)
    x, d = torch.randn(16, 300, generator=g), 0.1 * torch.randn(16, 70, generator=g)
    for event, lr in enumerate([0.1, -0.05]):
        sent, info = gpu.update(x.cuda(), d.cuda(), lr, pulses, event), cpu.update(x, d, lr)
        assert info.up + info.down > 10_000, "the test must send pulses"
        assert sent == (info.up, info.down, -1, info.clipped, info.lines)
        for ours, theirs in zip(
            buffers,
            (cpu.cells, cpu.planes, cpu._apparent, cpu.reference, cpu.counts, cpu.touched),
            strict=True,
        ):
            assert torch.equal(ours.cpu(), theirs)


@needs_gpu
def test_products_are_those_of_the_cpu_up_to_the_order_of_additions():
    from mho.kernels.gpu.product import multiply, read_line

    io = mho.IO(sigma_inp=0.1, out_bound=6.0, out_res=0)  # no rounding, which would turn an ulp into a step
    device = mho.Device(mho.responses.Constant(tau_max=9.0, tau_min=-9.0))
    g = torch.Generator().manual_seed(0)
    tile = mho.Tile(torch.randn(70, 300, generator=g), device, {"forward": io, "transfer": io}, key=7)
    x = torch.randn(16, 300, generator=g)
    y = multiply(tile.w.cuda().mT, x.cuda(), io, Use(7, Stream.FORWARD, 0))
    torch.testing.assert_close(y.cpu(), tile.forward(x), rtol=1e-5, atol=1e-4)
    column = read_line(tile.w.cuda(), 1, 20, io, Use(7, Stream.READ, 0))
    assert torch.equal(column.cpu(), tile.read(20))
