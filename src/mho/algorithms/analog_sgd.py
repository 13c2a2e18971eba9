"""Analog SGD: pulses of the gradient on the one array that holds the weights."""

import torch

from mho.algorithms.base import Algorithm, Factors, NewTile, Term
from mho.algorithms.state import State


class AnalogSGD(Algorithm):
    r"""Pulses the gradient straight onto the one array that holds the weight.

        W <- W - lr grad f(W) * F(W) - lr |grad f(W)| * G(W)

    Cheap, and biased: it minimises f(W) plus a penalty that pulls each weight to its device's symmetric
    point, in proportion to the gradient noise (theorem 1).

    Hardware: one array, no digital memory per weight.
    Source: arXiv 2502.06309, eq. (2).
    """

    aliases = ("sgd",)
    repeats = True

    def init(self, new_tile: NewTile, w0: torch.Tensor) -> State:
        return State(W=new_tile("W", w0))

    def visible(self, s: State) -> list[Term]:
        return [Term(s.W)]

    def step(self, s: State, g: Factors, lr: float) -> None:
        s.W.update(g.x, g.d, lr)
