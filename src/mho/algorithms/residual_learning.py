"""A second array learns what the first one still lacks."""

from typing import Annotated, Literal

import torch

from mho.algorithms.base import Algorithm, Factors, NewTile, State, Term, due, next_column, one_hot
from mho.errors import complaint
from mho.records import NonNegative, OneOrMore


class ResidualLearning(Algorithm):
    r"""Array P learns the residual of array W, and is transferred to it one column at a time.

        P <- pulses(-fast_lr * grad f(W + gamma P))
        W <- pulses(transfer_lr * lr * P[:, j]), column j, every `transfer_every` mini-batches

    The penalty that biases Analog SGD acts on P, whose optimum is zero, and so vanishes if P's symmetric
    point is zero. With gamma = 0 this is Tiki-Taka (v1) as aihwkit's build_config("ttv1") sets it up.

    Args:
        gamma: weight of P in what the network sees [relative], >= 0. 0.4 in the paper's experiments.
        fast_lr: learning rate of P, alpha in the paper; absolute, not scaled by the optimizer's lr.
        transfer_lr: beta in the paper is transfer_lr * lr.
        transfer_every: mini-batches between two column transfers.
        mix: "shared_adc": the currents of W and P add up before one converter (the paper); "separate": a
            product for each array, with its own noise and converter.
    Hardware: two arrays, no digital memory per weight.
    Source: arXiv 2502.06309, eqs. (10), (11). The paper transfers the whole of P each step; its experiments,
    and this class, one column (appendix K). Hyper-parameters: the authors' script S2-mnist-FCN.py.
    """

    gamma: Annotated[float, NonNegative] = 0.4
    fast_lr: Annotated[float, NonNegative] = 0.01
    transfer_lr: Annotated[float, NonNegative] = 1.0
    transfer_every: Annotated[int, OneOrMore] = 1
    mix: Literal["shared_adc", "separate"] = "shared_adc"

    def validate(self) -> None:
        if self.mix not in ("shared_adc", "separate"):
            raise complaint(f"ResidualLearning(mix={self.mix!r})", 'mix is "shared_adc" or "separate"')

    def init(self, new_tile: NewTile, w0: torch.Tensor) -> State:
        P = new_tile("P", torch.zeros_like(w0))
        return State(W=new_tile("W", w0, pulses="transfer"), P=P, t=0)

    def visible(self, s: State) -> list[Term]:
        return [Term(s.W), Term(s.P, self.gamma)] if self.gamma else [Term(s.W)]

    def step(self, s: State, g: Factors, lr: float) -> None:
        s.P.update(g.x, g.d, self.fast_lr)
        if due(s, self.transfer_every):
            j = next_column(s, s.P, self.transfer_every)
            s.W.update(one_hot(j, s.P.shape[1]), s.P.read(j), self.transfer_lr * lr)
