"""Section 2.2 of arXiv 2602.21321: pulses that zero-shifting takes, and the error that is left, against dw_min.

Cells q_up = (1 + c)(1 - w), q_down = (1 - c)(1 + w), whose symmetric points c are N(0.25, 0.1^2), clipped at 0.85,
start at -0.5. N is the first number of pulses (interpolated) after which the mean of the errors is at most 1 % of
the mean symmetric point. The error that is left is measured between 25 and 30 time constants. Pulses are cyclic
(up, down, up, ...) or stochastic (up or down at random).
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from mho.base.config import from_dict, to_dict
from mho.calibration.run import ZeroShiftRun
from mho.calibration.symmetric_points import symmetric_point
from mho.device.device import Absolute, Device
from mho.experiments.experiment import Experiment, Numbers, Pair, Settings, Tick
from mho.experiments.statistics import exponent, mean_of, means_of
from mho.numerics.rng import child_key
from mho.responses.base import DOUBLE
from mho.responses.linear import Linear
from mho.theory.zero_shift import linear_pulses
from mho.tile.tile import Tile

START, TOLERANCE = -0.5, 0.01
LAW = Linear(c_lin=0.25)
STEPS = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)


def _cells() -> dict[str, Settings]:
    cells = {}
    for schedule in ("stochastic", "cyclic"):
        for dw_min in STEPS:
            device = Device(LAW, dw_min, spread={"c_lin": Absolute(0.1, low=-0.85, high=0.85)})
            cells[f"{schedule}-{dw_min:g}"] = {
                "device": to_dict(device),
                "schedule": schedule,
                "shape": [64, 64],
                "repeats": 4,
                "steps": 1500,  # of 1/50 of a time constant each
            }
    return cells


def run(settings: Mapping[str, Any], seed: int, tick: Tick) -> dict[str, Pair]:
    """Return means over the repeats, standard errors.

    "N": pulses to 1 %, absent if 1 % is out of reach, and "N dw_min". At rest: "mean error" relative to the mean
    symmetric point, "size of error", the root mean square of a cell's error [weight units], and "G^2".
    """
    device = from_dict(settings["device"])
    steps, repeats = settings["steps"], settings["repeats"]
    found = []
    for repeat in range(repeats):
        tile = Tile(torch.full(settings["shape"], START), device, key=child_key(seed, "shift", repeat))
        truth, law = symmetric_point(tile, DOUBLE), device.response.with_fields(**_double(tile))
        goal = TOLERANCE * abs(float(truth.mean()))
        block = max(2, 2 * round(0.01 / device.dw_min))
        before, reached = abs(float((START - truth).mean())), math.nan
        errors, asymmetry = [], []
        for k, course in enumerate(advance(tile, settings["schedule"], block, steps)):
            error = course.w - truth
            mean = abs(float(error.mean()))
            if mean <= goal and math.isnan(reached):
                part = math.log(before / goal) / math.log(before / mean)
                reached = course.pulses - block * (1 - part)
            before = mean
            if k >= steps * 5 // 6:
                errors.append(error)
                asymmetry.append(float(law.G(course.w).square().mean()))
            if k % 50 == 0:
                tick(repeat * steps + k, repeats * steps)
        left = torch.stack(errors)
        found.append(
            {
                "N": reached,
                "N dw_min": reached * device.dw_min,
                "mean error": abs(float(left.mean() / truth.mean())),
                "size of error": float(left.square().mean().sqrt()),
                "G^2": sum(asymmetry) / len(asymmetry),
            }
        )
    return {name: pair for name, pair in means_of(found).items() if not math.isnan(pair[0])}


def advance(tile: Tile, schedule: Any, block: int, blocks: int) -> Iterator[ZeroShiftRun]:
    """Yield the course of a calibration after each of its blocks of pulses."""
    course = ZeroShiftRun(tile, schedule)
    for _ in range(blocks):
        course.send(block)
        yield course


def _double(tile: Tile) -> dict[str, Any]:
    fields = tile.parameters_of_cells.fields
    return {n: v.double() if isinstance(v, torch.Tensor) else v for n, v in fields.items()}


def summary(numbers: Numbers) -> dict[str, Pair]:
    """Return the exponents of dw_min in N and in the errors at rest, and the mean and spread of N dw_min."""
    found = {}
    for schedule in ("stochastic", "cyclic"):
        for name in ("N", "G^2", "size of error", "mean error"):
            known = {d: numbers[f"{schedule}-{d:g}"].get(name) for d in STEPS}
            values = {d: pair[0] for d, pair in known.items() if pair is not None}
            if schedule == "cyclic" or name != "mean error":  # at random the mean is 0 but for chance
                found[f"{schedule}: exponent of {name}"] = exponent([*values], [*values.values()])
            if name == "N":
                products = [d * n for d, n in values.items()]
                mean = sum(products) / len(products)
                found[f"{schedule}: N dw_min"] = mean_of(products)
                found[f"{schedule}: N dw_min, largest deviation"] = (
                    max(abs(p / mean - 1) for p in products),
                    0.0,
                )
    return found


def figure(numbers: Numbers) -> Any:
    """Draw pulses to 1 % against dw_min, and the mean square of G that is left."""
    from mho.experiments import figures

    picture, (left, right) = figures.panels(2)
    for i, schedule in enumerate(("stochastic", "cyclic")):
        for axes, name in ((left, "N"), (right, "G^2")):
            known = {d: numbers[f"{schedule}-{d:g}"].get(name) for d in STEPS}
            points = {d: pair for d, pair in known.items() if pair is not None}
            slope = exponent([*points], [pair[0] for pair in points.values()])[0]
            figures.points(axes, points, i, f"{schedule}: exponent {slope:.3f}")
    line = [float(linear_pulses(START, 0.25, TOLERANCE * 0.25, d)) for d in STEPS]
    left.plot(STEPS, line, color="0.5", linewidth=1, label="closed form, linear law")
    left.set(ylabel="pulses to a mean error of 1 %")
    right.set(ylabel="mean square of G at rest")
    figures.finish(picture, "granularity dw_min", (left, right))
    return picture


EXPERIMENT = Experiment(
    id="zero-shifting",
    title="arXiv 2602.21321, section 2.2: pulses of zero-shifting to a mean error of 1 %, against dw_min",
    source="arXiv 2602.21321, section 2.2; reference: the closed form of a linear device, theory.linear_pulses",
    cells=_cells(),
    run=run,
    published={
        (f"stochastic-{dw_min:g}", "N dw_min"): float(
            linear_pulses(START, 0.25, TOLERANCE * 0.25, dw_min) * dw_min
        )
        for dw_min in STEPS
    },
    causes={
        "*": "by less than 1 %: the closed form has a mean symmetric point of 0.25; that of an array is off by "
        "0.0016, which makes 0.008 of N dw_min"
    },
    summary=summary,
    figure=figure,
)
