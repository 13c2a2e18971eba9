"""Theorems 2.2, C.2, C.3 and C.4 of arXiv 2602.21321: simulations of zero-shifting against its bounds.

Four laws, three granularities, both schedules. 64 x 64 alike cells start at -0.5. Every hundredth of a time
constant, for six of them, the mean square of G over all pulses so far and the mean square distance from the
symmetric point are divided by their bounds.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch

from mho.base.config import from_dict, to_dict
from mho.base.errors import complaint
from mho.calibration.run import ZeroShiftRun
from mho.device.device import Device
from mho.experiments.experiment import Experiment, Pair, Tick
from mho.numerics.rng import child_key
from mho.responses.base import DOUBLE
from mho.responses.exponential import Exponential
from mho.responses.linear import Linear
from mho.responses.power import Power
from mho.theory.interval import constants
from mho.theory.zero_shift import (
    cyclic_distance,
    cyclic_limit,
    cyclic_mean_square,
    random_distance,
    random_mean_square,
)
from mho.tile.tile import Tile

START, REACH = -0.5, 0.8  # the bounds' constants are those of [-REACH, REACH]; no cell may leave it
LAWS = {
    "linear": Linear(c_lin=0.25),
    "power": Power(1.0, 0.5),
    "power-3": Power(1.0, 3.0),
    "exponential": Exponential(1.0, 2.0),
}
CELLS = {
    f"{name}-{schedule}-{dw_min:g}": {
        "device": to_dict(Device(law, dw_min)),
        "schedule": schedule,
        "shape": [64, 64],
        "steps": 600,  # of 1/100 of 1/dw_min
    }
    for name, law in LAWS.items()
    for schedule in ("stochastic", "cyclic")
    for dw_min in (1e-2, 1e-3, 1e-4)
}


def run(settings: Mapping[str, Any], seed: int, tick: Tick) -> dict[str, Pair]:
    """Return ratios of measured values to their bounds, with standard errors over the cells.

    "mean square" and "distance" (stochastic: Theorems 2.2 and C.2; cyclic: C.3 and C.4) and "limit" (cyclic): the
    largest ratio over all times; "... at the end": the last one.
    """
    device, schedule = from_dict(settings["device"]), settings["schedule"]
    law, dw_min = device.response, device.dw_min
    of = constants(law, -REACH, REACH)
    tile = Tile(torch.full(settings["shape"], START), device, key=child_key(seed, "bounds"))
    course, block = (
        ZeroShiftRun(tile, schedule),
        max(1, round(0.01 / dw_min) // 2 * 2 + 1),
    )  # odd: both ends of a cycle
    total, weight, before = torch.zeros(tile.shape, dtype=DOUBLE), 0, law.G(course.w).square()
    ratios: dict[str, list[tuple[float, float]]] = {}
    for k in range(settings["steps"]):
        course.send(block)
        w = course.w
        if not ((w > -REACH) & (w < REACH)).all():
            raise complaint(
                "zero_shifting_bounds.run", f"a cell left [-{REACH}, {REACH}], the range of the bounds"
            )
        now = law.G(w).square()
        total, weight, before = total + (before + now) / 2 * block, weight + block, now
        n, cycles = course.pulses, course.pulses / 2
        square = (w - of.w_sp).square()
        if schedule == "stochastic":
            pairs = {
                "mean square": (total / weight, random_mean_square(law, START, n, dw_min, of)),
                "distance": (square, random_distance(START, n, dw_min, of)),
            }
        else:
            pairs = {
                "mean square": (total / weight, cyclic_mean_square(law, START, cycles, dw_min, of)),
                "distance": (square, cyclic_distance(START, cycles, dw_min, of)),
                "limit": (square.sqrt(), cyclic_limit(START, cycles, dw_min, of)),
            }
        for name, (measured, bound) in pairs.items():
            error = float(measured.std()) / math.sqrt(measured.numel())
            pair = float(measured.mean() / bound), error / float(bound)
            ratios.setdefault(name, []).append(pair)
        if k % 50 == 0:
            tick(k, settings["steps"])
    found = {name: max(pairs) for name, pairs in ratios.items()}
    return found | {f"{name} at the end": pairs[-1] for name, pairs in ratios.items()}


EXPERIMENT = Experiment(
    id="zero-shifting-bounds",
    title="arXiv 2602.21321, Theorems 2.2 and C.2 to C.4: largest ratio of a simulation to its bound",
    source="arXiv 2602.21321, Theorems 2.2, C.2, C.3, C.4; limit: theory.cyclic_limit",
    cells=CELLS,
    run=run,
)
