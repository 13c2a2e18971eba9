"""What is done to a tile before training, with its own verbs: finding the cells' symmetric points."""

from mho.calibration.zero_shift import ZeroShift, symmetric_point, zero_shift

__all__ = ["ZeroShift", "symmetric_point", "zero_shift"]
