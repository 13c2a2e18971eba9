"""Pulses whose size is given at evenly spaced weights."""

import itertools
from typing import Annotated

import torch
from torch import Tensor

from mho.base.errors import complaint
from mho.base.records import NonPositive, Positive
from mho.responses.base import Response
from mho.responses.lookup import lookup

WRITTEN_OUT = (
    32  # most nodes whose sum is written out, in time and code that grow with them; a GPU has no other form
)


class Piecewise(Response):
    r"""Step size is interpolated linearly between nodes that divide the range evenly; hard bounds.

        q(w) = q_0 + sum_k (q_k - q_(k-1)) min(max(t - k + 1, 0), 1)      t = n (w - tau_min) / (tau_max - tau_min)
        symmetric point: where the two polygons cross

    The nodes q_0, ..., q_n stand from tau_min to tau_max, for both directions; one node is a constant.

    Prefer for: a measured curve of mean steps with no simple form. Not for: distributions of steps (Table). With up
    to 32 nodes time grows with their number; more are looked up in a table, which a GPU cannot do yet.

    Args:
        nodes_up, nodes_down: sizes of a pulse at the nodes [dw_min], >= 0, and > 0 but for the ends.
        tau_max: upper bound of w [weight units], > 0.
        tau_min: lower bound of w [weight units], <= 0; 0 for cells that are only raised.
    Source: aihwkit 1.2.0, PiecewiseStepDevice (piecewise_up, piecewise_down). It converts lr to pulses with dw_min
        times the middle node, this library with dw_min.
    """

    nodes_up: tuple[float, ...] = (1.5, 1.2, 1.0, 0.7, 0.2)
    nodes_down: tuple[float, ...] = (0.2, 0.7, 1.0, 1.2, 1.5)
    tau_max: Annotated[float, Positive] = 1.0
    tau_min: Annotated[float, NonPositive] = -1.0

    def validate(self) -> None:
        for name in ("nodes_up", "nodes_down"):
            nodes = getattr(self, name)
            where = f"Piecewise({name}={nodes})"
            if not nodes or not all(q >= 0 for q in nodes):
                raise complaint(where, "nodes are finite numbers, zero or positive, at least one")
            if not (any(nodes) and all(nodes[1:-1])):
                raise complaint(where, "a step between the bounds is 0", "Only the ends may be")

    def up(self, w: Tensor) -> Tensor:
        return self._polygon(self.nodes_up, w)

    def down(self, w: Tensor) -> Tensor:
        return self._polygon(self.nodes_down, w)

    def _polygon(self, nodes: tuple[float, ...], w: Tensor) -> Tensor:
        t = (w - self.tau_min) * ((len(nodes) - 1) / (self.tau_max - self.tau_min))
        if len(nodes) > WRITTEN_OUT:
            return lookup(nodes, t)
        q = torch.full_like(w, nodes[0])
        for k, (left, right) in enumerate(itertools.pairwise(nodes)):
            if left != right:
                q = q + (right - left) * torch.clamp(t - k, 0, 1)
        return q

    def bounds(self) -> tuple[float | Tensor, float | Tensor]:
        return self.tau_min, self.tau_max
