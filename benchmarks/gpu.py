"""The GPU against the processor beside it: tile updates, products and training iterations, medians and quartiles.

    python benchmarks/gpu.py --threads 16 --out results/gpu.json
    python benchmarks/gpu.py --table results/gpu.json      # prints the table of docs/gpu.md

Both run the same calls on the same inputs, and an update's bits are compared before it is timed. GPU calls are
timed until the GPU has finished. Ratios are processor / GPU: more than 1 means that the GPU is faster.
"""

import argparse
import copy
import json
import platform
from collections.abc import Callable
from pathlib import Path

import contender_mho
import fcn
import torch

import mho
from mho.testing import bench
from mho.testing.bench import Case, TileUpdate

BIG = ((2048, 2048, 256), (4096, 4096, 64))
REPETITIONS = 7
WIDE = (784, 2048, 2048, 10)


def on_gpu(job: TileUpdate) -> TileUpdate:
    """The same update on the GPU."""
    moved = copy.copy(job)
    moved.tile = copy.deepcopy(job.tile).cuda()
    moved.zeros, moved.x, moved.d = job.zeros.cuda(), job.x.cuda(), job.d.cuda()
    return moved


def time_of(run: Callable[[], object], reset: Callable[[], None]) -> bench.Spread:
    """Seconds a call."""

    def call() -> None:
        run()
        torch.cuda.synchronize()

    def clean() -> None:
        reset()
        torch.cuda.synchronize()

    calls = bench.calls_needed(call, clean)
    return bench.spread([bench.timed(call, clean, calls) for _ in range(REPETITIONS)])


def updates() -> list[dict]:
    """Tile updates, each compared first."""
    rows = []
    cases = [Case(law, *shape) for law in bench.LAWS for shape in (*bench.SHAPES, *BIG)]
    cases += [Case("soft-bounds", *shape, sigma_c2c=0.0) for shape in (*bench.SHAPES, *BIG)]
    cases += [Case("soft-bounds", *shape, aggregate=16) for shape in (*bench.SHAPES, *BIG)]
    for case in cases:
        cpu = TileUpdate(case)
        gpu = on_gpu(cpu)
        info = cpu()
        same = gpu() == info and torch.equal(gpu.tile.w.cpu(), cpu.tile.w)
        ours, theirs = time_of(gpu, gpu.reset), time_of(cpu, cpu.reset)
        rate = (info.up + info.down) / ours.median
        rows.append(row(_name(case), ours, theirs, same, rate))
    return rows


def products() -> list[dict]:
    """Forward products through converters."""
    rows = []
    for out, n_in, samples in (*bench.SHAPES, *BIG):
        tile = mho.Tile(0.1 * torch.randn(out, n_in), mho.Device(mho.responses.SoftBounds()), mho.IO(), key=1)
        gpu, x = copy.deepcopy(tile).cuda(), torch.rand(samples, n_in)
        far = x.cuda()
        ours = time_of(lambda gpu=gpu, far=far: gpu.forward(far), lambda: None)
        theirs = time_of(lambda tile=tile, x=x: tile.forward(x), lambda: None)
        rows.append(row(f"forward {out}x{n_in}, {samples}", ours, theirs))
    return rows


def iterations() -> list[dict]:
    """Training iterations of a small and a large network."""
    rows = []
    for algorithm in contender_mho.ALGORITHMS:
        for widths, batch in ((fcn.WIDTHS, fcn.BATCH), (WIDE, 64)):
            spreads = []
            for where in ("cuda", "cpu"):
                network = contender_mho.analog(fcn.model(widths), algorithm).to(where)
                passes = fcn.Iterations(network, mho.AnalogOptimizer(network, lr=fcn.LR), batch, where)
                took = time_of(passes, lambda: None)
                spreads.append(bench.Spread(*(seconds / fcn.ITERATIONS for seconds in took[:3]), took.n))
            ours, theirs = spreads
            rows.append(row(f"iteration {algorithm} {'-'.join(map(str, widths))}, {batch}", ours, theirs))
    return rows


def _name(case: Case) -> str:
    """What an update is called in the table."""
    kind = [f"aggregate={case.aggregate}"] * (case.aggregate > 0) + ["no noise"] * (case.sigma_c2c == 0)
    return ", ".join([f"{case.law} {case.shape}", *kind])


def row(
    name: str, ours: bench.Spread, theirs: bench.Spread, same: bool | None = None, rate: float | None = None
) -> dict:
    """One line, printed as it comes; rate [pulses/s]."""
    found = {
        "case": name,
        "gpu": ours,
        "cpu": theirs,
        "ratio": theirs.median / ours.median,
        "same_bits": same,
        "pulses_per_s": rate,
    }
    print(_line(found), flush=True)
    return found


def _line(row: dict) -> str:
    """The row as one of a Markdown table."""
    times = (
        f"{1e3 * row[where][0]:.3g} ({1e3 * row[where][1]:.3g} to {1e3 * row[where][2]:.3g})"
        for where in ("gpu", "cpu")
    )
    same = {True: "yes", False: "NO", None: ""}[row["same_bits"]]
    rate = "" if row["pulses_per_s"] is None else f"{row['pulses_per_s'] / 1e9:.3g}"
    return f"| {row['case']} | {' | '.join(times)} | {row['ratio']:.2f} | {same} | {rate} |"


def table(found: dict) -> str:
    """Markdown of what was measured."""
    lines = [
        "| case | GPU [ms] | CPU [ms] | CPU / GPU | same bits | 10^9 pulses/s |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join(lines + [_line(row) for part in PARTS for row in found.get(part, [])])


PARTS = {"updates": updates, "products": products, "iterations": iterations}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=0, help="of the processor; 0: as they are")
    parser.add_argument("--only", choices=list(PARTS), help="one part of it")
    parser.add_argument("--out", type=Path, help="file for the numbers, JSON")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print the table of such a file, and stop")
    chosen = parser.parse_args()
    if chosen.table:
        print(table(json.loads(chosen.table.read_text())))
        return
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
        mho.set_threads(chosen.threads)
    import triton

    machine = {
        "gpu": torch.cuda.get_device_name(),
        "processor": platform.processor() or platform.machine(),
        "threads": mho.get_threads(),
        "torch": torch.__version__,
        "triton": triton.__version__,
    }
    print(machine)
    found = {"machine": machine}
    for name, measure in PARTS.items():
        if chosen.only in (None, name):
            found[name] = measure()
            if chosen.out:
                chosen.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
