"""Training algorithms, one file each. All of them are run by `mho.AnalogOptimizer`.

`base` says what an algorithm is; `parts` holds what several of them share.
"""

from mho.algorithms.agad import AGAD
from mho.algorithms.analog_sgd import AnalogSGD
from mho.algorithms.base import Algorithm as Algorithm
from mho.algorithms.base import Factors as Factors
from mho.algorithms.base import State as State
from mho.algorithms.base import Term as Term
from mho.algorithms.chopped_tiki_taka import ChoppedTikiTaka
from mho.algorithms.digital_sgd import DigitalSGD
from mho.algorithms.erider import ERIDER
from mho.algorithms.mixed_precision import MixedPrecision
from mho.algorithms.multi_tile_residual import MultiTileResidual
from mho.algorithms.residual_learning import ResidualLearning
from mho.algorithms.residual_learning_v2 import ResidualLearningV2
from mho.algorithms.rider import RIDER
from mho.algorithms.tiki_taka import TikiTaka
from mho.algorithms.tiki_taka_v2 import TikiTakaV2
from mho.algorithms.two_stage import TwoStage

__all__ = [
    "AGAD",
    "ERIDER",
    "RIDER",
    "AnalogSGD",
    "ChoppedTikiTaka",
    "DigitalSGD",
    "MixedPrecision",
    "MultiTileResidual",
    "ResidualLearning",
    "ResidualLearningV2",
    "TikiTaka",
    "TikiTakaV2",
    "TwoStage",
]
