"""Analog layers, in the argument order of torch.nn."""

from mho.nn.conv import AnalogConv1d, AnalogConv2d, AnalogConv3d
from mho.nn.convert import ConversionWarning, convert_, to_digital_
from mho.nn.linear import AnalogLinear

__all__ = [
    "AnalogConv1d",
    "AnalogConv2d",
    "AnalogConv3d",
    "AnalogLinear",
    "ConversionWarning",
    "convert_",
    "to_digital_",
]
