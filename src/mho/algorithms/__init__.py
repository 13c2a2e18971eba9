"""Training algorithms, one file each. All of them are run by `mho.AnalogOptimizer`.

    hardware = mho.Crossbar(algorithm=mho.algorithms.ResidualLearning(gamma=0.4), device=...)

One array, which gets the gradient: `AnalogSGD`; in exact arithmetic, as the reference: `DigitalSGD`; through a
digital sum: `MixedPrecision`.

Two arrays, a fast one that gets the gradient and a slow one that collects: `TikiTaka`; with a buffer between them:
`TikiTakaV2`; with a chopper: `ChoppedTikiTaka`; with a reference that is tracked: `AGAD`.

The same, while the network sees the fast array too: `ResidualLearning`; with a filter: `ResidualLearningV2`;
calibrated first: `TwoStage`; with a reference that is tracked: `RIDER`, and with a chopper: `ERIDER`. A chain of
arrays: `MultiTileResidual`.

`base` is the contract: `Algorithm`, `State`, `Term`, `Factors`. `parts` holds the pieces that several algorithms
share.

A new algorithm is one file with a record of hyper-parameters and four methods; `mho algorithms list`, `mho train`
and the tests find it as soon as it stands in the list below:

    class Mine(Algorithm):
        quick: float = 0.1

        def roles(self):            return Roles(gradient="P", weights="W", fields={"fast_lr": "quick"})
        def init(self, new_tile, w0): return State(W=new_tile("W", w0), P=new_tile("P", 0 * w0), t=0)
        def visible(self, s):       return [Term(s.W)]
        def step(self, s, g, lr):   ...

Fields have the names of CONTRIBUTING.md; any others are declared in `roles`, which advice, diagnosis and
calibration read. The docstring has the equations, every field with its unit, and the lines `Hardware:` and
`Source:`.
"""

from mho.algorithms.agad import AGAD
from mho.algorithms.analog_sgd import AnalogSGD
from mho.algorithms.base import Algorithm as Algorithm
from mho.algorithms.base import Factors as Factors
from mho.algorithms.base import Term as Term
from mho.algorithms.chopped_tiki_taka import ChoppedTikiTaka
from mho.algorithms.digital_sgd import DigitalSGD
from mho.algorithms.erider import ERIDER
from mho.algorithms.mixed_precision import MixedPrecision
from mho.algorithms.multi_tile_residual import MultiTileResidual
from mho.algorithms.residual_learning import ResidualLearning
from mho.algorithms.residual_learning_v2 import ResidualLearningV2
from mho.algorithms.rider import RIDER
from mho.algorithms.state import State as State
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
