"""Response laws: the change of a cell's weight by one pulse, as a function of that weight.

    class MyLaw(mho.Response):
        tau: Annotated[float, Positive] = 1.0

        def up(self, w):
            return torch.exp(-w / self.tau)

        def down(self, w):
            return torch.exp(w / self.tau)

A law is a file with its formula, units, domains and source. It says nothing twice: bounds and symmetric points are
searched for, kernels are compiled from the same two methods, and `mho.testing.check_response` tests the rest. The
modules beside the laws:

    base       `Response`: evaluation, F and G, bounds, symmetric points
    search     zeros of a law: scan, then bisection
    lookup     interpolation in a table, the one operation that is not arithmetic
    fitting    `Fitting`: the fields that measured data determine

To add a law, write its file, import its class here, and declare `fitting` in the class if `mho device fit`
should try the law.
"""

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
