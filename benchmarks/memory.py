"""Memory of analog weights: `python benchmarks/memory.py` prints bytes a cell, then the peak of large models.

Bytes a cell: what a layer's tensors take in memory, each storage counted once, and what `torch.save` writes, less
what does not grow with the layer. The peak is the largest resident memory of a process of its own (`ru_maxrss`),
which makes the model, takes one step with a mini-batch of 10, and saves it.
"""

import argparse
import io
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

import mho
from mho.nn import AnalogLinear
from mho.presets import PRESETS
from mho.testing import algorithms

WIDTH, LAYERS = 3200, 10  # 102.4 million weights
PLAIN = mho.Device(mho.responses.SoftBounds(), dw_min=1e-3, sigma_c2c=0.1)
PEAKS: dict[str, mho.Algorithm] = {
    "AnalogSGD": mho.algorithms.AnalogSGD(),
    "ResidualLearning": mho.algorithms.ResidualLearning(),
}
BUILDS = ("layer by layer", "convert_", "one tile a layer")


def bytes_a_cell(hardware: mho.Crossbar) -> tuple[float, float]:
    """(in memory, on disk) for a weight of a layer, after a step: the difference of two sizes."""
    sizes = [_sizes(hardware, n) for n in (64, 128)]
    cells = 128 * 128 - 64 * 64
    return (sizes[1][0] - sizes[0][0]) / cells, (sizes[1][1] - sizes[0][1]) / cells


def _sizes(hardware: mho.Crossbar, n: int) -> tuple[int, int]:
    layer = AnalogLinear(n, n, bias=False, hardware=hardware)
    optimizer = mho.AnalogOptimizer(layer, lr=0.1)
    layer(torch.ones(2, n)).square().sum().backward()
    optimizer.step()
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in _tensors(layer)}
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    return sum(storages.values()), file.tell()


def _tensors(layer: nn.Module) -> Iterator[torch.Tensor]:
    yield from layer.parameters()
    yield from layer.buffers()


def table() -> Iterator[tuple[str, str, float, float]]:
    """(device, algorithm, bytes a cell in memory, on disk)."""
    for name, preset in {"no spread": None, **PRESETS}.items():
        device = preset.device if preset else PLAIN
        chosen = [mho.algorithms.AnalogSGD(), mho.algorithms.ResidualLearning()]
        for algorithm in chosen if preset else [kind() for kind in algorithms()]:
            hardware = mho.Crossbar(algorithm=algorithm, device=device)
            yield name, type(algorithm).__name__, *bytes_a_cell(hardware)


def peak(algorithm: str, build: str, width: int = WIDTH, layers: int = LAYERS) -> dict[str, Any]:
    """Makes, trains and saves such a model in this process; seconds, bytes."""
    mapping = mho.Mapping(max_in=width, max_out=width) if build == "one tile a layer" else mho.Mapping()
    hardware = mho.Crossbar(algorithm=PEAKS[algorithm], device=PLAIN, mapping=mapping)
    marks = [("imports", time.perf_counter(), _resident())]
    if build == "convert_":
        model: nn.Module = nn.Sequential(*(nn.Linear(width, width) for _ in range(layers)))
        mho.convert_(model, hardware)
    else:
        parts = (AnalogLinear(width, width, hardware=hardware, key=n) for n in range(layers))
        model = nn.Sequential(*parts)
    marks.append(("make", time.perf_counter(), _resident()))
    optimizer = mho.AnalogOptimizer(model, lr=0.01)
    model(torch.randn(10, width)).square().mean().backward()
    optimizer.step()
    marks.append(("step", time.perf_counter(), _resident()))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.pt")
        torch.save(model.state_dict(), path)
        on_disk = os.path.getsize(path)
    marks.append(("save", time.perf_counter(), _resident()))
    seconds = {b[0]: round(b[1] - a[1], 1) for a, b in itertools.pairwise(marks)}
    return {
        "algorithm": algorithm,
        "build": build,
        "weights": width * width * layers,
        "peak_gb": {name: round(most / 1e9, 2) for name, _, most in marks},
        "seconds": seconds,
        "disk_gb": round(on_disk / 1e9, 3),
    }


def _resident() -> int:
    """The largest resident memory of this process so far, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def in_own_process(*case: str) -> dict[str, Any]:
    """`peak` of a case in a process that has held nothing else."""
    done = subprocess.run(
        [sys.executable, __file__, "--case", *case], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--case", nargs="+", metavar="ALGORITHM BUILD [WIDTH LAYERS]", help="one peak, as JSON"
    )
    parser.add_argument("--skip-peaks", action="store_true", help="only the bytes a cell")
    options = parser.parse_args()
    if options.case:
        algorithm, build, *size = options.case
        print(json.dumps(peak(algorithm, build, *map(int, size))))
        return
    print("| device | algorithm | bytes a cell in memory | on disk |\n|---|---|---|---|")
    for device, algorithm, memory, disk in table():
        print(f"| {device} | {algorithm} | {memory:.1f} | {disk:.1f} |", flush=True)
    if options.skip_peaks:
        return
    print("\n| algorithm | made | peak, GB: imports | make | step | save | file, GB | seconds |")
    print("|---" * 8 + "|")
    for algorithm in PEAKS:
        for build in BUILDS:
            found = in_own_process(algorithm, build)
            peaks = " | ".join(f"{most:.2f}" for most in found["peak_gb"].values())
            took = " + ".join(f"{s:.1f}" for s in found["seconds"].values())
            print(f"| {algorithm} | {build} | {peaks} | {found['disk_gb']:.2f} | {took} |", flush=True)


if __name__ == "__main__":
    main()
