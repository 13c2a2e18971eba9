"""Residual learning in two stages: a calibration of the symmetric points, and a training against them."""

from typing import Annotated, Literal

import torch

from mho.algorithms.base import Algorithm, Factors, NewTile, Term
from mho.algorithms.parts.lines import By, transfer
from mho.algorithms.state import State, rate
from mho.base.records import NonNegative, OneOrMore
from mho.base.roles import Roles
from mho.calibration.symmetric_points import symmetric_point
from mho.calibration.zero_shift import zero_shift


class TwoStage(Algorithm):
    r"""Zero-shifting finds P's symmetric point before the training, and a reference array keeps it.

        Q = the state of P after n_pulses alternating pulses
        P <- pulses(-fast_lr * grad f(W + gamma (P - Q)))
        W <- pulses(transfer_lr * (P - Q)[:, j]), column j, every `transfer_every` mini-batches

    An error of the symmetric point makes the penalty of Analog SGD come back in part. The calibration costs
    n_pulses on every cell of P when the layer is made. `schedule="oracle"` takes the true point, which a
    simulation knows and hardware does not, and sends no pulse.

    Args:
        n_pulses: pulses sent to each cell of P before the training.
        schedule: "cyclic": up, down, up, ...; "stochastic": up or down at random; "oracle".
        gamma: weight of P - Q in what the network sees [relative], >= 0. 0 is `TikiTaka` after zero-shifting.
        fast_lr: learning rate of P, alpha in the paper [weight units / gradient].
        scale_fast_lr: fast_lr is a factor on the optimizer's lr instead of absolute.
        transfer_lr: W's change at a transfer, as a fraction of what was read from P; beta in the paper.
        scale_transfer_lr: transfer_lr is a factor on the optimizer's lr instead of absolute.
        transfer: "column", "row", or "all" columns at each transfer, as the paper writes it.
        transfer_every: steps between two transfers.
        units: a step is a "mini-batch" or a "sample".
        mix: "shared_adc": the currents of W, P and the reference add up before one converter; "separate": W and
            P - Q have one each.
    Hardware: three arrays (W, P, and P's reference), no digital memory per weight.
    Source: arXiv 2602.21321, Algorithm 4, with zero-shifting by Algorithm 1 ("stochastic") or as in Kim et al.,
    arXiv 1907.10228 ("cyclic", which the authors' code runs).
    """

    repeats = True

    n_pulses: Annotated[int, OneOrMore] = 4000
    schedule: Literal["cyclic", "stochastic", "oracle"] = "cyclic"
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
        return Roles(gradient="P", weights="W", calibrates=True)

    def init(self, new_tile: NewTile, w0: torch.Tensor) -> State:
        P = new_tile("P", torch.zeros_like(w0))
        if w0.is_meta:  # no array yet: a checkpoint will bring the reference
            P.subtract(w0)
        elif self.schedule == "oracle":
            P.subtract(symmetric_point(P))
            P.program(torch.zeros_like(w0))
        else:
            P.subtract(zero_shift(P, self.n_pulses, self.schedule).estimate)
        return State(W=new_tile("W", w0, pulses="transfer"), P=P, t=0)

    def visible(self, s: State) -> list[Term]:
        return [Term(s.W), Term(s.P, self.gamma)] if self.gamma else [Term(s.W)]

    def step(self, s: State, g: Factors, lr: float) -> None:
        s.P.update(g.x, g.d, rate(self.fast_lr, self.scale_fast_lr, lr))
        transfer(self, s, lr)
