"""Tiki-Taka: a fast array that follows the gradient, and a slow one that collects from it."""

from typing import Annotated, Literal

import torch

from mho.algorithms.base import Algorithm, Factors, NewTile, Term
from mho.algorithms.parts.lines import By, transfer
from mho.algorithms.state import State, rate
from mho.base.records import NonNegative, OneOrMore
from mho.base.roles import Roles


class TikiTaka(Algorithm):
    r"""Array P gathers the gradient near its symmetric point, and is transferred to W one column at a time.

        P <- pulses(-fast_lr * grad f(W))
        W <- pulses(transfer_lr * P[:, j]), column j, every `transfer_every` mini-batches

    The network sees W alone. With `ResidualLearning(gamma=...)` it sees P as well; gamma = 0 is this class.
    P's symmetric point must be its zero: `TwoStage` measures it, `AGAD` and `ERIDER` track it.

    Args:
        fast_lr: learning rate of P [weight units / gradient].
        scale_fast_lr: fast_lr is a factor on the optimizer's lr instead of absolute.
        transfer_lr: W's change at a transfer, as a fraction of what was read from P.
        scale_transfer_lr: transfer_lr is a factor on the optimizer's lr instead of absolute.
        transfer: "column", "row", or "all" columns at each transfer.
        transfer_every: steps between two transfers.
        units: a step is a "mini-batch" or a "sample".
    Hardware: two arrays, no digital memory per weight.
    Source: Gokmen and Haensch, Front. Neurosci. 14:103 (2020). Defaults: arXiv 2502.06309, S2-mnist-FCN.py, its
    "ttv1"; aihwkit: TransferCompound, whose scale_fast_lr is True since 1.2.0 (it was absolute before).
    """

    aliases = ("tt", "ttv1")
    repeats = True

    fast_lr: Annotated[float, NonNegative] = 0.01
    scale_fast_lr: bool = False
    transfer_lr: Annotated[float, NonNegative] = 1.0
    scale_transfer_lr: bool = True
    transfer: By = "column"
    transfer_every: Annotated[int, OneOrMore] = 1
    units: Literal["mini-batch", "sample"] = "mini-batch"

    def roles(self) -> Roles:
        return Roles(gradient="P", weights="W")

    def init(self, new_tile: NewTile, w0: torch.Tensor) -> State:
        return State(W=new_tile("W", w0, pulses="transfer"), P=new_tile("P", torch.zeros_like(w0)), t=0)

    def visible(self, s: State) -> list[Term]:
        return [Term(s.W)]

    def step(self, s: State, g: Factors, lr: float) -> None:
        s.P.update(g.x, g.d, rate(self.fast_lr, self.scale_fast_lr, lr))
        transfer(self, s, lr)
