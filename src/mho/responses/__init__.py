"""Response laws: the change of a cell's weight by one pulse, as a function of that weight."""

from mho.responses.base import Response, SymmetricPoint
from mho.responses.constant import Constant
from mho.responses.exponential import Exponential
from mho.responses.power import Power
from mho.responses.soft_bounds import SoftBounds

__all__ = ["Constant", "Exponential", "Power", "Response", "SoftBounds", "SymmetricPoint"]
