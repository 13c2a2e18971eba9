"""aihwkit's power laws: pulses that shrink as a power of the distance to the bound."""

from typing import Any

from mho.aihwkit.common import Lower, Subtracted, Upper, Width, pulsed
from mho.aihwkit.words import NO_WRITE_NOISE, spoken
from mho.base.errors import complaint
from mho.device.device import Device
from mho.device.spread import Absolute, Spread
from mho.responses.pow_step import PowStep


@spoken()
def pow_step(
    *,
    w_max: Upper = 0.6,
    w_min: Lower = -0.6,
    pow_gamma: float = 1.0,
    pow_gamma_dtod: Width = 0.1,
    pow_up_down: float = 0.0,
    **common: Any,
) -> Device:
    """Return a PowStepDevice.

    The exponents of up and down spread independently; in aihwkit they spread together. lr is converted to pulses
    with dw_min, for which aihwkit takes a pulse at w = 0, dw_min 0.5^pow_gamma. pow_up_down is relative to
    pow_gamma, and a cell's exponents are absolute values.
    """
    law, exponents = _power(w_max, w_min, pow_gamma, pow_gamma_dtod, pow_up_down)
    return pulsed(law, exponents, **common)


@spoken(without=NO_WRITE_NOISE)
def pow_step_reference(
    *,
    w_max: Upper = 0.6,
    w_min: Lower = -0.6,
    pow_gamma: float = 1.0,
    pow_gamma_dtod: Width = 0.1,
    pow_up_down: float = 0.0,
    reference_mean: float = 0.0,
    reference_std: Width = 0.0,
    subtract_symmetry_point: bool = False,
    **common: Any,
) -> Device:
    """Return a PowStepReferenceDevice; its symmetric point is computed, and aihwkit estimates it by pulses."""
    law, exponents = _power(w_max, w_min, pow_gamma, pow_gamma_dtod, pow_up_down)
    offset = Subtracted(
        reference_mean, reference_std, subtract_symmetry_point and w_min < 0
    )  # as its code does
    return pulsed(law, exponents, offset=offset, **common)


def _power(
    w_max: float, w_min: float, gamma: float, dtod: float, up_down: float
) -> tuple[PowStep, dict[str, Spread]]:
    """Return the law and its spreads; aihwkit's exponents are |gamma (1 + dtod xi + up_down of the direction)|."""
    up, down = abs(gamma * (1 + min(up_down, 0.0))), abs(gamma * (1 - max(up_down, 0.0)))
    if up == 0 or down == 0:
        where = f"pow_gamma={gamma}, pow_up_down={up_down}"
        what = "an exponent is 0, which makes steps of one size"
        raise complaint(where, what, fix="aihwkit.constant_step, if both are, else an exponent near 0")
    spread = Absolute(abs(gamma) * dtod, fold=True)
    return PowStep(w_max, w_min, up, down), {"gamma_up": spread, "gamma_down": spread}
