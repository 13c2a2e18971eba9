"""The point at which Analog SGD settles: implicit penalty, its minimiser, and the zero of the mean update."""

import math
from typing import Any

import torch
from scipy import optimize
from torch import Tensor

from mho.base.errors import complaint
from mho.device.device import Device
from mho.responses.base import DOUBLE, Response
from mho.theory.law import R_c, bounds_of, cell_of, point_of, slope_of

Law = Response | Device


def penalty(law: Law, w: Any, sigma: Any, sp: Any = None) -> float:
    """Return the term that Analog SGD adds to the loss: <Sigma, R_c(W)>.

    Soft bounds +-tau: sum of sigma w^2/(2 tau).

    Args:
        law: as for `R`.
        w: weights [weight units], any shape.
        sigma: E|grad f(W*; xi)|, the mean size of the gradient at the minimum [loss per weight unit], a number or
            of w's shape, >= 0.
        sp: as for `R_c`.
    Returns: the penalty [loss].
    Raises: MhoError if sigma is negative or w lies outside the bounds.
    Source: arXiv 2502.06309, Theorem 1, eq. (7).
    """
    accumulated = R_c(law, torch.as_tensor(w, dtype=DOUBLE), sp)
    return float((nonnegative(sigma, "sigma", "penalty") * accumulated).sum())


def minimiser(law: Law, hessian: Any, w_star: Any, sigma: Any, sp: Any = None) -> Tensor:
    """Return the minimum of f + penalty, f = (W - W*)^T H (W - W*) / 2, with the parabola of the penalty at w_sp:

        W~* = (H + D)^-1 (H W* + D w_sp),   D = Diag(sigma dR/dw(w_sp))

    It meets `root` with fixed sigma up to the square of |w_sp - W*|.

    Args:
        law: as for `R`; fields may have shape (d,).
        hessian: H [loss per square weight unit], shape (d, d).
        w_star: W* [weight units], shape (d,).
        sigma: E|grad f(W*; xi)| [loss per weight unit], a number or (d,), >= 0.
        sp: symmetric points [weight units], a number or (d,); by default those of the law nearest to 0.
    Returns: W~* [weight units], float64, (d,).
    Raises: MhoError if shapes differ, sigma is negative, or H + D is singular.
    Source: arXiv 2502.06309, appendix G, Theorem 5.
    """
    h, star = quadratic(hessian, w_star, "minimiser")
    cell = cell_of(law, "minimiser")
    point = point_of(cell, sp).expand(star.shape)
    d = (nonnegative(sigma, "sigma", "minimiser") * slope_of(cell, point)).expand(star.shape)
    try:
        return torch.linalg.solve(h + torch.diag(d), h @ star + d * point)
    except torch.linalg.LinAlgError:
        raise complaint("minimiser(...)", "H + Diag(sigma dR/dw) is singular") from None


def folded_mean(mean: Any, std: Any) -> Tensor:
    """Return E|x| of x ~ N(mean, std^2): std sqrt(2/pi) exp(-mean^2/(2 std^2)) + mean erf(mean/(std sqrt 2)).

    Args:
        mean: any shape.
        std: a number or of a shape that broadcasts, >= 0.
    Returns: float64 of the joint shape.
    Raises: MhoError if std is negative.
    Source: the mean of the folded normal distribution; Sigma of arXiv 2502.06309, Theorem 1, if noise is normal.
    """
    m, s = torch.as_tensor(mean, dtype=DOUBLE), nonnegative(std, "std", "folded_mean")
    z = m / torch.where(s > 0, s, 1.0) / math.sqrt(2)
    return torch.where(s > 0, s * math.sqrt(2 / math.pi) * torch.exp(-(z**2)) + m * torch.erf(z), m.abs())


def root(
    law: Law, hessian: Any, w_star: Any, noise: Any = None, sigma: Any = None, start: Any = None
) -> Tensor:
    """Find the zero of the mean step of Analog SGD: T(W) = H (W - W*) + Sigma(W) R(W) = 0.

    Args:
        law, hessian, w_star: as for `minimiser`.
        noise: standard deviation of normal gradient noise [loss per weight unit], a number or (d,); then
            Sigma(W) = E|grad f(W) + noise|, see `folded_mean`.
        sigma: Sigma as a constant instead, a number or (d,). One of noise and sigma is given.
        start: where the search starts [weight units], (d,); by default `minimiser`, moved between the bounds.
    Returns: the zero between the bounds [weight units], float64, (d,).
    Raises: MhoError if both or none of noise and sigma are given, shapes differ, or no zero between the bounds is
        found.
    Source: arXiv 2502.06309, appendix G, Theorem 5 (T).
    """
    if (noise is None) == (sigma is None):
        raise complaint("root(...)", "one of noise and sigma must be given, not both or none")
    h, star = quadratic(hessian, w_star, "root")
    cell = cell_of(law, "root")
    lower, upper = bounds_of(cell)
    given = nonnegative(noise if sigma is None else sigma, "noise" if sigma is None else "sigma", "root")

    def mean_step(values: Any) -> Any:
        w = torch.as_tensor(values, dtype=DOUBLE)
        slope = h @ (w - star)
        size = given if noise is None else folded_mean(slope, given)
        return (slope + size * cell.R(torch.clamp(w, lower, upper))).numpy()

    if start is None:
        start = minimiser(law, h, star, given if noise is None else folded_mean(0.0, given))
    first = torch.clamp(torch.as_tensor(start, dtype=DOUBLE), lower, upper)
    found = optimize.root(mean_step, first.numpy(), tol=1e-12)
    w = torch.as_tensor(found.x, dtype=DOUBLE)
    scale = float((h.abs() @ star.abs()).max() + given.max()) or 1.0
    inside = bool(((w >= lower) & (w <= upper)).all())
    if not (inside and abs(found.fun).max() <= 1e-8 * scale):
        raise complaint(
            "root(...)", "no zero was found between the bounds of the law", fix="give another start"
        )
    return w


def nonnegative(value: Any, name: str, where: str) -> Tensor:
    """Return a value in float64. Raises: MhoError if a part of it is negative."""
    size = torch.as_tensor(value, dtype=DOUBLE)
    if not (size >= 0).all():
        raise complaint(f"{where}({name}=...)", f"{name} is negative or not a number", "it must be >= 0")
    return size


def quadratic(hessian: Any, w_star: Any, where: str) -> tuple[Tensor, Tensor]:
    """Return H and W* in float64, of shapes (d, d) and (d,)."""
    h, star = torch.as_tensor(hessian, dtype=DOUBLE), torch.as_tensor(w_star, dtype=DOUBLE)
    if star.ndim != 1 or h.shape != (len(star), len(star)):
        what = f"hessian has shape {tuple(h.shape)}, w_star {tuple(star.shape)}"
        raise complaint(f"{where}(hessian, w_star)", what, "they must be (d, d) and (d,)")
    return h, star
