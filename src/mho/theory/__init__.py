"""The theorems of both papers as functions: implicit penalties, metrics, bounds of zero-shifting, fixed points.

They take a response, or a device, of which they see the nominal cell: gains count, spread, noise and reference do
not. w is always the hidden weight. All is computed in float64.
"""

from mho.theory.interval import Constants, constants
from mho.theory.law import R, R_c, phi
from mho.theory.metrics import E_K, S_K, E_K_residual, E_K_tracking
from mho.theory.penalty import folded_mean, minimiser, penalty, root
from mho.theory.tracking import (
    Complexity,
    FixedPoint,
    chopper_leak,
    lowpass_gain,
    pulses_for_training,
    rider_fixed_point,
)
from mho.theory.zero_shift import (
    cyclic_distance,
    cyclic_limit,
    cyclic_mean_square,
    linear_pulses,
    pulses_for,
    random_distance,
    random_mean_square,
)

__all__ = [
    "E_K",
    "S_K",
    "Complexity",
    "Constants",
    "E_K_residual",
    "E_K_tracking",
    "FixedPoint",
    "R",
    "R_c",
    "chopper_leak",
    "constants",
    "cyclic_distance",
    "cyclic_limit",
    "cyclic_mean_square",
    "folded_mean",
    "linear_pulses",
    "lowpass_gain",
    "minimiser",
    "penalty",
    "phi",
    "pulses_for",
    "pulses_for_training",
    "random_distance",
    "random_mean_square",
    "rider_fixed_point",
    "root",
]
