"""The quantities that the convergence theorems bound, from recorded weights and gradients.

Theorem 2's own right-hand side is not here: its proof in arXiv 2502.06309 uses Lemma 3, whose constant F_max should
be q_max, so that its explicit constants are up to twice too small for each use of the lemma.
"""

from typing import Any

import torch
from torch import Tensor

from mho.base.errors import complaint
from mho.device.device import Device
from mho.responses.base import DOUBLE, Response
from mho.theory.law import cell_of
from mho.theory.law import weights as inside

Law = Response | Device


def S_K(law: Law, weights: Any) -> float:
    """Return the mean over k of max_d (G/sqrt(F))^2 at W_k: the distance of the weights from symmetric points.

    Soft bounds +-tau: the mean of max_d (w_d/tau)^2. With the weights of P it is S_K of Residual Learning.

    Args:
        law: as for `R`.
        weights: W_0 ... W_(K-1) [weight units], shape (K, ...).
    Returns: S_K [1].
    Raises: MhoError if there is no step, or a weight lies outside the bounds.
    Source: arXiv 2502.06309, Theorem 2, after eq. (8); of P, Theorem 3, eq. (13).
    """
    cell = cell_of(law, "S_K")
    w = inside(cell, _steps(weights, "S_K"), "S_K(law, weights)")
    return float((cell.G(w) ** 2 / cell.F(w)).flatten(1).amax(dim=1).mean())


def E_K(gradients: Any) -> float:
    """Return the mean over k of |grad f(W_k)|^2.

    Args:
        gradients: of the loss, not of mini-batches [loss per weight unit], shape (K, ...).
    Returns: E_K [squared unit of the gradients].
    Raises: MhoError if there is no step.
    Source: arXiv 2502.06309, Theorem 2, eq. (8).
    """
    return _mean_square(gradients, "E_K")


def E_K_residual(
    gradients: Any, p: Any, p_star: Any, w: Any, w_star: Any, c_p: float = 1.0, c_w: float = 1.0
) -> float:
    """Return Residual Learning's metric, the mean over k of

        |grad f(W_k + gamma P_k)|^2 + c_p |P_k - P*(W_k)|^2 + c_w |W_k - W*|^2

    Args:
        gradients: at the visible weight [loss per weight unit], shape (K, ...).
        p, w: the arrays [weight units], (K, ...).
        p_star: P*(W_k) = (W* - W_k)/gamma [weight units], (K, ...).
        w_star: W* [weight units], broadcasts with w.
        c_p, c_w: factors that the paper writes as O(.) [squared gradient per squared weight unit].
    Returns: the metric [squared unit of the gradients].
    Raises: MhoError if there is no step.
    Source: arXiv 2502.06309, Theorem 3, eq. (12).
    """
    residual, slow = _difference(p, p_star), _difference(w, w_star)
    where = "E_K_residual"
    return (
        _mean_square(gradients, where) + c_p * _mean_square(residual, where) + c_w * _mean_square(slow, where)
    )


def E_K_tracking(
    law_p: Law, w: Any, w_star: Any, p: Any, q: Any, c_q: float = 1.0, c_g: float = 1.0
) -> float:
    """Return RIDER's metric: the mean of |W_k - W*|^2 + c_q |P_k - Q_k|^2 + c_g |G_p(P_k)|^2.

    Args:
        law_p: the law of P, as for `R`.
        w, p, q: the arrays [weight units], (K, ...).
        w_star: W* [weight units], broadcasts with w.
        c_q, c_g: factors that the paper writes as O(.) [1], [squared weight units].
    Returns: the metric [squared weight units].
    Raises: MhoError if there is no step, or P lies outside the bounds.
    Source: arXiv 2602.21321, eq. (14).
    """
    where = "E_K_tracking"
    cell = cell_of(law_p, where)
    g = cell.G(inside(cell, _steps(p, where), f"{where}(p=...)"))
    slow, gap = _difference(w, w_star), _difference(p, q)
    return _mean_square(slow, where) + c_q * _mean_square(gap, where) + c_g * _mean_square(g, where)


def _steps(values: Any, where: str) -> Tensor:
    x = torch.as_tensor(values, dtype=DOUBLE)
    if x.ndim < 2 or len(x) == 0:
        what = f"an array has shape {tuple(x.shape)}"
        raise complaint(f"{where}(...)", what, "it must be (K, ...), K > 0 steps")
    return x


def _mean_square(values: Any, where: str) -> float:
    return float((_steps(values, where) ** 2).flatten(1).sum(dim=1).mean())


def _difference(a: Any, b: Any) -> Tensor:
    return torch.as_tensor(a, dtype=DOUBLE) - torch.as_tensor(b, dtype=DOUBLE)
