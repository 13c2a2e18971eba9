"""aihwkit's soft bounds: pulses that shrink linearly towards each cell's own bounds."""

import math
from typing import Annotated, Any

from mho.aihwkit.common import Lower, Step, Subtracted, Upper, Width, c2c_of, pulsed
from mho.aihwkit.words import Foreign, spoken
from mho.base.records import NonPositive, Positive
from mho.device.device import Device
from mho.responses.base import Response
from mho.responses.piecewise import Piecewise
from mho.responses.soft_bounds import SoftBounds

_FROM_ALPHA = Foreign("computed from p_max, alpha, range_min and range_max", "leave it out", None)


@spoken()
def soft_bounds(*, w_max: Upper = 0.6, w_min: Lower = -0.6, mult_noise: bool = True, **common: Any) -> Device:
    """Return a SoftBoundsDevice: step size falls to zero at each cell's own bounds; w_min=0 as in `_soft`."""
    return pulsed(_soft(w_max, w_min), c2c=c2c_of(mult_noise), **common)


@spoken()
def soft_bounds_reference(
    *,
    w_max: Upper = 0.6,
    w_min: Lower = -0.6,
    mult_noise: bool = False,
    reference_mean: float = 0.0,
    reference_std: Width = 0.0,
    subtract_symmetry_point: bool = False,
    **common: Any,
) -> Device:
    """Return a SoftBoundsReferenceDevice, without its slope_up_dtod: soft bounds, read relative to a reference."""
    offset = Subtracted(
        reference_mean, reference_std, subtract_symmetry_point and w_min < 0
    )  # as its code does
    return pulsed(_soft(w_max, w_min), c2c=c2c_of(mult_noise), offset=offset, **common)


@spoken(without=dict.fromkeys(("dw_min", "up_down", "w_max", "w_min"), _FROM_ALPHA))
def soft_bounds_pmax(
    *,
    p_max: Step = 1000,
    alpha: Step = 0.0005,
    range_min: Annotated[float, NonPositive] = -1.0,
    range_max: Annotated[float, Positive] = 1.0,
    mult_noise: bool = True,
    **common: Any,
) -> Device:
    """Return a SoftBoundsPmaxDevice as its code is; its documentation describes `SoftBounds.pmax`."""
    width = (range_max - range_min) / -math.expm1(-p_max * alpha)
    law, up_down = _soft(range_min + width, range_min), 1 + 2 * range_min / width
    return pulsed(law, c2c=c2c_of(mult_noise), dw_min=width * alpha, up_down=up_down, **common)


def _soft(w_max: float, w_min: float) -> Response:
    """Return soft bounds; for w_min=0 those of aihwkit, whose down pulses then have one size."""
    return SoftBounds(w_max, w_min) if w_min < 0 else Piecewise((1.0, 0.0), (1.0,), w_max, 0.0)
