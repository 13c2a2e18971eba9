"""Where to start: hyper-parameters that suit a device and a layer, each with its formula and its reason.

Every number is for a nominal cell (no spread), for the largest sub-tile of the layer, and for steps that are
mini-batches unless the algorithm counts samples. Numbers marked as rules of thumb rest on the assumptions in
`Setup`, or on a few measurements that their reason names. They are where a search starts, no more.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from mho.algorithms.base import Algorithm
from mho.base.errors import complaint
from mho.base.records import field_rules
from mho.cells import Cell
from mho.crossbar import Crossbar
from mho.device.cell import Cells
from mho.device.device import Device
from mho.device.io import by_direction
from mho.device.pulses import Pulses
from mho.diagnostics.advice.formula import Advice as Advice
from mho.diagnostics.advice.formula import evaluate
from mho.diagnostics.advice.rules import rules

__all__ = ["Setup", "advise"]

FEW = 10  # pulses of P: the residual that a transfer should notice


class Setup(NamedTuple):
    """What the advice assumes about the training.

    x_max, d_max: largest |input| and |error| that a step brings; d carries the loss's 1/batch.
    activity: mean of |x d| over cells and samples, relative to x_max d_max. For d_max = 1 / batch it was 0.03 in
    the first epoch of the package's digits (64-64-10, tanh, digital), and 0.007 in the sixth.
    read_noise: standard deviation of one column read [weight units]; None: of the transfer converters.
    bl: slots of a pulse train; None: those of the hardware.
    """

    x_max: float = 1.0
    d_max: float = 0.1
    lr: float = 0.1
    batch_size: int = 10
    activity: float = 0.01
    read_noise: float | None = None
    bl: int | None = None


def advise(
    hardware: Crossbar,
    layer: tuple[int, int],
    algorithm: Algorithm | None = None,
    setup: Setup | None = None,
    fixed: Mapping[str, float] | None = None,
) -> list[Advice]:
    """Numbers about the device, the tile and the fields of an algorithm, in an order in which they follow.

    Args:
        hardware: devices (of P and W, where they differ), converters, pulses and layout; not its algorithm.
        layer: (out, in) of the layer.
        algorithm: only fields that it has are advised on; None: all fields known here.
        setup: assumptions about the training.
        fixed: values that were chosen already, {field: value}; others follow from them.

    Raises MhoError for a layer or an assumption that is not positive.
    """
    setup, fixed = setup or Setup(), dict(fixed or {})
    for name, value in {"out": layer[0], "in": layer[1], **setup._asdict()}.items():
        if value is not None and not (0 < value < math.inf or (name == "read_noise" and value == 0)):
            raise complaint(f"advise({name}={value})", f"{name} must be positive and finite")
    fast, slow = _devices(hardware, algorithm)
    w_sp, kind = _symmetric_point(fast)
    given = _given(hardware, layer, algorithm, setup, fixed) | {"root": lambda G: w_sp}
    found = evaluate(rules(fast, kind, algorithm, fixed), _device(fast, slow) | given, fixed)
    fields = None if algorithm is None else {"device", "tile", *field_rules(type(algorithm))}
    if fields is not None and not fields & {"fast_lr", "granularity"}:
        fields.add("lr")
    return [a for a in found if fields is None or a.field in fields]


def _device(fast: Device, slow: Device) -> dict[str, Any]:
    law = fast.response
    lower, upper = (float(b) for b in law.bounds())
    return {
        "q_up": law.q_up,
        "q_down": law.q_down,
        "F": law.F,
        "G": law.G,
        "lower": lower,
        "upper": upper,
        "h": 1e-4 * min(upper - lower, 1.0),
        "sigma_c2c": fast.sigma_c2c,
        "dw_min": fast.dw_min,
        "dw_min_W": slow.dw_min,
        "F_W": slow.response.F,
    }


def _given(
    hardware: Crossbar, layer: tuple[int, int], algorithm: Algorithm | None, setup: Setup, fixed: dict
) -> dict[str, Any]:
    io = by_direction(hardware.io)["transfer"]  # type: ignore[arg-type]
    pulses = hardware.pulses_of("update")
    bl = setup.bl or (pulses.bl if isinstance(pulses, Pulses) else Pulses().bl)
    noise = setup.read_noise if setup.read_noise is not None else 0.0 if io.perfect else io.sigma_out
    numbers = {n: fixed.get(n, getattr(algorithm, n, default)) for n, default in _DEFAULTS.items()}
    return numbers | {
        "sigma_out": noise,
        "out_bound": io.out_bound,
        "out_res": 0.0 if io.perfect else io.out_res,
        "n_out": layer[0],
        "n_in": layer[1],
        "max_out": hardware.mapping.max_out,
        "max_in": hardware.mapping.max_in,
        "x_max": setup.x_max,
        "d_max": setup.d_max,
        "lr": setup.lr,
        "activity": setup.activity,
        "samples": 1 if getattr(algorithm, "units", "") == "sample" else setup.batch_size,
        "bl": bl,
        "few": FEW,
    }


_DEFAULTS = {"transfer_every": 1, "transfer_lr": 1.0, "thres_scale": 1.0, "momentum": 0.9, "growth": 1.0}


def _devices(hardware: Crossbar, algorithm: Algorithm | None) -> tuple[Device, Device]:
    """The devices of the array that gets the gradient and of the one that collects: P and W, or by place."""
    if isinstance(hardware.device, Device):
        return hardware.device, hardware.device
    by_array = {"": hardware.device} if isinstance(hardware.device, Cell) else hardware.device
    devices = {name: _single(device) for name, device in by_array.items()}
    first, *_, last = [*devices.values()] * 2
    if hasattr(algorithm, "tiles"):
        return last, first
    slow = devices.get("W", last)
    is_alone = algorithm is not None and not hasattr(algorithm, "fast_lr")
    return (slow if is_alone else devices.get("P", first)), slow


def _single(device: Device | Cell) -> Device:
    if isinstance(device, Cell):
        what = f"{type(device).__name__} is a cell of several devices"
        raise complaint("advise(hardware)", what, "The formulas are for one", "pass the device inside")
    return device


def _symmetric_point(device: Device) -> tuple[float | None, str]:
    """(hidden weight, kind): the attracting point nearest to 0, else any; kind: see `rules.KINDS`."""
    cell = Cells.alike(device.response, *device.gains)
    points = sorted(cell.symmetric_points(), key=lambda p: (not p.attracts, abs(p.w)))
    if not points:
        return (0.0, "everywhere") if cell.up(0.0) == cell.down(0.0) else (None, "nowhere")
    kind = "attracts" if points[0].attracts else "repels"
    return points[0].w, "flat" if kind == "attracts" and points[0].rate == "algebraic" else kind
