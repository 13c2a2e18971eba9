"""Analog layers, in the argument order of torch.nn."""

from mho.nn.attention import AnalogMultiheadAttention
from mho.nn.conv import AnalogConv1d, AnalogConv2d, AnalogConv3d
from mho.nn.conversion.convert import ConversionWarning, convert_, to_digital_
from mho.nn.core.parameter import AnalogParameter
from mho.nn.linear import AnalogLinear
from mho.nn.recurrent.layers import AnalogGRU, AnalogLSTM, AnalogRNN

__all__ = [
    "AnalogConv1d",
    "AnalogConv2d",
    "AnalogConv3d",
    "AnalogGRU",
    "AnalogLSTM",
    "AnalogLinear",
    "AnalogMultiheadAttention",
    "AnalogParameter",
    "AnalogRNN",
    "ConversionWarning",
    "convert_",
    "to_digital_",
]
