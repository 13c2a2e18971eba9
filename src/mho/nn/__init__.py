"""Analog layers, in the argument order of torch.nn."""

from mho.nn.convert import convert_
from mho.nn.linear import AnalogLinear

__all__ = ["AnalogLinear", "convert_"]
