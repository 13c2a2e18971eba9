"""The functions of a law that the theorems contain: R = G/F, its integral R_c, and the integral phi of G."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mho.base.errors import complaint, wrong_type
from mho.base.records import float_fields
from mho.device.cell import Cells
from mho.device.device import Device
from mho.responses.base import DOUBLE, Response

PANELS, NODES = 16, 8  # of the composite Gauss-Legendre rule
INSIDE = 1e-6  # a weight counts as at a bound if it lies beyond it by this part of it: float32 rounds


def cell_of(law: Any, where: str) -> Cells:
    """Return the nominal cell of a device, or the cells of a response whose fields may vary, in float64."""
    if isinstance(law, Device):
        return Cells.alike(law.response, *law.gains)
    if not isinstance(law, Response):
        raise wrong_type(f"{where}(law, ...)", "law", law, "an mho.Response or an mho.Device")
    fields = {n: getattr(law, n) for n in float_fields(type(law))}
    return Cells.alike(
        law.with_fields(**{n: v.to(DOUBLE) for n, v in fields.items() if isinstance(v, Tensor)})
    )


def point_of(cell: Cells, given: Any = None) -> Tensor:
    """Return the symmetric point: the one given, or the one nearest to 0."""
    if given is not None:
        return weights(cell, given, "theory(sp=...)")
    return torch.as_tensor(cell.central_sp(), dtype=DOUBLE)


def bounds_of(cell: Cells) -> tuple[Tensor, Tensor]:
    """Return the bounds in float64."""
    return torch.as_tensor(cell.lower, dtype=DOUBLE), torch.as_tensor(cell.upper, dtype=DOUBLE)


def weights(cell: Cells, w: Any, where: str) -> Tensor:
    """Return w in float64, moved between the bounds.

    Raises: MhoError if a weight lies outside the bounds by more than rounding explains.
    """
    x = torch.as_tensor(w, dtype=DOUBLE)
    lower, upper = bounds_of(cell)
    outside = ~((x >= lower - INSIDE * lower.abs()) & (x <= upper + INSIDE * upper.abs()))
    if outside.any():
        bad = x.expand(outside.shape)[outside][0].item()
        raise complaint(where, f"{bad} lies outside the bounds of the law")
    return torch.clamp(x, lower, upper)


def slope_of(cell: Cells, sp: Tensor) -> Tensor:
    """Return dR/dw at the symmetric point, by a central difference."""
    lower, upper = bounds_of(cell)
    room = torch.minimum(upper - sp, sp - lower)
    h = torch.clamp(1e-4 * room, max=1e-4)
    return (cell.R(sp + h) - cell.R(sp - h)) / (2 * h)


def integrate(f: Callable[[Tensor], Tensor], start: Tensor, end: Tensor) -> Tensor:
    """Integrate f from start to end, element by element, in float64.

    The rule is that of Gauss and Legendre in s, w = end - (end - start)(1 - s)^2. Its points crowd at `end`, as
    a law that ends in a root (Power) is not smooth there.
    """
    x, weight = np.polynomial.legendre.leggauss(NODES)
    total = torch.zeros(torch.broadcast_shapes(start.shape, end.shape), dtype=DOUBLE)
    for panel in range(PANELS):
        for x_i, weight_i in zip(x, weight, strict=True):
            left = 1 - (panel + (x_i + 1) / 2) / PANELS
            total = total + weight_i / PANELS * left * f(end - (end - start) * left**2)
    return total * (end - start)


def like(w: Any, value: Tensor) -> Any:
    """Return a result in the form of w: a number, or a tensor of w's dtype."""
    if isinstance(w, Tensor):
        return value.to(w.dtype)
    return value.item() if value.ndim == 0 else value


def R(law: Response | Device, w: Any) -> Any:
    """Return the asymmetry relative to the size of a pulse, G(w)/F(w), in [-1, 1].

    Args:
        law: a response (its float fields may vary from cell to cell, then the results have their shape), or a
            device: its nominal cell, gains included, spread, noise and reference not.
        w: hidden weights [weight units], a number or a tensor of any shape, between the bounds.
    Returns: R [1], a number for a number, otherwise of w's dtype and shape.
    Raises: MhoError if w lies outside the bounds, or law is neither.
    Source: arXiv 2502.06309, section 3.1 (R), with F and G of eq. (4).
    """
    cell = cell_of(law, "R")
    return like(w, cell.R(weights(cell, w, "R(law, w)")))


def R_c(law: Response | Device, w: Any, sp: Any = None) -> Any:
    """Return the accumulated asymmetry: the integral of R from the symmetric point to w, by quadrature.

    Soft bounds +-tau: w^2/(2 tau). The relative error is about 1e-9 for the laws of the package, and about 1e-5
    for laws with kinks or steps (tables).

    Args:
        law, w: as for `R`.
        sp: where the integral starts [weight units], a number or of a shape that broadcasts with w; by default the
            symmetric point nearest to 0.
    Returns: R_c [weight units], a number for a number, otherwise of w's dtype and shape.
    Raises: MhoError if w lies outside the bounds, or the law has no symmetric point.
    Source: arXiv 2502.06309, section 3.1, before eq. (7).
    """
    cell = cell_of(law, "R_c")
    return like(w, integrate(cell.R, point_of(cell, sp), weights(cell, w, "R_c(law, w)")))


def phi(law: Response | Device, w: Any, sp: Any = None) -> Any:
    """Return the potential of zero-shifting: the integral of G from the symmetric point to w, by quadrature.

    Soft bounds +-tau: w^2/(2 tau).

    Args and Raises: as for `R_c`.
    Returns: phi [weight units], a number for a number, otherwise of w's dtype and shape.
    Source: arXiv 2602.21321, appendix C, the potential of Theorem 2.2 and eq. (25).
    """
    cell = cell_of(law, "phi")
    return like(w, integrate(cell.G, point_of(cell, sp), weights(cell, w, "phi(law, w)")))
