"""Response laws: the change of a cell's weight by one pulse, as a function of that weight."""

from mho.responses.base import Response, SymmetricPoint
from mho.responses.constant import Constant
from mho.responses.exp_step import ExpStep
from mho.responses.exponential import Exponential
from mho.responses.linear import Linear
from mho.responses.pow_step import PowStep
from mho.responses.power import Power
from mho.responses.soft_bounds import SoftBounds

__all__ = [
    "Constant",
    "ExpStep",
    "Exponential",
    "Linear",
    "PowStep",
    "Power",
    "Response",
    "SoftBounds",
    "SymmetricPoint",
]
