"""aihwkit's pulsed devices by their own parameter names and defaults: each function gives the same `mho.Device`.

    device = mho.aihwkit.soft_bounds_reference(dw_min=0.4622, dw_min_dtod=0.7125, dw_min_dtod_log_normal=True)

The code of aihwkit 1.2.0 decides, not its documentation. A parameter that this library cannot follow is an error,
which names the field of aihwkit, its meaning there and what to write here: `ELSEWHERE` lists these fields.

Source: aihwkit 1.2.0, simulator/configs/devices.py and the C++ classes of the same names.
"""

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, ParamSpec

from mho.base.errors import MhoError, complaint, did_you_mean
from mho.base.records import Domain, NonNegative, NonPositive, Positive, Probability, plain
from mho.device.device import Device
from mho.device.retention import Retention
from mho.device.spread import Absolute, LogNormal, Spread
from mho.responses.base import Response
from mho.responses.constant import Constant
from mho.responses.exp_step import ExpStep
from mho.responses.linear_step import LinearStep
from mho.responses.piecewise import Piecewise
from mho.responses.pow_step import PowStep
from mho.responses.soft_bounds import SoftBounds

P = ParamSpec("P")

_LEAVE = "leave it out"
_GROWING = "the switch for pulses that grow towards their bound"
ELSEWHERE = {
    "construction_seed": ("the seed of the cells' parameters", "Tile(..., key=...): the key names all draws"),
    "count_pulses": ("whether pulses are counted", "Crossbar(count_cells=True)"),
    "perfect_bias": ("a last column of ideal cells", 'Mapping(bias="digital"), a bias outside of the array'),
    "enforce_consistency": (
        "whether the signs of steps and bounds are repaired",
        f"{_LEAVE}: they always are",
    ),
    "drift": ("the drift of programmed weights", "mho.retention.Drift, with mho.retention.drift(tile, ...)"),
    "apply_write_noise_on_set": ("whether programming has write noise", f"{_LEAVE}: it always has"),
    "reverse_up": (_GROWING, "linear_step(allow_increasing=True) with a negative gamma_up"),
    "reverse_down": (_GROWING, "linear_step(allow_increasing=True) with a negative gamma_down"),
    "reverse_offset": ("an offset of reverse_up and reverse_down", f"{_LEAVE}, with both of them"),
    "slope_up_dtod": ("a second spread of the upper bound", "one w_max_dtod that holds both spreads"),
    "slope_down_dtod": ("a second spread of the lower bound", "one w_min_dtod that holds both spreads"),
    "pow_up_down_dtod": (
        "a spread between the two exponents",
        "a larger pow_gamma_dtod: both spread freely here",
    ),
    "n_estimation_steps": ("the pulses that estimate a symmetric point", f"{_LEAVE}: it is computed here"),
}
"""{field of aihwkit that no function here takes: (its meaning there, what to write here)}."""

_DOMAINS = {
    "dw_min": Positive, "w_max": Positive, "w_min": NonPositive, "corrupt_devices_prob": Probability,
    "p_max": Positive, "alpha": Positive, "range_max": Positive, "range_min": Domain("negative", lambda v: v < 0),
    "lifetime": Domain("0 (no decay), or 1 step or more", lambda v: v == 0 or v >= 1),
}  # fmt: skip
_WIDTHS = (
    "_dtod",
    "_std",
    "_std_add",
    "_std_slope",
    "_range",
)  # of spreads and noises: aihwkit takes both signs
_REASONS = {
    "w_max": "A cell of aihwkit with w_max = 0 is only lowered: mirror it, with w_min=0 and w_max=-w_min",
    "w_min": "The interval [w_min, w_max] contains 0, as in aihwkit",
    "dw_min": "The code of aihwkit takes its absolute value",
}


def _device_of(function: Callable[P, Device]) -> Callable[P, Device]:
    """Make a function of this module speak aihwkit's words: its errors name aihwkit's fields.

    Numbers of NumPy and torch are taken as Python's. Raises: MhoError for a field that the function does not take,
    and for a value outside of the field's domain.
    """
    own = [name for name in inspect.signature(function).parameters if name != "common"]
    known = {*own, *_COMMON} - _WITHOUT.get(function.__name__, {}).keys()
    call = f"aihwkit.{function.__name__}"

    @functools.wraps(function)
    def device(*values: P.args, **fields: P.kwargs) -> Device:
        if values:
            raise complaint(call, f"{len(values)} values have no name", fix=f"{call}({own[0]}=...)")
        given = {name: plain(value) for name, value in fields.items()}
        for name, value in given.items():
            if name not in known:
                raise _unknown(function.__name__, f"{call}({name}={value!r})", name, known)
            if name == "piecewise_up" or name == "piecewise_down":
                _check_nodes(f"{call}({name}={value!r})", name, value)
            elif isinstance(value, bool) != (name in _SWITCHES):
                need = "True or False" if name in _SWITCHES else "a number"
                raise complaint(f"{call}({name}={value!r})", f"{name} must be {need}")
            elif name not in _SWITCHES:
                _check(f"{call}({name}={value!r})", name, value)
        try:
            return function(**given)  # type: ignore[call-arg]
        except MhoError as error:
            if str(error).startswith("`aihwkit."):
                raise
            raise MhoError(f"`{call}`: {error}") from None

    return device


def _unknown(function: str, where: str, name: str, known: set[str]) -> MhoError:
    """Return the error about a field that a function does not take."""
    if name in _WITHOUT.get(function, {}):
        return complaint(where, *_WITHOUT[function][name])
    if name in ELSEWHERE:
        meaning, instead = ELSEWHERE[name]
        return complaint(where, f"in aihwkit {name} is {meaning}", "No function here takes it", instead)
    fix = f"mho.aihwkit.{function}(...).replace({name}=...)" if name in _FIELDS else did_you_mean(name, known)
    return complaint(where, f"this class of aihwkit has no field {name!r}", fix=fix)


def _check(where: str, name: str, value: Any) -> None:
    """Check a number against the domain of its field."""
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise complaint(where, f"{name} must be a finite number")
    domain = _DOMAINS.get(name, NonNegative if name.endswith(_WIDTHS) or name == "diffusion" else None)
    if domain is not None and not domain.accepts(value):
        raise complaint(
            where, f"{name} must be {domain.words}", _REASONS.get(name, ""), domain.fix(name, value)
        )


def _check_nodes(where: str, name: str, value: Any) -> None:
    """Check the nodes of a polygon."""
    nodes = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(nodes, (tuple, list)) or not nodes:
        raise complaint(where, f"{name} must be a list of numbers, at least one")
    for node in nodes:
        if isinstance(node, bool) or not isinstance(node, (int, float)) or not 0 <= node < math.inf:
            need = "A negative one would turn the pulse round, as it does in aihwkit"
            raise complaint(where, f"the nodes of {name} must be finite numbers, zero or positive", need)


def _device(
    response: Response,
    *,
    spread: dict[str, Spread] | None = None,
    c2c: str = "multiplicative",
    dw_min: float = 0.001,
    dw_min_dtod: float = 0.3,
    dw_min_dtod_log_normal: bool = False,
    dw_min_std: float = 0.3,
    up_down: float = 0.0,
    up_down_dtod: float = 0.01,
    w_max_dtod: float = 0.3,
    w_min_dtod: float = 0.3,
    corrupt_devices_prob: float = 0.0,
    corrupt_devices_range: float = 0.1,
    lifetime: float = 0.0,
    lifetime_dtod: float = 0.0,
    diffusion: float = 0.0,
    diffusion_dtod: float = 0.0,
    reset: float = 0.0,
    reset_dtod: float = 0.0,
    reset_std: float = 0.01,
    write_noise_std: float = 0.0,
    **others: Any,
) -> Device:
    """Return a device from the parameters that all classes share; `others` are fields of Device."""
    low, high = (abs(float(bound)) for bound in response.bounds())
    if corrupt_devices_prob > 0 and corrupt_devices_range > min(low, high):
        where = f"corrupt_devices_range={corrupt_devices_range}"
        what = (
            "aihwkit keeps stuck cells between their own bounds, and here they may lie anywhere in the range"
        )
        raise complaint(where, what, fix=f"corrupt_devices_range={min(low, high):g} at most")
    gain: Spread = LogNormal(dw_min_dtod) if dw_min_dtod_log_normal else Absolute(dw_min_dtod)
    all_spreads = {"gain": gain, "tau_max": w_max_dtod, "tau_min": w_min_dtod} | (spread or {})
    kept = lifetime > 0 or diffusion > 0 or reset != 0 or reset_dtod > 0
    retention = Retention(
        lifetime=lifetime,
        lifetime_std=lifetime_dtod,
        diffusion=diffusion,
        diffusion_std=diffusion_dtod,
        reset=reset,
        reset_std=reset_dtod,
        reset_noise=reset_std,
    )
    return Device(
        response,
        dw_min=dw_min,
        sigma_c2c=0.0 if c2c == "law" else dw_min_std,
        c2c=c2c,  # type: ignore[arg-type]
        spread=all_spreads,
        up_down=up_down,
        up_down_std=up_down_dtod,
        corrupt=corrupt_devices_prob,
        corrupt_range=corrupt_devices_range,
        write_noise=write_noise_std,
        retention=retention if kept else None,
        **others,
    )


_COMMON = {n for n, p in inspect.signature(_device).parameters.items() if p.kind is p.KEYWORD_ONLY} - {
    "spread",
    "c2c",
}
_FIELDS = {field.name for field in dataclasses.fields(Device)}  # type: ignore[arg-type]
_SWITCHES = (
    "dw_min_dtod_log_normal", "mean_bound_reference", "allow_increasing", "mult_noise", "subtract_symmetry_point",
)  # fmt: skip
_NO_WRITE_NOISE = {"write_noise_std": ("this class has no write noise", "", "replace(write_noise=...)")}
_FROM_ALPHA = ("aihwkit computes it from p_max, alpha, range_min and range_max", "", _LEAVE)
_WITHOUT: dict[str, dict[str, tuple[str, str, str]]] = {
    "constant_step": _NO_WRITE_NOISE,
    "pow_step_reference": _NO_WRITE_NOISE,
    "soft_bounds_pmax": dict.fromkeys(("dw_min", "up_down", "w_max", "w_min"), _FROM_ALPHA),
}


@_device_of
def constant_step(*, w_max: float = 0.6, w_min: float = -0.6, **common: Any) -> Device:
    """Return a ConstantStepDevice: pulses of one size between hard bounds."""
    return _device(Constant(w_max, w_min), **common)


@_device_of
def linear_step(
    *,
    w_max: float = 0.6,
    w_min: float = -0.6,
    gamma_up: float = 0.0,
    gamma_down: float = 0.0,
    gamma_up_dtod: float = 0.05,
    gamma_down_dtod: float = 0.05,
    mean_bound_reference: bool = True,
    allow_increasing: bool = False,
    mult_noise: bool = True,
    **common: Any,
) -> Device:
    """Return a LinearStepDevice: step size changes linearly with w; the slopes refer to the mean bounds.

    As in aihwkit a cell's gamma is |gamma + dtod xi|, so pulses shrink towards the bound that they lead to. With
    allow_increasing=True it is gamma + dtod xi, and a negative one lets them grow. With w_min=0 the slope downwards
    is 0.
    """
    if not mean_bound_reference:
        where = "aihwkit.linear_step(mean_bound_reference=False)"
        what = "slopes that refer to a cell's own bounds exist for gamma = 1 only"
        raise complaint(where, what, fix="take aihwkit.soft_bounds")
    if not allow_increasing:
        gamma_up, gamma_down = abs(gamma_up), abs(gamma_down)
    for name, gamma in (("gamma_up", gamma_up), ("gamma_down", gamma_down)):
        if gamma > 1:
            what = "a pulse would turn round before its bound"
            raise complaint(f"aihwkit.linear_step({name}={gamma})", what, f"abs({name}) is 1 at most")
    if w_min == 0:
        gamma_down, gamma_down_dtod = 0.0, 0.0
    law = LinearStep(gamma_up / w_max, gamma_down / (-w_min or 1.0), w_max, w_min)
    fold = not allow_increasing
    slopes: dict[str, Spread] = {
        "slope_up": Absolute(gamma_up_dtod / w_max, fold=fold),
        "slope_down": Absolute(gamma_down_dtod / (-w_min or 1.0), fold=fold),
    }
    return _device(law, spread=slopes, c2c=_c2c(mult_noise), **common)


@_device_of
def soft_bounds(*, w_max: float = 0.6, w_min: float = -0.6, mult_noise: bool = True, **common: Any) -> Device:
    """Return a SoftBoundsDevice: step size falls to zero at each cell's own bounds."""
    _check_soft("soft_bounds", w_min)
    return _device(SoftBounds(w_max, w_min), c2c=_c2c(mult_noise), **common)


@_device_of
def soft_bounds_reference(
    *,
    w_max: float = 0.6,
    w_min: float = -0.6,
    mult_noise: bool = False,
    reference_mean: float = 0.0,
    reference_std: float = 0.0,
    subtract_symmetry_point: bool = False,
    **common: Any,
) -> Device:
    """Return a SoftBoundsReferenceDevice, without its slope_up_dtod: soft bounds, read relative to a reference."""
    _check_soft("soft_bounds_reference", w_min)
    reference: dict[str, Any] = {
        "reference_mean": reference_mean,
        "reference_std": reference_std,
        "subtract_sp": subtract_symmetry_point,
    }
    return _device(SoftBounds(w_max, w_min), c2c=_c2c(mult_noise), **reference, **common)


@_device_of
def soft_bounds_pmax(
    *,
    p_max: int = 1000,
    alpha: float = 0.0005,
    range_min: float = -1.0,
    range_max: float = 1.0,
    mult_noise: bool = True,
    **common: Any,
) -> Device:
    """Return a SoftBoundsPmaxDevice as its code is; its documentation describes `SoftBounds.pmax`."""
    width = (range_max - range_min) / -math.expm1(-p_max * alpha)
    law, up_down = SoftBounds(range_min + width, range_min), 1 + 2 * range_min / width
    return _device(law, c2c=_c2c(mult_noise), dw_min=width * alpha, up_down=up_down, **common)


@_device_of
def exp_step(
    *,
    w_max: float = 0.6,
    w_min: float = -0.6,
    dw_min: float = 0.001,
    dw_min_std: float = 0.3,
    dw_min_std_add: float = 0.0,
    dw_min_std_slope: float = 0.0,
    A_up: float = 0.00081,
    A_down: float = 0.36833,
    gamma_up: float = 12.44625,
    gamma_down: float = 12.78785,
    a: float = 0.244,
    b: float = 0.2425,
    **common: Any,
) -> Device:
    """Return an ExpStepDevice.

    lr is converted to pulses with dw_min, for which aihwkit takes the down pulse at w = 0 by mistake.
    """
    law = ExpStep(w_max, w_min, A_up, A_down, gamma_up, gamma_down, a, b)
    if not (dw_min_std_add or dw_min_std_slope):
        return _device(law, dw_min=dw_min, dw_min_std=dw_min_std, **common)
    s, per_step = dw_min_std, dw_min_std / dw_min
    law = law.replace(noise=s, noise_add=per_step * dw_min_std_add, noise_slope=per_step * dw_min_std_slope)
    return _device(law, c2c="law", dw_min=dw_min, **common)


@_device_of
def pow_step(
    *,
    w_max: float = 0.6,
    w_min: float = -0.6,
    pow_gamma: float = 1.0,
    pow_gamma_dtod: float = 0.1,
    pow_up_down: float = 0.0,
    **common: Any,
) -> Device:
    """Return a PowStepDevice.

    The exponents of up and down spread independently; in aihwkit they spread together. lr is converted to pulses
    with dw_min, for which aihwkit takes a pulse at w = 0, dw_min 0.5^pow_gamma. pow_up_down is relative to pow_gamma,
    and a cell's exponents are absolute values.
    """
    law, exponents = _power("pow_step", w_max, w_min, pow_gamma, pow_gamma_dtod, pow_up_down)
    return _device(law, spread=exponents, **common)


@_device_of
def pow_step_reference(
    *,
    w_max: float = 0.6,
    w_min: float = -0.6,
    pow_gamma: float = 1.0,
    pow_gamma_dtod: float = 0.1,
    pow_up_down: float = 0.0,
    reference_mean: float = 0.0,
    reference_std: float = 0.0,
    subtract_symmetry_point: bool = False,
    **common: Any,
) -> Device:
    """Return a PowStepReferenceDevice; its symmetric point is computed, and aihwkit estimates it by pulses."""
    law, exponents = _power("pow_step_reference", w_max, w_min, pow_gamma, pow_gamma_dtod, pow_up_down)
    reference: dict[str, Any] = {
        "reference_mean": reference_mean,
        "reference_std": reference_std,
        "subtract_sp": subtract_symmetry_point,
    }
    return _device(law, spread=exponents, **reference, **common)


@_device_of
def piecewise_step(
    *,
    w_max: float = 0.6,
    w_min: float = -0.6,
    piecewise_up: tuple[float, ...] = (1.0,),
    piecewise_down: tuple[float, ...] = (1.0,),
    **common: Any,
) -> Device:
    """Return a PiecewiseStepDevice: linear between equally spaced nodes over each cell's own range.

    lr is converted to pulses with dw_min, for which aihwkit takes dw_min times the middle node.
    """
    return _device(Piecewise(tuple(piecewise_up), tuple(piecewise_down), w_max, w_min), **common)


def _c2c(mult_noise: bool) -> str:
    return "multiplicative" if mult_noise else "additive"


def _check_soft(function: str, w_min: float) -> None:
    """Check that pulses can shrink towards the lower bound."""
    if w_min == 0:
        what = (
            "the down pulse of soft bounds is in proportion to 1 - w/w_min; aihwkit makes it constant there"
        )
        fix = "aihwkit.linear_step(w_min=0, gamma_up=1, gamma_up_dtod=0)"
        raise complaint(f"aihwkit.{function}(w_min=0)", what, fix=fix)


def _power(
    function: str, w_max: float, w_min: float, gamma: float, dtod: float, up_down: float
) -> tuple[PowStep, dict[str, Spread]]:
    """Return the law and its spreads; aihwkit's exponents are |gamma (1 + dtod xi + up_down of the direction)|."""
    up, down = abs(gamma * (1 + min(up_down, 0.0))), abs(gamma * (1 - max(up_down, 0.0)))
    if up == 0 or down == 0:
        where = f"aihwkit.{function}(pow_gamma={gamma}, pow_up_down={up_down})"
        what = "an exponent is 0, which makes steps of one size"
        raise complaint(where, what, fix="aihwkit.constant_step, if both are, else an exponent near 0")
    law = PowStep(w_max, w_min, up, down)
    spread = Absolute(abs(gamma) * dtod, fold=True)
    return law, {"gamma_up": spread, "gamma_down": spread}
