"""aihwkit's pulsed devices by their own parameter names and defaults: each function gives the same `mho.Device`.

    device = mho.aihwkit.soft_bounds_reference(dw_min=0.4622, dw_min_dtod=0.7125, dw_min_dtod_log_normal=True)

The code of aihwkit 1.2.0 decides, not its documentation. A parameter that this library cannot follow is an error.
Left out: `construction_seed`, as keys name the draws, `perfect_bias`, `reverse_up` and `reverse_down`.

Source: aihwkit 1.2.0, simulator/configs/devices.py and the C++ classes of the same names.
"""

import math
from typing import Any

from mho.base.errors import complaint
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


def constant_step(*, w_max: float = 0.6, w_min: float = -0.6, **common: Any) -> Device:
    """Return a ConstantStepDevice: pulses of one size between hard bounds."""
    if "write_noise_std" in common:
        raise complaint("aihwkit.constant_step(write_noise_std=...)", "this class has no write noise")
    return _device(Constant(w_max, w_min), **common)


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
    """Return a LinearStepDevice: step size changes linearly with w; the slopes refer to the mean bounds."""
    if not mean_bound_reference:
        where = "aihwkit.linear_step(mean_bound_reference=False)"
        what = "slopes that refer to a cell's own bounds exist for gamma = 1 only"
        raise complaint(where, what, fix="take aihwkit.soft_bounds")
    law = LinearStep(gamma_up / w_max, gamma_down / -w_min, w_max, w_min)
    fold = not allow_increasing
    slopes: dict[str, Spread] = {
        "slope_up": Absolute(gamma_up_dtod / w_max, fold=fold),
        "slope_down": Absolute(gamma_down_dtod / -w_min, fold=fold),
    }
    return _device(law, spread=slopes, c2c=_c2c(mult_noise), **common)


def soft_bounds(*, w_max: float = 0.6, w_min: float = -0.6, mult_noise: bool = True, **common: Any) -> Device:
    """Return a SoftBoundsDevice: step size falls to zero at each cell's own bounds."""
    return _device(SoftBounds(w_max, w_min), c2c=_c2c(mult_noise), **common)


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
    reference: dict[str, Any] = {
        "reference_mean": reference_mean,
        "reference_std": reference_std,
        "subtract_sp": subtract_symmetry_point,
    }
    return _device(SoftBounds(w_max, w_min), c2c=_c2c(mult_noise), **reference, **common)


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
    with dw_min, for which aihwkit takes a pulse at w = 0, dw_min 0.5^pow_gamma.
    """
    law, exponents = _power(w_max, w_min, pow_gamma, pow_gamma_dtod, pow_up_down)
    return _device(law, spread=exponents, **common)


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
    law, exponents = _power(w_max, w_min, pow_gamma, pow_gamma_dtod, pow_up_down)
    reference: dict[str, Any] = {
        "reference_mean": reference_mean,
        "reference_std": reference_std,
        "subtract_sp": subtract_symmetry_point,
    }
    return _device(law, spread=exponents, **reference, **common)


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


def _power(
    w_max: float, w_min: float, gamma: float, dtod: float, up_down: float
) -> tuple[PowStep, dict[str, Spread]]:
    law = PowStep(w_max, w_min, gamma + min(up_down, 0.0), gamma - max(up_down, 0.0))
    spread = Absolute(gamma * dtod, fold=True)
    return law, {"gamma_up": spread, "gamma_down": spread}
