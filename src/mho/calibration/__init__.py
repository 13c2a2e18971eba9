"""Symmetric points of cells: found before training with a tile's own verbs, or watched while training goes on.

    from mho.calibration import program_reference, zero_shift

    found = zero_shift(tile, n_pulses=4000, stop=0.01)     # up, down, up, ...: the cells settle
    found.offset                                           # error of the estimate, which a simulation knows
    program_reference(tile, found.estimate)                # the estimate becomes the weight zero

The modules, each of which imports from those above it only:

    symmetric_points   the true points of an array, and the check that they attract
    stopping           the way that the cells have left, from reads
    linear_laws        laws that are linear in w: millions of pulses are one map
    run                `ZeroShiftRun`: pulses in portions, in float64
    offset             references: programming one, drawing wrong ones
    zero_shift         `zero_shift`, and the record of its result
    sweep              error against the number of pulses, for several granularities
    model              `calibrate_`: all arrays of a model
    tracking           `Tracker`: distance from the points while an algorithm trains

The rules: a calibration touches an array through its verbs, or takes the cells out, sends pulses in float64 and
writes cells and counters back. Weights are apparent ones unless a name says hidden. `symmetric_point` is the truth
that only a simulation knows; nothing that hardware does may use it.

To add a way to calibrate, write a function of (tile, budget, ...) that returns a record with `estimate` and
`pulses`, and compare it with `symmetric_point` in a test. See docs/calibration.md.
"""

from mho.calibration.model import calibrate_
from mho.calibration.offset import Offset, program_reference
from mho.calibration.run import ZeroShiftRun
from mho.calibration.sweep import Sweep, sweep
from mho.calibration.symmetric_points import CalibrationWarning, symmetric_point
from mho.calibration.tracking import Snapshot, Tracker
from mho.calibration.zero_shift import ZeroShift, zero_shift

__all__ = [
    "CalibrationWarning",
    "Offset",
    "Snapshot",
    "Sweep",
    "Tracker",
    "ZeroShift",
    "ZeroShiftRun",
    "calibrate_",
    "program_reference",
    "sweep",
    "symmetric_point",
    "zero_shift",
]
