"""Analog layers, in the argument order of torch.nn.

    linear      `AnalogLinear`, a matrix and a bias.
    embedding   `AnalogEmbedding`: rows of a matrix, that of a head with tied weights among them.
    transposed  `AnalogTransposedLinear`: the linear layer of GPT-2, whose weight is (in, out).
    conv        `AnalogConv1d`, `AnalogConv2d` and `AnalogConv3d`: a matrix whose inputs are patches of images.
    recurrent   `AnalogRNN`, `AnalogLSTM` and `AnalogGRU`: matrices that are used once a time step.
    attention   `AnalogMultiheadAttention`: four linear layers; masks has the masks of its scores.
    conversion  `convert_` and `to_digital_`: the layers of a whole model.
    core        the parts of all layers: a matrix on crossbars, its product in autograd, its factors.

Rules of this room:

* A layer multiplies by calling an `AnalogMatrix` (or an `AnalogLinear`), never with a weight of its own.
* Its analog parameters are `AnalogParameter`s, its biases and output scales ordinary parameters.
* A layer is made of a digital one (`from_digital`) and can be turned back into it (`to_digital`).
* `mho.convert_` imports no layer: it goes by the table `ANALOG_OF`, which the layers fill when they are imported
  here.

To add a layer: a file with a subclass of `AnalogLayer` and its entry in `ANALOG_OF`; its import below; and a row in
tests/test_convert.py, which holds every entry of the table to the same promises.
"""

from mho.nn.attention import AnalogMultiheadAttention
from mho.nn.conv import AnalogConv1d, AnalogConv2d, AnalogConv3d
from mho.nn.conversion.convert import convert_, to_digital_
from mho.nn.core.birth import ConversionWarning
from mho.nn.core.parameter import AnalogParameter
from mho.nn.embedding import AnalogEmbedding
from mho.nn.linear import AnalogLinear
from mho.nn.recurrent.layers import AnalogGRU, AnalogLSTM, AnalogRNN
from mho.nn.transposed import AnalogTransposedLinear

__all__ = [
    "AnalogConv1d",
    "AnalogConv2d",
    "AnalogConv3d",
    "AnalogEmbedding",
    "AnalogGRU",
    "AnalogLSTM",
    "AnalogLinear",
    "AnalogMultiheadAttention",
    "AnalogParameter",
    "AnalogRNN",
    "AnalogTransposedLinear",
    "ConversionWarning",
    "convert_",
    "to_digital_",
]
