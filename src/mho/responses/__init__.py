"""Response laws: the change of a cell's weight by one pulse, as a function of that weight."""

from mho.responses.base import Response, SymmetricPoint
from mho.responses.constant import Constant
from mho.responses.exp_step import ExpStep
from mho.responses.exponential import Exponential
from mho.responses.linear import Linear
from mho.responses.linear_step import LinearStep
from mho.responses.piecewise import Piecewise
from mho.responses.pow_step import PowStep
from mho.responses.power import Power
from mho.responses.skewed_soft_bounds import SkewedSoftBounds
from mho.responses.soft_bounds import SoftBounds
from mho.responses.table import Table

__all__ = [
    "Constant",
    "ExpStep",
    "Exponential",
    "Linear",
    "LinearStep",
    "Piecewise",
    "PowStep",
    "Power",
    "Response",
    "SkewedSoftBounds",
    "SoftBounds",
    "SymmetricPoint",
    "Table",
]
