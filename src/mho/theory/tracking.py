"""The tracking of symmetric points: fixed point of RIDER without a chopper, low-pass, and number of pulses."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from mho.base.errors import complaint
from mho.device.cell import Cells
from mho.device.device import Device
from mho.responses.base import DOUBLE, Response
from mho.theory.law import bounds_of, cell_of, point_of
from mho.theory.penalty import folded_mean, nonnegative, quadratic

Law = Response | Device
BISECTIONS = 60


class FixedPoint(NamedTuple):
    """The point at which RIDER settles: w, and p = q on average, each float64 of shape (d,) [weight units]."""

    w: Tensor
    p: Tensor


def rider_fixed_point(law_w: Law, law_p: Law, hessian: Any, w_star: Any, noise: Any) -> FixedPoint:
    """Return the fixed point of RIDER without a chopper and with fixed steps, on f = (W - W*)^T H (W - W*) / 2.

    Q at rest needs E[P - Q] = 0, W then G_w(W) = 0: W ends at its own array's symmetric point, wherever W* is. P
    and Q follow until grad f(W) + E|grad f(W) + noise| R_p(P) = 0. The fluctuation gamma (P - Q) of the visible
    weight is neglected beside the noise. It is reached slowly, at a speed about eta E|P - Q| G_w/F_w.

    Args:
        law_w, law_p: the laws of W and P, as for `R`; fields may have shape (d,). R_p rises from -1 to 1.
        hessian: H [loss per square weight unit], (d, d).
        w_star: W* [weight units], (d,).
        noise: standard deviation of normal gradient noise [loss per weight unit], a number or (d,), >= 0; where it
            is 0 P ends at a bound, unless W* is the symmetric point.
    Returns: w and p.
    Raises: MhoError if shapes differ, noise is negative, or R_p does not reach the value between finite bounds.
    Source: derived from arXiv 2602.21321, eqs. (11) and (12); design/007-algorithms.md. Theorem 3.7 of the paper
        excludes these points by its assumption 3.6, which cannot hold near the minimum.
    """
    h, star = quadratic(hessian, w_star, "rider_fixed_point")
    w = point_of(cell_of(law_w, "rider_fixed_point")).expand(star.shape).clone()
    gradient = h @ (w - star)
    size = folded_mean(gradient, nonnegative(noise, "noise", "rider_fixed_point").expand(star.shape))
    aim = torch.where(size > 0, -gradient / torch.where(size > 0, size, 1.0), 0.0)
    return FixedPoint(w, _where_R_is(cell_of(law_p, "rider_fixed_point"), aim))


def _where_R_is(cell: Cells, aim: Tensor) -> Tensor:
    """Return the weight of each cell with R(w) = aim."""
    lower, upper = (b.expand(aim.shape) for b in bounds_of(cell))
    if not (lower.isfinite() & upper.isfinite()).all():
        raise complaint("rider_fixed_point(law_p=...)", "the law of P has no finite bounds")
    if ((cell.R(lower) > aim + 1e-9) | (cell.R(upper) < aim - 1e-9)).any():
        raise complaint(
            "rider_fixed_point(law_p=...)", "R_p does not reach -grad f / E|grad f| between the bounds"
        )
    for _ in range(BISECTIONS):
        middle = (lower + upper) / 2
        below = cell.R(middle) < aim
        lower, upper = torch.where(below, middle, lower), torch.where(below, upper, middle)
    return (lower + upper) / 2


def lowpass_gain(omega: Any, eta: float) -> Tensor:
    """Return |H|^2 of Q <- (1 - eta) Q + eta P at omega: eta^2 / (1 + (1 - eta)^2 - 2 (1 - eta) cos omega).

    1 at omega = 0, (eta/(2 - eta))^2 at pi.

    Args:
        omega: [radian per step], any shape.
        eta: [1], in (0, 1].
    Returns: |H|^2 [1], float64 of omega's shape.
    Raises: MhoError if eta is not in (0, 1].
    Source: arXiv 2602.21321, Lemma 3.10, eq. (16).
    """
    keep = 1 - _rate(eta, "lowpass_gain")
    return eta**2 / (1 + keep**2 - 2 * keep * torch.cos(torch.as_tensor(omega, dtype=DOUBLE)))


def chopper_leak(eta: float, p: float) -> float:
    """Return the variance of the low-pass of a chopper, the part of a chopped constant's square that gets into Q:

        eta/(2 - eta) (1 + r)/(1 - r),   r = (1 - eta)(1 - 2 p)

    It is the mean of `lowpass_gain` over the chopper's spectrum. p = 0: 1, nothing is filtered.

    Args:
        eta: of the low-pass [1], in (0, 1].
        p: probability of a flip per step [1], in [0, 1].
    Returns: the variance [1], for a chopper of +-1.
    Raises: MhoError if eta or p is out of range.
    Source: derived from arXiv 2602.21321, eqs. (16) and (17), a chopper having the autocorrelation (1 - 2 p)^|k|.
    """
    keep = 1 - _rate(eta, "chopper_leak")
    if not 0 <= p <= 1:
        raise complaint(f"chopper_leak(p={p})", "p is a probability, in [0, 1]")
    r = keep * (1 - 2 * p)
    return eta / (2 - eta) * (1 + r) / (1 - r)


class Complexity(NamedTuple):
    """Pulses for a training error delta, up to factors: by `two_stage` calibration and training, by `tracking`."""

    two_stage: Tensor
    tracking: Tensor


def pulses_for_training(delta: Any, dw_min: float, c_train: float = 1.0, c_shift: float = 1.0) -> Complexity:
    """Return the pulses for a training error delta, of two ways to a reference:

        two-stage: c_train/delta^2 + c_shift/(delta dw_min)      tracking: c_train/delta^2

    Calibration dominates once delta > dw_min c_train/c_shift. The corollary is about delta >= O(dw_min).
    Both are upper bounds whose factors the paper does not give: use how the
    numbers change with delta and dw_min, not the numbers.
    The paper shows tracking's under assumption 3.6 only, see `rider_fixed_point`.

    Args:
        delta: error of training, as in eq. (14) [squared weight units], any shape, > 0.
        dw_min: [weight units], > 0.
        c_train, c_shift: the factors [squared weight units]^2 and [squared weight units times weight units].
    Returns: the numbers of pulses, float64 of delta's shape.
    Raises: MhoError if delta or dw_min is not positive.
    Source: arXiv 2602.21321, Corollary 3.9.
    """
    error = torch.as_tensor(delta, dtype=DOUBLE)
    if not ((error > 0).all() and dw_min > 0):
        raise complaint("pulses_for_training(delta, dw_min)", "delta and dw_min must be positive")
    train = c_train / error**2
    return Complexity(train + c_shift / (error * dw_min), train)


def _rate(eta: float, where: str) -> float:
    if not 0 < eta <= 1:
        raise complaint(f"{where}(eta={eta})", "eta must be in (0, 1]")
    return eta
