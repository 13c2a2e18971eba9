"""Training algorithms, one file each. All of them are run by `mho.AnalogOptimizer`."""

from mho.algorithms.analog_sgd import AnalogSGD
from mho.algorithms.base import Algorithm as Algorithm
from mho.algorithms.base import Factors as Factors
from mho.algorithms.base import State as State
from mho.algorithms.base import Term as Term
from mho.algorithms.digital_sgd import DigitalSGD
from mho.algorithms.residual_learning import ResidualLearning

__all__ = ["AnalogSGD", "DigitalSGD", "ResidualLearning"]
