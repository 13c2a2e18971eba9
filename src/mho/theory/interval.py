"""The constants of a law that the bounds of zero-shifting contain: extremes of steps and slopes on an interval."""

from typing import NamedTuple

import torch

from mho.base.errors import complaint
from mho.device.cell import Cells
from mho.device.device import Device
from mho.responses.base import DOUBLE, Response
from mho.theory.law import cell_of, phi, point_of, weights


class Constants(NamedTuple):
    """The constants of a law on an interval.

    Args:
        q_min, q_max: smallest and largest q_up, q_down [1].
        mu_q: least of q_down' and -q_up' [1/weight unit]; not positive if the law is not monotone.
        L_q: largest |G'| [1/weight unit].
        phi_min: least value of phi [weight units]; 0 if G rises everywhere.
        w_sp: the symmetric point [weight units].
        lower, upper: the interval [weight units].
    Source: arXiv 2602.21321, definition 2.1 (q_min, q_max), definition C.1 (mu_q), appendix C (L_q).
    """

    q_min: float
    q_max: float
    mu_q: float
    L_q: float
    phi_min: float
    w_sp: float
    lower: float
    upper: float


def constants(law: Response | Device, lower: float, upper: float, points: int = 4001) -> Constants:
    """Return the constants of a law on [lower, upper], from differences on an even grid.

    mu_q is too large and L_q too small by at most q'' times the distance of grid points; both are exact for laws
    linear in w.

    Args:
        law: as for `R`, fields the same for all cells.
        lower, upper: the interval [weight units], inside the bounds, lower < upper, w_sp in it.
        points: of the grid, > 2.
    Returns: the constants, numbers.
    Raises: MhoError if the interval is empty, leaves the bounds or misses the symmetric point, fields vary, or a
        finer grid finds G much steeper (its slope is infinite somewhere, as that of Power() at a bound).
    Source: as for `Constants`.
    """
    where = f"constants(law, {lower}, {upper})"
    if not (lower < upper and points > 2):
        raise complaint(where, "the interval is empty, or points < 3")
    cell = cell_of(law, "constants")
    middle = torch.tensor((lower + upper) / 2, dtype=DOUBLE)
    if (cell.up(middle) + cell.down(middle)).ndim:
        raise complaint(where, "fields of the law vary from cell to cell", fix="give the nominal law")
    sp = point_of(cell)
    if not lower <= sp <= upper:
        raise complaint(where, f"the symmetric point {float(sp)} lies outside of the interval")
    grid = weights(cell, torch.linspace(lower, upper, points, dtype=DOUBLE), where)
    up, down = cell.up(grid), cell.down(grid)
    steep = _steepest(cell, lower, upper, points)
    if _steepest(cell, lower, upper, 4 * points) > 1.1 * steep + 1e-12:
        raise complaint(where, "the slope of G grows with the grid", fix="end the interval before the bound")
    step = grid.diff()
    mu = torch.minimum(down.diff() / step, -up.diff() / step).min()
    sizes = torch.cat([up, down])
    low = min(0.0, float(phi(law, grid, sp).min()))
    low = 0.0 if low > -1e-12 else low  # rounding
    return Constants(float(sizes.min()), float(sizes.max()), float(mu), steep, low, float(sp), lower, upper)


def _steepest(cell: Cells, lower: float, upper: float, points: int) -> float:
    grid = torch.linspace(lower, upper, points, dtype=DOUBLE)
    return float((cell.G(grid).diff() / grid.diff()).abs().max())
