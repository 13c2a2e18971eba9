"""The digital reference: exact arithmetic, no device."""

import torch

from mho.algorithms.base import Algorithm, Factors, NewTile, Term
from mho.algorithms.state import State
from mho.base.roles import Roles


class DigitalSGD(Algorithm):
    r"""Stochastic gradient descent in exact arithmetic: the reference of the analog algorithms.

        W <- W - lr * grad f(W)

    The layer still goes through the converters of its `io`; with `io=None` it is `torch.nn` and
    `torch.optim.SGD`.

    Hardware: no array; a digital weight memory.
    Source: arXiv 2502.06309, eq. (1); "Digital SGD" in its tables.
    """

    aliases = ("sgd",)

    def roles(self) -> Roles:
        return Roles(digital=True)

    def init(self, new_tile: NewTile, w0: torch.Tensor) -> State:
        return State(W=new_tile("W", w0, digital=True))

    def visible(self, s: State) -> list[Term]:
        return [Term(s.W)]

    def step(self, s: State, g: Factors, lr: float) -> None:
        s.W.update(g.x, g.d, lr)
