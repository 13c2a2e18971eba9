"""Bounds on the error and on the pulses of zero-shifting one cell, from arXiv 2602.21321.

The bounds are of one cell: of several, add theirs (the printed ones are of the vector, with q_max^2 where a sum
over D cells brings D q_max^2). All are upper bounds, and hold as long as w stays in the interval of the constants.
"""

import math
from typing import Any

import torch
from torch import Tensor

from mho.base.errors import complaint
from mho.device.device import Device
from mho.responses.base import DOUBLE, Response
from mho.theory.interval import Constants
from mho.theory.law import phi

Law = Response | Device


def random_mean_square(law: Law, w0: Any, n: Any, dw_min: float, of: Constants) -> Tensor:
    """Return the bound of the mean of E G(W_k)^2 over the n pulses of random zero-shifting:

        (phi(w0) - phi*)/(n dw_min) + L_q dw_min q_max^2 / 2

    Args:
        law: as for `constants`.
        w0: start [weight units], any shape.
        n: number of pulses, a number or of a shape that broadcasts, > 0.
        dw_min: [weight units], > 0.
        of: `constants` of the law.
    Returns: the bound [1], float64 of the joint shape.
    Raises: MhoError if n or dw_min is not positive, or w0 is not in the interval.
    Source: arXiv 2602.21321, Theorem 2.2, eq. (25).
    """
    pulses = _positive(n, "n")
    return (
        _potential(law, w0, of) / (pulses * _positive(dw_min, "dw_min")) + of.L_q * dw_min * of.q_max**2 / 2
    )


def cyclic_mean_square(law: Law, w0: Any, cycles: Any, dw_min: float, of: Constants) -> Tensor:
    """Return the bound of the mean of G(W_k)^2 over `cycles` pairs of one up and one down pulse:

        (phi(w0) - phi*)/(2 cycles dw_min) + 3 dw_min q_max^2 L_q / 2

    The floor is loose: simulated ones fall with the square of dw_min, see `cyclic_limit`.

    Args, Returns and Raises: as for `random_mean_square`, with N = cycles.
    Source: arXiv 2602.21321, Theorem C.3.
    """
    pulses = 2 * _positive(cycles, "cycles")
    first = _potential(law, w0, of) / (pulses * _positive(dw_min, "dw_min"))
    return first + 3 * dw_min * of.q_max**2 * of.L_q / 2


def random_distance(w0: Any, n: Any, dw_min: float, of: Constants) -> Tensor:
    """Return the bound of E (W_n - w_sp)^2 after n random pulses of a monotone law:

        (1 - 2 dw_min mu_q)^n (w0 - w_sp)^2 + dw_min q_max^2 / mu_q

    Args: as for `random_mean_square`.
    Returns: the bound [squared weight units], float64 of the joint shape.
    Raises: MhoError unless 0 < mu_q < 1/(2 dw_min), n > 0, and w0 is in the interval.
    Source: arXiv 2602.21321, Theorem C.2, eq. (28).
    """
    decay = _decay(dw_min, of) ** _positive(n, "n")
    return decay * _square(w0, of) + dw_min * of.q_max**2 / of.mu_q


def cyclic_distance(w0: Any, cycles: Any, dw_min: float, of: Constants) -> Tensor:
    """Return the bound of (W - w_sp)^2 after N = `cycles` pairs of an up and a down pulse of a monotone law:

        (1 - 2 dw_min mu_q)^(2 N) (w0 - w_sp)^2 + dw_min q_max^2 (4 + L_q^2/mu_q + 2 mu_q)/mu_q

    As printed; L_q^2/mu_q and mu_q are no pure numbers, so the floor depends on the unit of w. That of
    `cyclic_limit` does not, and is far lower.

    Args, Returns and Raises: as for `random_distance`.
    Source: arXiv 2602.21321, Theorem C.4.
    """
    decay = _decay(dw_min, of) ** (2 * _positive(cycles, "cycles"))
    floor = dw_min * of.q_max**2 * (4 + of.L_q**2 / of.mu_q + 2 * of.mu_q) / of.mu_q
    return decay * _square(w0, of) + floor


def cyclic_limit(w0: Any, cycles: Any, dw_min: float, of: Constants) -> Tensor:
    """Return a bound of |W - w_sp| after N pairs of an up and a down pulse; it falls with dw_min, not its root:

        (1 - 2 dw_min mu_q)^N |w0 - w_sp| + dw_min L q_max / (2 mu_q),   L = 2 L_q - mu_q

    A cycle moves w by -2 dw_min G(w) less at most dw_min^2 L q_max, L being a bound of q_down' (the slopes of
    q_down and -q_up add up to 2 G', and each is mu_q at least).

    Args: as for `cyclic_distance`.
    Returns: the bound [weight units], float64 of the joint shape.
    Raises: MhoError as `random_distance`, and unless 2 dw_min L_q <= 1.
    Source: derived from arXiv 2602.21321, section 2.2 (cyclic zero-shifting); sharper than its Theorem C.4.
    """
    decay = _decay(dw_min, of) ** _positive(cycles, "cycles")
    if 2 * dw_min * of.L_q > 1:
        raise complaint("cyclic_limit(...)", f"2 dw_min L_q = {2 * dw_min * of.L_q:.3g}", "it must be <= 1")
    steepest = 2 * of.L_q - of.mu_q
    return decay * _square(w0, of).sqrt() + dw_min * steepest * of.q_max / (2 * of.mu_q)


def pulses_for(w0: Any, delta: Any, dw_min: float, of: Constants, cyclic: bool = False) -> Tensor:
    """Return the number of pulses that suffices for E (W_N - w_sp)^2 <= delta of a monotone law:

        N >= log(2 (w0 - w_sp)^2 / delta) / (2 mu_q dw_min)

    Theorem C.2 prints N <= in its box; its proof gives N >=. With cyclic=True the same number of pulses, which
    are the log(...)/(4 mu_q dw_min) cycles of Theorem C.4.

    Args:
        w0: start [weight units], any shape.
        delta: the error [squared weight units], a number or of a shape that broadcasts; at least twice the floor of
            `random_distance` or `cyclic_distance`.
        dw_min, of: as for `random_distance`.
        cyclic: up and down pulses in turn.
    Returns: N, float64, not rounded, 0 if w0 is close enough.
    Raises: MhoError if delta is below what the bound can show, or mu_q not in (0, 1/(2 dw_min)).
    Source: arXiv 2602.21321, Theorem C.2, eq. (30), corrected; Theorem C.4.
    """
    _decay(dw_min, of)
    floor = float((cyclic_distance if cyclic else random_distance)(of.w_sp, 1, dw_min, of))
    aim = _positive(delta, "delta")
    if (aim < 2 * floor * (1 - 1e-12)).any():
        raise complaint("pulses_for(delta=...)", f"the bound shows no error below {2 * floor:.3g}")
    return torch.clamp(torch.log(2 * _square(w0, of) / aim) / (2 * of.mu_q * dw_min), min=0)


def linear_pulses(
    w0: Any, w_sp: Any, error: Any, dw_min: float, tau: float = 1.0, a: float = 1.0, b: float = 1.0
) -> Tensor:
    """Return the number of pulses after which the mean of a linear device is `error` from its symmetric point:

        N = 2 tau / ((a + b) dw_min) ln(|w0 - w_sp| / error),   q_up = a (1 - w/tau), q_down = b (1 + w/tau)

    An equality up to order dw_min, not a bound: E G relaxes by the part dw_min (a + b)/(2 tau) each pulse.

    Args:
        w0, w_sp, error: [weight units], shapes that broadcast; error > 0.
        dw_min, tau: [weight units], > 0.
        a, b: sizes of up and down pulses at w = 0 [1], > 0.
    Returns: N, float64 of the joint shape, not rounded, 0 if w0 is close enough.
    Raises: MhoError if error, dw_min, tau, a or b is not positive.
    Source: derived from arXiv 2602.21321, eq. (7), for the linear device of arXiv 2502.06309, section 1.1.
    """
    for name, value in (("dw_min", dw_min), ("tau", tau), ("a", a), ("b", b)):
        _positive(value, name)
    distance = (torch.as_tensor(w0, dtype=DOUBLE) - torch.as_tensor(w_sp, dtype=DOUBLE)).abs()
    return torch.clamp(2 * tau / ((a + b) * dw_min) * torch.log(distance / _positive(error, "error")), min=0)


def _potential(law: Law, w0: Any, of: Constants) -> Tensor:
    return phi(law, _start(w0, of), of.w_sp) - of.phi_min


def _decay(dw_min: float, of: Constants) -> float:
    _positive(dw_min, "dw_min")
    if not 0 < of.mu_q < 1 / (2 * dw_min):
        rule = "the theorem needs a monotone law, 0 < mu_q < 1/(2 dw_min)"
        raise complaint("theory.zero_shift", f"mu_q = {of.mu_q:.3g}, dw_min = {dw_min}", rule)
    return 1 - 2 * dw_min * of.mu_q


def _square(w0: Any, of: Constants) -> Tensor:
    return (_start(w0, of) - of.w_sp) ** 2


def _start(w0: Any, of: Constants) -> Tensor:
    x = torch.as_tensor(w0, dtype=DOUBLE)
    if not ((x >= of.lower) & (x <= of.upper)).all():
        where = f"[{of.lower}, {of.upper}]"
        raise complaint(
            "theory.zero_shift (w0=...)", f"a start outside the interval of the constants, {where}"
        )
    return x


def _positive(value: Any, name: str) -> Tensor:
    x = torch.as_tensor(value, dtype=DOUBLE)
    if not ((x > 0) & (x < math.inf)).all():
        raise complaint(f"theory.zero_shift ({name}=...)", f"{name} is not positive and finite")
    return x
