"""aihwkit's step laws: constant, linear, exponential and piecewise linear, between hard bounds."""

import math
from collections.abc import Sequence
from typing import Any

from mho.aihwkit.common import Lower, Step, Upper, Width, c2c_of, pulsed
from mho.aihwkit.words import NO_WRITE_NOISE, spoken
from mho.base.errors import complaint
from mho.device.device import Device
from mho.device.spread import Absolute, Spread
from mho.responses.constant import Constant
from mho.responses.exp_step import ExpStep
from mho.responses.linear_step import LinearStep
from mho.responses.piecewise import Piecewise


@spoken(without=NO_WRITE_NOISE)
def constant_step(*, w_max: Upper = 0.6, w_min: Lower = -0.6, **common: Any) -> Device:
    """Return a ConstantStepDevice: pulses of one size between hard bounds."""
    return pulsed(Constant(w_max, w_min), **common)


@spoken()
def linear_step(
    *,
    w_max: Upper = 0.6,
    w_min: Lower = -0.6,
    gamma_up: float = 0.0,
    gamma_down: float = 0.0,
    gamma_up_dtod: Width = 0.05,
    gamma_down_dtod: Width = 0.05,
    mean_bound_reference: bool = True,
    allow_increasing: bool = False,
    mult_noise: bool = True,
    **common: Any,
) -> Device:
    """Return a LinearStepDevice: step size changes linearly with w; the slopes refer to the mean bounds.

    As in aihwkit a cell's gamma is |gamma + dtod xi|, so pulses shrink towards the bound that they lead to. With
    allow_increasing=True it is gamma + dtod xi, and a negative one lets them grow. With w_min=0 the slope downwards
    is 0. In aihwkit a pulse whose size would be negative turns round; here the size of such a pulse is 0.
    """
    if not mean_bound_reference and (common.get("w_max_dtod", 0.3) or common.get("w_min_dtod", 0.3)):
        what = "slopes that refer to a cell's own bounds exist for gamma = 1 only"
        fix = "aihwkit.soft_bounds for gamma = 1; w_max_dtod=0 and w_min_dtod=0 for any other"
        raise complaint("mean_bound_reference=False", what, fix=fix)
    up = _slope("gamma_up", gamma_up, w_max, -w_min, allow_increasing)
    down = _slope("gamma_down", gamma_down, -w_min, w_max, allow_increasing)
    fold = not allow_increasing
    slopes: dict[str, Spread] = {
        "slope_up": Absolute(gamma_up_dtod / w_max, fold=fold),
        "slope_down": Absolute(gamma_down_dtod / -w_min if w_min else 0.0, fold=fold),
    }
    return pulsed(LinearStep(up, down, w_max, w_min), slopes, c2c_of(mult_noise), **common)


@spoken()
def exp_step(
    *,
    w_max: Upper = 0.6,
    w_min: Lower = -0.6,
    dw_min: Step = 0.001,
    dw_min_std: Width = 0.3,
    dw_min_std_add: Width = 0.0,
    dw_min_std_slope: Width = 0.0,
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
        return pulsed(law, dw_min=dw_min, dw_min_std=dw_min_std, **common)
    s, per_step = dw_min_std, dw_min_std / dw_min
    law = law.replace(noise=s, noise_add=per_step * dw_min_std_add, noise_slope=per_step * dw_min_std_slope)
    return pulsed(law, c2c="law", dw_min=dw_min, **common)


@spoken()
def piecewise_step(
    *,
    w_max: Upper = 0.6,
    w_min: Lower = -0.6,
    piecewise_up: Sequence[float] = (1.0,),
    piecewise_down: Sequence[float] = (1.0,),
    **common: Any,
) -> Device:
    """Return a PiecewiseStepDevice: linear between equally spaced nodes over each cell's own range.

    lr is converted to pulses with dw_min, for which aihwkit takes dw_min times the middle node.
    """
    up, down = _nodes("piecewise_up", piecewise_up), _nodes("piecewise_down", piecewise_down)
    return pulsed(Piecewise(up, down, w_max, w_min), **common)


def _slope(name: str, gamma: float, ahead: float, behind: float, allow_increasing: bool) -> float:
    """Return gamma, or its absolute value, divided by the distance of the bound ahead of a pulse; 0 if that is 0.

    Args:
        ahead, behind: distances of the bounds from 0 [weight units], >= 0.
    Raises: MhoError if a pulse between the bounds would turn round.
    """
    if ahead == 0:
        return 0.0
    value = gamma if allow_increasing else abs(gamma)
    least = -ahead / behind if behind else -math.inf
    if not least <= value <= 1:
        need = f"{name} is a number from {least:.4g} to 1"
        raise complaint(f"{name}={gamma}", "a pulse would turn round before its bound", need)
    return value / ahead


def _nodes(name: str, given: Any) -> tuple[float, ...]:
    """Return the nodes of a polygon, from a list, a tuple, an array or a tensor with one dimension."""
    nodes = given.tolist() if hasattr(given, "tolist") else given
    if not isinstance(nodes, (tuple, list)) or not nodes:
        raise complaint(f"{name}={given!r}", f"{name} must be a list of numbers, at least one")
    for node in nodes:
        if isinstance(node, bool) or not isinstance(node, (int, float)) or not 0 <= node < math.inf:
            need = "A negative one would turn the pulse round, as it does in aihwkit"
            raise complaint(f"{name}={given!r}", "the nodes must be finite numbers, zero or positive", need)
    if not (any(nodes) and all(nodes[1:-1])):
        raise complaint(
            f"{name}={given!r}", "a step between the bounds is 0", "Only nodes at the ends may be"
        )
    return tuple(nodes)
