"""The function `advise`: hyper-parameters of an algorithm from a device, a layer and assumptions about the
training."""

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from mho.algorithms.base import Algorithm
from mho.base.errors import complaint
from mho.base.records import field_rules
from mho.base.roles import FIELDS, Roles
from mho.crossbar import Crossbar
from mho.device.cell import Cells
from mho.device.composed import ComposedCell
from mho.device.device import Device
from mho.device.io import by_direction
from mho.device.pulses import Pulses
from mho.diagnostics.advice.formula import Advice, evaluate
from mho.diagnostics.advice.rules import rules

FEW = 10  # the residual that a transfer should notice [pulses of the array that gets the gradient]


class Setup(NamedTuple):
    """The assumptions about the training.

    Args:
        x_max, d_max: largest |input| and |error| that a step brings; d carries the loss's 1/batch. lr: learning
        rate of the optimizer; batch_size: samples a step. activity: mean of |x d| over cells and samples, relative
        to x_max d_max. For d_max = 1 / batch it was 0.03 in
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
    """Compute numbers about the device, the tile and the fields of an algorithm, in the order in which they follow.

    Args:
        hardware: devices (of each array, where they differ), converters, pulses and layout; not its algorithm.
        layer: (out, in) of the layer.
        algorithm: only its fields are advised on, by the names it gives them; None: all fields known here.
        setup: assumptions about the training.
        fixed: values that were chosen already, {field: value}; others follow from them.
    Raises: MhoError for a layer or an assumption that is not positive, and for a chosen value out of its domain.
    """
    setup, fixed = setup or Setup(), dict(fixed or {})
    for name, value in {"out": layer[0], "in": layer[1], **setup._asdict()}.items():
        if value is not None and not (0 < value < math.inf or (name == "read_noise" and value == 0)):
            raise complaint(f"advise({name}={value})", f"{name} must be positive and finite")
    own: dict[str, str] = {}
    if algorithm is not None:
        algorithm = algorithm.replace(**{n: v for n, v in fixed.items() if n in field_rules(type(algorithm))})
        own = {role: field for role in FIELDS if (field := algorithm.field_of(role))}
    chosen = {role: fixed[name] for role, name in ({n: n for n in fixed} | own).items() if name in fixed}
    fast, slow = _devices(hardware, Roles("P") if algorithm is None else algorithm.roles())
    w_sp, kind = _symmetric_point(fast)
    given = _given(hardware, layer, algorithm, setup, chosen) | {"root": lambda G: w_sp}
    found = evaluate(rules(fast, kind, algorithm, chosen), _device(fast, slow) | given, chosen)
    if algorithm is None:
        return found
    fields = {"device", "tile", *own} | (set() if own.keys() & {"fast_lr", "granularity"} else {"lr"})
    return [_renamed(a, own) for a in found if a.field in fields]


def _renamed(a: Advice, own: Mapping[str, str]) -> Advice:
    """Return an advice in which the names of roles are those of the algorithm's own fields."""
    words = {f"{role}{end}": f"{name}{end}" for role, name in own.items() for end in ("", "_limit", "_most")}
    if all(word == name for word, name in words.items()):
        return a
    field, name, formula, why = (
        re.sub(r"\w+", lambda match: words.get(match[0], match[0]), text)
        for text in (a.field, a.name, a.formula, a.why)
    )
    inputs = {words.get(key, key): value for key, value in a.inputs.items()}
    return a._replace(field=field, name=name, formula=formula, why=why, inputs=inputs)


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
    numbers = _DEFAULTS | {role: fixed[role] for role in _DEFAULTS if role in fixed}
    if algorithm is not None:
        numbers = {role: algorithm.setting(role, value) for role, value in numbers.items()}
    return numbers | {
        "sigma_out": noise,
        "out_bound": io.out_bound or 0.0,
        "out_res": 0.0 if io.perfect or io.out_bound is None else io.out_res,
        "n_out": layer[0],
        "n_in": layer[1],
        "max_out": hardware.mapping.max_out or layer[0],
        "max_in": hardware.mapping.max_in or layer[1],
        "x_max": setup.x_max,
        "d_max": setup.d_max,
        "lr": setup.lr,
        "activity": setup.activity,
        "samples": 1 if algorithm is not None and algorithm.units == "sample" else setup.batch_size,
        "bl": bl,
        "few": FEW,
    }


_DEFAULTS = {"transfer_every": 1, "transfer_lr": 1.0, "thres_scale": 1.0, "momentum": 0.9, "growth": 1.0}


def _devices(hardware: Crossbar, roles: Roles) -> tuple[Device, Device]:
    """Return the devices of the array that gets the gradient, and of the one that holds the weights."""
    if isinstance(hardware.device, Device):
        return hardware.device, hardware.device
    by_array = {"": hardware.device} if isinstance(hardware.device, ComposedCell) else hardware.device
    devices = {name: _single(device) for name, device in by_array.items()}
    first, *_, last = [*devices.values()] * 2
    if roles.chain:  # from the coarsest to the finest
        return devices.get(roles.chain[-1], last), devices.get(roles.chain[0], first)
    slow = devices.get(roles.weights, last)
    return (devices.get(roles.gradient or "", first) if roles.has_residual else slow), slow


def _single(device: Device | ComposedCell) -> Device:
    if isinstance(device, ComposedCell):
        what = f"{type(device).__name__} is a cell of several devices"
        raise complaint("advise(hardware)", what, "The formulas are for one", "pass the device inside")
    return device


def _symmetric_point(device: Device) -> tuple[float | None, str]:
    """Return (hidden weight, kind): the attracting point nearest to 0, else any; kind: see `rules.KINDS`."""
    cell = Cells.alike(device.response, *device.gains)
    points = sorted(cell.symmetric_points(), key=lambda p: (not p.attracts, abs(p.w)))
    if not points:
        return (0.0, "everywhere") if cell.up(0.0) == cell.down(0.0) else (None, "nowhere")
    kind = "attracts" if points[0].attracts else "repels"
    return points[0].w, "flat" if kind == "attracts" and points[0].rate == "algebraic" else kind
