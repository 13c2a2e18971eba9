"""Fig. 1 of arXiv 2602.21321: a 512 x 512 array calibrated by N alternating pulses, and the N that 1 % takes.

(a) 2000 states, N = 500 ... 8000: the error that is left in the mean and the spread of the symmetric points.
(b) The smallest of the paper's N with a mean error of at most 1 %, against dw_min.
"float32": the error of cells in float32 beside that of cells in float64, after 30 time constants.

Cells as in the authors' script: soft bounds +-1, down pulses 0.6 times as large (up_down 0.4), up_down_std 0.08,
gain spread 0.02, no noise. All weights start at -0.5; the estimate is the weight after the last pulse.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from mho.base.config import from_dict, to_dict
from mho.calibration.offset import Offset
from mho.calibration.run import ZeroShiftRun
from mho.calibration.symmetric_points import symmetric_point
from mho.calibration.zero_shift import zero_shift
from mho.device.device import Absolute, Device
from mho.experiments.experiment import Experiment, Numbers, Pair, Settings, Tick
from mho.experiments.statistics import means_of
from mho.numerics.rng import child_key
from mho.responses.base import DOUBLE
from mho.responses.soft_bounds import SoftBounds
from mho.tile.tile import Tile

START = -0.5
DEVICE = Device(SoftBounds(), 1e-3, spread={"gain": Absolute(0.02)}, up_down=0.4, up_down_std=0.08)
NUMBERS = (200, 500, *(1000 * 2**k for k in range(14)))  # 8.192 million
GRANULARITIES = (5e-3, 1e-3, 2e-4, 4e-5, 8e-6, 1.6e-6)


def _cell(kind: str, device: Device, steps: int, **more: Any) -> Settings:
    return {"kind": kind, "device": to_dict(device), "steps": steps} | more


CELLS = {
    **{f"a-{n}": _cell("a", DEVICE, n, shape=[512, 512], repeats=4) for n in (500, 1000, 2000, 4000, 8000)},
    **{
        f"b-{dw_min:g}": _cell("b", DEVICE.replace(dw_min=dw_min), NUMBERS[-1], shape=[512, 512], repeats=4)
        for dw_min in GRANULARITIES
    },
    **{
        f"float32-{dw_min:g}": _cell(
            "float32", DEVICE.replace(dw_min=dw_min), round(30 / dw_min), shape=[64, 64], repeats=4
        )
        for dw_min in (1e-4, 1e-5, 1e-6)
    },
}


def run(settings: Mapping[str, Any], seed: int, tick: Tick) -> dict[str, Pair]:
    """Return the numbers of `_left`, `_smallest` or `_single`: means over the arrays, standard errors."""
    device = from_dict(settings["device"])
    measure = {"a": _left, "b": _smallest, "float32": _single}[settings["kind"]]
    keys = [child_key(seed, "array", repeat) for repeat in range(settings["repeats"])]
    tiles = (Tile(torch.full(settings["shape"], START), device, key=key) for key in keys)
    return means_of(measure(tile, settings["steps"]) for tile in tiles)


def _left(tile: Tile, n: int) -> dict[str, float]:
    """Return mean and standard deviation of estimate less true point [weight units], and the relative mean."""
    found = zero_shift(tile, n)
    offset = found.offset
    relative = abs(offset.mu) / abs(float(symmetric_point(tile, DOUBLE).mean()))
    return {"mean": offset.mu, "std": offset.sigma, "relative": relative}


def _smallest(tile: Tile, most: int) -> dict[str, float]:
    """Return "N", the smallest of NUMBERS with a mean error of 1 %, and "exact N", the smallest even number."""
    truth = symmetric_point(tile, DOUBLE)

    def good(course: ZeroShiftRun) -> bool:
        return abs(float((course.w - truth).mean())) <= 0.01 * abs(float(truth.mean()))

    course = ZeroShiftRun(tile)
    found: dict[str, float] = {}
    for n in NUMBERS:
        if n > most:
            break
        course.send(n - course.pulses)
        if good(course):
            found["N"] = float(n)
            break
    if "N" in found:
        low, high = 0, int(found["N"]) // 2  # in cycles
        while high - low > 1:
            middle = (low + high) // 2
            again = ZeroShiftRun(tile)
            again.send(2 * middle)
            low, high = (low, middle) if good(again) else (middle, high)
        found |= {"exact N": 2.0 * high, "exact N dw_min": 2.0 * high * tile.granularity}
    return found


def _single(tile: Tile, n: int) -> dict[str, float]:
    """Return the errors after n pulses in float64 and in float32.

    "mean" and "size" (root mean square) [weight units], "size/dw_min", and "stopped": the part of the cells that
    pulses do not move any more in float32.
    """
    n -= n % 2
    truth = symmetric_point(tile, DOUBLE)
    course = ZeroShiftRun(tile)
    course.send(n)
    w = alternate_in_float32(tile, n)
    still = (alternate_in_float32(tile, 2, w) == w).mean()
    found = {"stopped": float(still)}
    for name, end in (("float64", course.w), ("float32", torch.from_numpy(w).double())):
        offset = Offset.of(end - truth)
        size = float((end - truth).square().mean().sqrt())
        found |= {
            f"{name} mean": offset.mu,
            f"{name} size": size,
            f"{name} size/dw_min": size / tile.granularity,
        }
    return found


def alternate_in_float32(tile: Tile, n: int, start: np.ndarray | None = None) -> np.ndarray:
    """Return weights (out, in) float32 after n alternating pulses on a tile's cells, or from `start`.

    The pulses are those of `Tile.pulse`; the tile stays as it is.
    """
    from mho.kernels.law.build import kernels_of
    from mho.kernels.law.plan import KernelPlan

    plan = KernelPlan.of(tile.device, tile.parameters_of_cells.values())
    w = (tile.cells.numpy() if start is None else start).copy()
    par = tile.planes.numpy()
    words = (np.uint32(0), np.uint32(0))
    numbers = np.array(plan.scal, np.float32)
    rest = np.zeros(w.shape, np.float32), np.zeros(w.shape, np.int32), par, numbers
    kernels_of(plan, "shift").shift_rows(0, len(w), w, *rest, n, 0, n, False, np.float32(0), words, words)
    return w


def figure(numbers: Numbers) -> Any:
    """Draw relative mean errors against N (a), N of 1 % against dw_min (b), and errors in both precisions (c)."""
    from mho.experiments import figures

    picture, axes = figures.panels(3)
    a = {int(cell[2:]): found["relative"] for cell, found in numbers.items() if cell.startswith("a-")}
    figures.points(axes[0], {n: a[n] for n in sorted(a)}, 0, "2000 states")
    axes[0].axhline(0.01, color="0.5", linewidth=1)
    for i, name in enumerate(("N", "exact N")):
        values = {d: numbers[f"b-{d:g}"][name] for d in GRANULARITIES}
        figures.points(axes[1], values, i, {"N": "the paper's numbers"}.get(name, "interval halved"))
    for i, name in enumerate(("float64", "float32")):
        values = {d: numbers[f"float32-{d:g}"][f"{name} size"] for d in (1e-4, 1e-5, 1e-6)}
        figures.points(axes[2], values, i, name)
    axes[0].set(ylabel="|mean error| / |mean $w_{sp}$|")
    axes[1].set(ylabel="pulses to 1 %")
    axes[2].set(ylabel="error of a cell at rest")
    figures.finish(picture, "granularity dw_min", axes)
    axes[0].set(xlabel="pulses N")
    return picture


EXPERIMENT = Experiment(
    id="b-fig-1",
    title="arXiv 2602.21321, Fig. 1: errors after N pulses (2000 states), N for 1 %, float32 against float64",
    source="arXiv 2602.21321, Fig. 1 and F.1: numbers are not printed; more than 2000 pulses are needed for 1 %",
    cells=CELLS,
    run=run,
    figure=figure,
)
