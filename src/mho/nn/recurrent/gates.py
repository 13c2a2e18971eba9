"""The gates of a recurrent layer in one time step, and the way back; digital, in torch operations.

Forward takes a = W_ih x + b_ih, b = W_hh h + b_hh and the last state. Both a and b are (samples, gates *
hidden_size) with the gates side by side as in torch.nn. Forward returns the next state, whose first part is the
output h (samples, hidden_size), and the tensors for the way back.

Backward takes the gradient of the next state and those tensors. It returns the gradients of a, of b and of the last
state, the last without the part that goes through b.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

Tensors = tuple[torch.Tensor, ...]
Back = tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor | None, ...]]

sigmoid_back = torch.ops.aten.sigmoid_backward.default  # (g, y) -> g y (1 - y)
tanh_back = torch.ops.aten.tanh_backward.default  # (g, y) -> g (1 - y^2)


def tanh(a: torch.Tensor, b: torch.Tensor, state: Tensors) -> tuple[Tensors, Tensors]:
    """Step h = tanh(a + b)."""
    h = (a + b).tanh()
    return (h,), (h,)


def _tanh(g: Tensors, kept: Tensors) -> Back:
    of_a = tanh_back(g[0], kept[0])
    return of_a, of_a, (None,)


def relu(a: torch.Tensor, b: torch.Tensor, state: Tensors) -> tuple[Tensors, Tensors]:
    """Step h = max(a + b, 0)."""
    h = (a + b).relu()
    return (h,), (h,)


def _relu(g: Tensors, kept: Tensors) -> Back:
    of_a = g[0] * (kept[0] > 0)
    return of_a, of_a, (None,)


def lstm(a: torch.Tensor, b: torch.Tensor, state: Tensors) -> tuple[Tensors, Tensors]:
    """Step c = f c + i g; h = o tanh(c), with i, f, o behind a sigmoid and g behind a tanh.

    Source: the formulas of torch.nn.LSTM.
    """
    i, f, g, o = (a + b).chunk(4, dim=1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    c = f * state[1] + i * g
    t = c.tanh()
    return (o * t, c), (i, f, g, o, state[1], t)


def _lstm(g: Tensors, kept: Tensors) -> Back:
    of_h, of_c = g
    i, f, g_, o, c, t = kept
    of_c = of_c + tanh_back(of_h * o, t)
    parts = (
        sigmoid_back(of_c * g_, i),
        sigmoid_back(of_c * c, f),
        tanh_back(of_c * i, g_),
        sigmoid_back(of_h * t, o),
    )
    of_a = torch.cat(parts, dim=1)
    return of_a, of_a, (None, of_c * f)


def gru(a: torch.Tensor, b: torch.Tensor, state: Tensors) -> tuple[Tensors, Tensors]:
    """Step h = (1 - z) n + z h with n = tanh(a_n + r b_n), and r, z behind a sigmoid.

    Source: the formulas of torch.nn.GRU, where r stands behind W_hh h + b_hh, not before it.
    """
    a_r, a_z, a_n = a.chunk(3, dim=1)
    b_r, b_z, b_n = b.chunk(3, dim=1)
    r, z = (a_r + b_r).sigmoid(), (a_z + b_z).sigmoid()
    n = (a_n + r * b_n).tanh()
    change = state[0] - n
    return (n + z * change,), (r, z, n, b_n, change)


def _gru(g: Tensors, kept: Tensors) -> Back:
    (of_h,) = g
    r, z, n, b_n, change = kept
    through = of_h * z
    of_n = tanh_back(of_h - through, n)
    of_r, of_z = sigmoid_back(of_n * b_n, r), sigmoid_back(of_h * change, z)
    return torch.cat((of_r, of_z, of_n), dim=1), torch.cat((of_r, of_z, of_n * r), dim=1), (through,)


class Gates(NamedTuple):
    """The functions of one kind of layer, forward and backward."""

    forward: Callable[[torch.Tensor, torch.Tensor, Tensors], tuple[Tensors, Tensors]]
    backward: Callable[[Tensors, Tensors], Back]


GATES = {
    "RNN_TANH": Gates(tanh, _tanh),
    "RNN_RELU": Gates(relu, _relu),
    "LSTM": Gates(lstm, _lstm),
    "GRU": Gates(gru, _gru),
}
"""By the `mode` of a torch.nn layer."""
