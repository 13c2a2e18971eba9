"""Analog layers, in the argument order of torch.nn."""

from mho.nn.conv import AnalogConv1d, AnalogConv2d, AnalogConv3d
from mho.nn.convert import convert_
from mho.nn.linear import AnalogLinear

__all__ = ["AnalogConv1d", "AnalogConv2d", "AnalogConv3d", "AnalogLinear", "convert_"]
