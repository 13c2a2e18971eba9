"""What one pulse costs on one core, and what the unavoidable part of it costs: `python benchmarks/pulse_cost.py`.

The unavoidable work of a pulse is its noise (Philox words and a normal number), its share of the bit lines,
and its law, applied to a contiguous array that stays in the first-level cache. The rows of the table are
medians of 15 repetitions, interleaved, in one process and one thread; figures are nanoseconds a pulse.
"""

import statistics
import time

import numpy as np
import torch
from numba import njit

import mho
from mho.kernels.cpu.lines import bit_lines
from mho.numerics.normal import fill_normals
from mho.numerics.vector import wide

SHAPE, SAMPLES, BL, LR = (512, 512), 10, 31, 0.05
LAWS = [
    mho.responses.Constant(),
    mho.responses.SoftBounds(),
    mho.responses.Power(),
    mho.responses.Exponential(),
    mho.responses.ExpStep(),
    mho.responses.PowStep(),
]
REPETITIONS = 15


def ceiling_of_law(module):
    """A loop that applies step_up to a contiguous array: the law and the clip, nothing else."""
    step_up = module.step_up

    @njit(fastmath=False, error_model="numpy")
    def apply(cells, planes, z, scal, rounds):
        wide()
        for _ in range(rounds):
            for q in range(cells.shape[1]):
                cells[0, q] = step_up(cells[0, q], z[q], planes, 0, q, scal)

    return apply


def timed(call, pulses):
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e9 / pulses


def measure(law, sigma):
    device = mho.Device(law, dw_min=1e-3, sigma_c2c=sigma, spread={"gain": 0.3})
    tile = mho.Tile(torch.zeros(SHAPE), device, pulses=mho.Pulses(bl=BL, bl_management=False), key=1)
    g = torch.Generator().manual_seed(0)
    x = torch.rand(SAMPLES, SHAPE[1], generator=g)
    d = 0.05 * torch.randn(SAMPLES, SHAPE[0], generator=g)
    info = tile.update(x, d, LR)
    pulses = info.up + info.down
    kernels = tile._kernels
    lines, drawing = kernels._lines(SAMPLES, BL), kernels._drawing()
    request = kernels._plan(tile.pulses), device.dw_min, x.data_ptr(), d.data_ptr(), SAMPLES, LR, 0
    z, words = np.zeros(4096 + 16, np.float32), np.empty(4096 + 16, np.uint32)
    law_only = ceiling_of_law(kernels.module)
    one = np.uint32(1)
    parts = {
        "update": lambda: tile.update(x, d, LR),
        "lines": lambda: bit_lines(0, 0, SAMPLES, lines.table, drawing.table, *request),
        "noise": lambda: [
            fill_normals(z, words, 0, 4096, one, one, one, one, one) for _ in range(pulses // 4096)
        ],
        "law": lambda: law_only(
            kernels.arrays.cells[:1], kernels.arrays.planes[:, :1], z, kernels.scal, pulses // SHAPE[1]
        ),
    }
    times = {name: [] for name in parts}
    for repetition in range(REPETITIONS + 1):
        for name, call in parts.items():
            took = timed(call, pulses)
            if repetition:
                times[name].append(took)
    return {name: statistics.median(values) for name, values in times.items()}, pulses


def main():
    mho.set_threads(1)
    print(
        f"{SHAPE[0]} x {SHAPE[1]} cells, {SAMPLES} samples, {BL} slots, gain spread 0.3, one thread, ns a pulse\n"
    )
    print("| law | c2c | update | lines | noise | law | update / (their sum) | pulses/us | cell-samples/us |")
    print("|---|---|---|---|---|---|---|---|---|")
    for law in LAWS:
        for sigma in (0.0, 0.3):
            t, pulses = measure(law, sigma)
            floor = t["lines"] + (t["noise"] if sigma else 0) + t["law"]
            noise = f"{t['noise']:.2f}" if sigma else "-"
            cells = [
                f"{t['update']:.2f}",
                f"{t['lines']:.2f}",
                noise,
                f"{t['law']:.2f}",
                f"{t['update'] / floor:.1f}",
                f"{1e3 / t['update']:.0f}",
                f"{1e3 / t['update'] * SHAPE[0] * SHAPE[1] * SAMPLES / pulses:.0f}",
            ]
            print("|", " | ".join([type(law).__name__, str(sigma), *cells]), "|")
    print(f"\n{pulses} pulses an update")


if __name__ == "__main__":
    main()
