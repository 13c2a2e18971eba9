"""What the theorems need of a response: R = G/F, its integral R_c, and the integral phi of G."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mho.base.errors import complaint, wrong_type
from mho.base.records import float_fields
from mho.device.device import Device
from mho.responses.base import DOUBLE, Response

PANELS, NODES = 16, 8  # of the composite Gauss-Legendre rule
INSIDE = 1e-6  # a weight counts as at a bound if it lies beyond it by this part of it: float32 rounds


class Cell(NamedTuple):
    """The nominal cell of a device, or the cells of a response whose fields vary, in float64."""

    response: Response
    gain_up: float
    gain_down: float

    @classmethod
    def of(cls, law: Any, where: str) -> "Cell":
        response = law.response if isinstance(law, Device) else law
        if not isinstance(response, Response):
            raise wrong_type(f"{where}(law, ...)", "law", law, "an mho.Response or an mho.Device")
        fields = {n: getattr(response, n) for n in float_fields(type(response))}
        doubles = {n: v.to(DOUBLE) for n, v in fields.items() if isinstance(v, Tensor)}
        gains = law.gains if isinstance(law, Device) else (1.0, 1.0)
        return cls(response.with_fields(**doubles), *gains)

    def up(self, w: Tensor) -> Tensor:
        return self.gain_up * self.response.q_up(w)

    def down(self, w: Tensor) -> Tensor:
        return self.gain_down * self.response.q_down(w)

    def F(self, w: Tensor) -> Tensor:
        return (self.down(w) + self.up(w)) / 2

    def G(self, w: Tensor) -> Tensor:
        return (self.down(w) - self.up(w)) / 2

    def R(self, w: Tensor) -> Tensor:
        return self.G(w) / self.F(w)

    def sp(self, given: Any = None) -> Tensor:
        """The symmetric point: the one given, or the one nearest to 0."""
        if given is not None:
            return self.weights(given, "theory(sp=...)")
        return torch.as_tensor(self.response.central_sp(self.gain_up, self.gain_down), dtype=DOUBLE)

    def bounds(self) -> tuple[Tensor, Tensor]:
        lower, upper = self.response.bounds()
        return torch.as_tensor(lower, dtype=DOUBLE), torch.as_tensor(upper, dtype=DOUBLE)

    def weights(self, w: Any, where: str) -> Tensor:
        """w in float64, all between the bounds."""
        x = torch.as_tensor(w, dtype=DOUBLE)
        lower, upper = self.bounds()
        outside = ~((x >= lower - INSIDE * lower.abs()) & (x <= upper + INSIDE * upper.abs()))
        if outside.any():
            bad = x.expand(outside.shape)[outside][0].item()
            raise complaint(where, f"{bad} lies outside the bounds of the law")
        return torch.clamp(x, lower, upper)

    def slope(self, sp: Tensor) -> Tensor:
        """dR/dw at the symmetric point, by a central difference."""
        lower, upper = self.bounds()
        room = torch.minimum(upper - sp, sp - lower)
        h = torch.clamp(1e-4 * room, max=1e-4)
        return (self.R(sp + h) - self.R(sp - h)) / (2 * h)


def integrate(f: Callable[[Tensor], Tensor], start: Tensor, end: Tensor) -> Tensor:
    """The integral of f from start to end, element by element, in float64.

    A Gauss-Legendre rule in s, w = end - (end - start)(1 - s)^2: its points crowd at `end`, which is where a
    law that ends in a root (Power) is not smooth.
    """
    x, weight = np.polynomial.legendre.leggauss(NODES)
    total = torch.zeros(torch.broadcast_shapes(start.shape, end.shape), dtype=DOUBLE)
    for panel in range(PANELS):
        for x_i, weight_i in zip(x, weight, strict=True):
            left = 1 - (panel + (x_i + 1) / 2) / PANELS
            total = total + weight_i / PANELS * left * f(end - (end - start) * left**2)
    return total * (end - start)


def like(w: Any, value: Tensor) -> Any:
    """A result as w was given: a number, or a tensor of w's dtype."""
    if isinstance(w, Tensor):
        return value.to(w.dtype)
    return value.item() if value.ndim == 0 else value


def R(law: Response | Device, w: Any) -> Any:
    """The asymmetry relative to the size of a pulse, G(w)/F(w), in [-1, 1].

    Args:
        law: a response (its float fields may vary from cell to cell, then the results have their shape), or a
            device: its nominal cell, gains included, spread, noise and reference not.
        w: hidden weights [weight units], a number or a tensor of any shape, between the bounds.
    Returns: R [1], a number for a number, otherwise of w's dtype and shape.
    Raises: MhoError if w lies outside the bounds, or law is neither.
    Source: arXiv 2502.06309, section 3.1 (R), with F and G of eq. (4).
    """
    cell = Cell.of(law, "R")
    return like(w, cell.R(cell.weights(w, "R(law, w)")))


def R_c(law: Response | Device, w: Any, sp: Any = None) -> Any:
    """The accumulated asymmetry: the integral of R from the symmetric point to w, by quadrature.

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
    cell = Cell.of(law, "R_c")
    return like(w, integrate(cell.R, cell.sp(sp), cell.weights(w, "R_c(law, w)")))


def phi(law: Response | Device, w: Any, sp: Any = None) -> Any:
    """The potential of zero-shifting: the integral of G from the symmetric point to w, by quadrature.

    Soft bounds +-tau: w^2/(2 tau).

    Args and Raises: as for `R_c`.
    Returns: phi [weight units], a number for a number, otherwise of w's dtype and shape.
    Source: arXiv 2602.21321, appendix C, the potential of Theorem 2.2 and eq. (25).
    """
    cell = Cell.of(law, "phi")
    return like(w, integrate(cell.G, cell.sp(sp), cell.weights(w, "phi(law, w)")))
