"""Mixed precision: a digital sum of the gradient, sent to the array in whole pulses."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, ClassVar

import torch

from mho.algorithms.base import Algorithm, Factors, NewTile, Term
from mho.algorithms.parts.buffer import whole_pulses
from mho.algorithms.parts.supplier import Supplier, torch_optimizer
from mho.algorithms.state import State, due
from mho.base.records import NonNegative, OneOrMore
from mho.base.roles import Roles


class MixedPrecision(Algorithm):
    r"""Changes of W are computed and collected digitally, and sent as pulses once they are worth whole ones.

        chi <- chi + step of the digital optimizer on grad f(W)          (SGD: -lr * grad f(W))
        every `transfer_every` mini-batches: n = trunc(chi / granularity); W gets n pulses; chi -= n granularity

    The result is exact but for the response of W's pulses. The price is that the outer product of every sample is
    computed digitally, which the other algorithms exist to avoid.

    Args:
        optimizer: class of torch.optim that turns the gradient into a change.
        options: its keyword arguments but lr, {name: value}, such as {"betas": (0.9, 0.99)}.
        transfer_every: steps between two transfers; all cells take part in each.
        granularity: weight change that one pulse is taken to make [weight units]; 0 takes dw_min.
        max_pulses: most pulses a cell gets in one transfer; the rest stays in chi.
        x_bins: if > 0, x is rounded to multiples of max|x| / x_bins, sample by sample, before the product.
        d_bins: the same for d.
    Hardware: one array, one digital number per weight (more with a stateful optimizer).
    Source: Nandakumar et al., Front. Neurosci. 14:406 (2020); aihwkit: MixedPrecisionCompound, which also
    offers stochastic rounding to the bins.
    """

    aliases = ("mp",)
    synonyms: ClassVar = {"n_x_bins": "x_bins = n_x_bins // 2", "n_d_bins": "d_bins = n_d_bins // 2"}

    optimizer: str = "SGD"
    options: Mapping[str, Any] = field(default_factory=dict)
    transfer_every: Annotated[int, OneOrMore] = 1
    granularity: Annotated[float, NonNegative] = 0.0
    max_pulses: Annotated[int, OneOrMore] = 31
    x_bins: Annotated[int, NonNegative] = 0
    d_bins: Annotated[int, NonNegative] = 0

    def roles(self) -> Roles:
        return Roles(gradient=None, weights="W", buffer="chi")

    def validate(self) -> None:
        torch_optimizer(self.optimizer, self.options)

    def init(self, new_tile: NewTile, w0: torch.Tensor) -> State:
        supplier = Supplier(self.optimizer, self.options, w0)
        return State(W=new_tile("W", w0), chi=torch.zeros_like(w0), supplier=supplier, t=0)

    def visible(self, s: State) -> list[Term]:
        return [Term(s.W)]

    def step(self, s: State, g: Factors, lr: float) -> None:
        parts = [binned(d, self.d_bins).mT @ binned(x, self.x_bins) for x, d in g.parts()]
        chi: torch.Tensor = s.chi
        chi += s.supplier.change(s.W.w, -sum(parts[1:], parts[0]), lr)
        if due(s, self.transfer_every):
            quantum = self.granularity or s.W.granularity
            n = whole_pulses(chi, self.max_pulses, quantum)
            s.W.pulse(n)
            chi -= n.mul_(quantum)


def binned(v: torch.Tensor, bins: int) -> torch.Tensor:
    """Round each sample of v (samples, n) to multiples of its largest |v| / bins; bins = 0 returns v."""
    if not bins:
        return v
    quantum = v.abs().amax(dim=1, keepdim=True) / bins
    return torch.where(quantum > 0, (v / quantum).round() * quantum, v)
