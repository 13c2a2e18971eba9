"""Residual Learning: a second array that learns the residual of the first."""

from typing import Annotated, Literal

import torch

from mho.algorithms.base import Algorithm, Factors, NewTile, Term
from mho.algorithms.parts.lines import By, transfer
from mho.algorithms.state import State, rate
from mho.base.records import NonNegative, OneOrMore
from mho.base.roles import Roles


class ResidualLearning(Algorithm):
    r"""Array P learns the residual of array W, and is transferred to it one column at a time.

        P <- pulses(-fast_lr * grad f(W + gamma P))
        W <- pulses(transfer_lr * P[:, j]), column j, every `transfer_every` mini-batches

    The penalty that biases Analog SGD acts on P, whose optimum is zero, and so vanishes if P's symmetric
    point is zero. With gamma = 0 this is `TikiTaka`.

    Args:
        gamma: weight of P in what the network sees [relative], >= 0. 0.4 in the paper's experiments.
        fast_lr: learning rate of P, alpha in the paper [weight units / gradient].
        scale_fast_lr: fast_lr is a factor on the optimizer's lr instead of absolute.
        transfer_lr: W's change at a transfer, as a fraction of what was read from P; beta in the paper.
        scale_transfer_lr: transfer_lr is a factor on the optimizer's lr instead of absolute.
        transfer: "column", "row", or "all" columns at each transfer, as the paper writes it.
        transfer_every: steps between two transfers.
        units: a step is a "mini-batch" or a "sample".
        mix: "shared_adc": the currents of W and P add up before one converter (the paper); "separate": a
            product for each array, with its own noise and converter.
    Hardware: two arrays, no digital memory per weight.
    Source: arXiv 2502.06309, eqs. (10), (11). The paper transfers the whole of P each step; its experiments,
    and the default, one column (appendix K). Hyper-parameters: the authors' script S2-mnist-FCN.py.
    """

    aliases = ("rl",)
    repeats = True

    gamma: Annotated[float, NonNegative] = 0.4
    fast_lr: Annotated[float, NonNegative] = 0.01
    scale_fast_lr: bool = False
    transfer_lr: Annotated[float, NonNegative] = 1.0
    scale_transfer_lr: bool = True
    transfer: By = "column"
    transfer_every: Annotated[int, OneOrMore] = 1
    units: Literal["mini-batch", "sample"] = "mini-batch"
    mix: Literal["shared_adc", "separate"] = "shared_adc"

    def roles(self) -> Roles:
        return Roles(gradient="P", weights="W")

    def init(self, new_tile: NewTile, w0: torch.Tensor) -> State:
        return State(W=new_tile("W", w0, pulses="transfer"), P=new_tile("P", torch.zeros_like(w0)), t=0)

    def visible(self, s: State) -> list[Term]:
        return [Term(s.W), Term(s.P, self.gamma)] if self.gamma else [Term(s.W)]

    def step(self, s: State, g: Factors, lr: float) -> None:
        s.P.update(g.x, g.d, rate(self.fast_lr, self.scale_fast_lr, lr))
        transfer(self, s, lr)
