"""What the gates of a recurrent layer do in one time step; digital, in torch operations.

Each takes what the input gave, a = W_ih x + b_ih, and what the last state gave, b = W_hh h + b_hh, both (samples,
gates * hidden_size) with the gates side by side as in torch.nn, and the last state; it returns the next state. The
first part of a state is h (samples, hidden_size), the output.
"""

import torch

Tensors = tuple[torch.Tensor, ...]


def tanh(a: torch.Tensor, b: torch.Tensor, state: Tensors) -> Tensors:
    """h = tanh(a + b)."""
    return ((a + b).tanh(),)


def relu(a: torch.Tensor, b: torch.Tensor, state: Tensors) -> Tensors:
    """h = max(a + b, 0)."""
    return ((a + b).relu(),)


def lstm(a: torch.Tensor, b: torch.Tensor, state: Tensors) -> Tensors:
    """c = f c + i g; h = o tanh(c), with i, f, o behind a sigmoid and g behind a tanh.

    Source: the formulas of torch.nn.LSTM.
    """
    i, f, g, o = (a + b).chunk(4, dim=1)
    c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru(a: torch.Tensor, b: torch.Tensor, state: Tensors) -> Tensors:
    """h = (1 - z) n + z h with n = tanh(a_n + r b_n), and r, z behind a sigmoid.

    Source: the formulas of torch.nn.GRU, where r stands behind W_hh h + b_hh, not before it.
    """
    a_r, a_z, a_n = a.chunk(3, dim=1)
    b_r, b_z, b_n = b.chunk(3, dim=1)
    n = (a_n + (a_r + b_r).sigmoid() * b_n).tanh()
    return (n + (a_z + b_z).sigmoid() * (state[0] - n),)


GATES = {"RNN_TANH": tanh, "RNN_RELU": relu, "LSTM": lstm, "GRU": gru}
"""By the `mode` of a torch.nn layer."""
