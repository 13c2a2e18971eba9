"""The graphs that torch makes of a model: those that can hold an analog layer, and the refusal of the others.

An analog layer is more than a function of its inputs: cells, counters of noise and recorded factors stay in the
layer. `torch.compile` calls the layer itself, by custom operators, and `torch.fx` keeps it as a module. A graph of
`torch.export` or TorchScript lives without its model. It would have to carry the cells, and it cannot.
"""

from typing import Any

import torch
from torch import nn
from torch.fx import Proxy

from mho.base.errors import MhoError, complaint, wrong_type

_PROXY = torch._C._TorchDispatchModeKey.PROXY  # the mode of make_fx


def refused(what: str) -> MhoError:
    """Return the complaint about an exporter, such as `torch.export`."""
    return complaint(
        what,
        "a graph that outlives its model cannot carry the cells and the noise of an analog layer",
        fix="export mho.to_digital_(copy.deepcopy(model)), which computes with the weights that the arrays hold",
    )


def check() -> None:
    """Check, in the product of a layer, that no graph is made that outlives the model.

    Raises: MhoError under torch.jit.trace and make_fx.
    """
    if torch._C._is_tracing():
        raise refused("torch.jit.trace")
    if torch._C._len_torch_dispatch_stack() and torch._C._get_dispatch_mode(_PROXY) is not None:
        raise refused("make_fx")


def leaf(layer: nn.Module, *args: Any, **kwargs: Any) -> Any:
    """Return the call of a layer whose input is no tensor: one node of the graph that torch.fx makes of its model.

    Raises: MhoError if torch.fx did not call, or if it makes a graph of the layer alone.
    """
    proxy = next((x for x in (*args, *kwargs.values()) if isinstance(x, Proxy)), None)
    if proxy is None:
        wrong = next(x for x in args if not isinstance(x, torch.Tensor))
        raise wrong_type(f"{type(layer).__name__}.forward", "the input", wrong, "a tensor")
    tracer: Any = proxy.tracer
    if layer is tracer.root:
        what = "it was asked to make a graph of an analog layer, which it can only call"
        raise complaint(
            "torch.fx", what, fix="trace a model that has the layer, such as nn.Sequential(layer)"
        )
    return tracer.create_proxy("call_module", tracer.path_of_module(layer), args, kwargs)
