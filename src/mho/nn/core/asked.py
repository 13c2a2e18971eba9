"""The gradients of analog weights that a backward was asked for."""

from typing import Any

import torch

from mho.base.errors import complaint
from mho.nn.core.parameter import AnalogParameter


def asked_for(node, layout: Any) -> list[bool]:
    """Return whether the backward that runs the node leaves a gradient with each block's weight.

    `loss.backward` does; `torch.autograd.grad` of an input is no micro-batch of a training.

    Raises: MhoError if `torch.autograd.grad` asks for the gradient of a weight, or under compiled autograd.
    """
    if torch._C._current_autograd_node() is None:
        what = "compiled autograd does not tell which gradients it was asked for"
        raise complaint("loss.backward", what, fix="compile the model instead: torch.compile(model)")
    asked = set()
    for following, _ in node.next_functions:
        weight = getattr(following, "variable", None)
        if isinstance(weight, AnalogParameter):
            try:
                if torch._C._will_engine_execute_node(following):
                    asked.add(weight)
            except RuntimeError:  # torch cannot tell of a leaf that autograd.grad asks for
                what = "it is asked for the gradient of an analog weight"
                fix = "call loss.backward() and read weight.grad, see mho.nn.AnalogParameter"
                raise complaint("torch.autograd.grad", what, fix=fix) from None
    return [block.trained[0] in asked for block in layout.blocks]
