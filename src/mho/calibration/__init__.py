"""Finding the cells' symmetric points: before training with a tile's own verbs, and while it goes on."""

from mho.calibration.model import calibrate_
from mho.calibration.offset import Offset, program_reference
from mho.calibration.run import Course
from mho.calibration.sweep import Sweep, sweep
from mho.calibration.symmetric_points import CalibrationWarning, symmetric_point
from mho.calibration.tracking import Sight, Tracker
from mho.calibration.zero_shift import ZeroShift, zero_shift

__all__ = [
    "CalibrationWarning",
    "Course",
    "Offset",
    "Sight",
    "Sweep",
    "Tracker",
    "ZeroShift",
    "calibrate_",
    "program_reference",
    "sweep",
    "symmetric_point",
    "zero_shift",
]
