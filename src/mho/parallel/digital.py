"""Gradients of digital parameters, averaged over the ranks in the order in which one process adds them up."""

import torch
from torch import nn

from mho.base.errors import complaint
from mho.parallel.parcel import Parcel


class DigitalGradients:
    """The gradients of each micro-batch, kept apart because sums of floating-point numbers depend on their order.

    One process that has the ranks' micro-batches one after the other adds ((g00 + g01) + g10) + g11, the first
    number being the micro-batch and the second the rank. Ranks that accumulate send all parts. A `grad` that
    was changed since, such as by clipping, is sent whole.
    """

    def __init__(self, params: dict[str, nn.Parameter]) -> None:
        self.params = params
        self._parts: list[list[torch.Tensor]] = [[] for _ in params]
        for p, parts in zip(params.values(), self._parts, strict=True):
            p.register_hook(_keeper(p, parts))

    def pack(self, parcel: Parcel) -> list[list[int]]:
        """Put the gradients in; return the numbers of each parameter's gradients, none if it has none."""
        numbers = []
        for (name, p), parts in zip(self.params.items(), self._parts, strict=True):
            g = p.grad
            if g is not None and g.layout is not torch.strided:
                fix = "leave it to DistributedDataParallel, or make it dense"
                raise complaint("AnalogOptimizer.step", f"the gradient of {name!r} is sparse", fix=fix)
            is_sum = g is not None and len(parts) > 1 and torch.equal(_sum(parts), g)
            numbers.append([parcel.add(part) for part in (parts if is_sum else [] if g is None else [g])])
            parts.clear()
        return numbers

    def unpack(self, answers: list[tuple[list[list[int]], list[torch.Tensor]]]) -> None:
        """Give each parameter the average; zeros stand for a rank without a gradient, if another has one."""
        for n, p in enumerate(self.params.values()):
            of_rank = [[tensors[k] for k in numbers[n]] for numbers, tensors in answers]
            longest = max(len(parts) for parts in of_rank)
            parts = [parts[m] for m in range(longest) for parts in of_rank if m < len(parts)]
            if not parts:
                continue
            average = (_sum(parts) / len(answers)).to(p.device)
            if p.grad is None:
                p.grad = average
            else:
                p.grad.copy_(average)


def _keeper(p: nn.Parameter, parts: list[torch.Tensor]):
    """Make a hook that adds p's gradient of each backward to the parts; the first after `zero_grad` starts anew."""

    def keep(g: torch.Tensor) -> None:
        if p.grad is None:
            parts.clear()
        parts.append(g)

    return keep


def _sum(parts: list[torch.Tensor]) -> torch.Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
