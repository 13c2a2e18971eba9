"""All time steps of one direction of a recurrent layer as one node of autograd.

A step has a product or two and a dozen short operations: as nodes of their own, forward and backward take half as
long again (design/010). `Direction` has the same steps in modules, for torch.compile and for layers with hooks.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch.nn import functional

from mho.base.errors import complaint
from mho.nn.core import product
from mho.nn.core.asked import asked_for
from mho.nn.core.calls import may_be_repeated
from mho.nn.core.first_order import FirstOrder, Recorded, check_transforms, second
from mho.nn.core.parameter import AnalogParameter
from mho.nn.core.product import MatrixLayout, Needed, Saved, Scales
from mho.nn.linear import AnalogLinear
from mho.nn.recurrent.gates import Gates, Tensors


class StepMatrix(NamedTuple):
    """One of the matrices that a step multiplies with."""

    layout: MatrixLayout
    bias: torch.Tensor | None
    has_column: bool  # of biases, whose input is 1
    how: tuple[bool, bool]  # training, may be repeated

    def forward(self, x: torch.Tensor, scales: Scales) -> tuple[torch.Tensor, Saved]:
        """Multiply (samples, in) -> (samples, out); also return the tensors for the way back."""
        x = functional.pad(x, (0, 1), value=1.0) if self.has_column else x
        return product.forward(x, self.bias, self.layout, scales, *self.how)


class RecurrencePlan(NamedTuple):
    """The plan of a recurrence.

    Args:
        steps: (first, last + 1) sample of each time step, in the order in which they are taken.
        gates: of the layer; matrices: hidden-to-hidden and, with a projection, hidden-to-output.
        keep: there may be a way back.
    """

    steps: list[tuple[int, int]]
    gates: Gates
    matrices: list[StepMatrix]
    keep: bool

    def of_matrices(self, given: Sequence) -> list[Sequence]:
        """Cut values given for the bias, and the weight and out_scale of each block, into those of each matrix."""
        edges = itertools.accumulate((1 + 2 * len(m.layout.blocks) for m in self.matrices), initial=0)
        return [given[first:last] for first, last in itertools.pairwise(edges)]


def steps_of(sizes: Sequence[int], is_reverse: bool) -> list[tuple[int, int]]:
    """Return (first, last + 1) sample of each time step, in the order in which they are taken."""
    steps = list(itertools.pairwise(itertools.accumulate(sizes, initial=0)))
    return steps[::-1] if is_reverse else steps


def of_first(state: Tensors, n: int) -> Tensors:
    """Return the state of the first n samples."""
    return state if n == len(state[0]) else tuple(part[:n] for part in state)


def joined(new: Tensors, old: Tensors) -> Tensors:
    """Return the state of all samples after a step in which the first of them took part."""
    n = len(new[0])
    return new if n == len(old[0]) else tuple(torch.cat([x, y[n:]]) for x, y in zip(new, old, strict=True))


def run(
    a: torch.Tensor,
    steps: list[tuple[int, int]],
    gates: Gates,
    layers: Sequence[AnalogLinear],
    state: Tensors,
) -> tuple[torch.Tensor, Tensors]:
    """Take all time steps: a (samples of all time steps, gates * hidden_size) -> h and the last state.

    h (samples of all time steps, size) is in the order of the steps.
    """
    matrices: list[StepMatrix] = []
    trained: list[torch.Tensor | None] = []
    for layer in layers:
        layout, training = layer.matrix.layout, layer.training
        if not all(isinstance(block.trained[0], AnalogParameter) for block in layout.blocks):
            what = "the hidden-to-hidden weights of a recurrent layer were replaced for one call"
            raise complaint("functional_call", what, fix="leave these weights as they are")
        how = training, training and may_be_repeated()
        bias = None if layer.has_column else layer.bias
        matrices.append(StepMatrix(layout, bias, layer.has_column, how))
        trained += [bias, *(p for block in layout.blocks for p in block.trained)]
    plan = RecurrencePlan(steps, gates, matrices, torch.is_grad_enabled())
    try:
        y, *last = _Recurrence.apply(a, plan, len(state), *state, *trained)
    except RuntimeError:
        check_transforms()
        raise
    return y, tuple(last)


class _Recurrence(FirstOrder):
    """The node; `rest` are the parts of the initial state and the parameters of each matrix (`of_matrices`)."""

    @staticmethod
    def forward(ctx, a: torch.Tensor, plan: RecurrencePlan, n_states: int, *rest):
        state = rest[:n_states]
        scales = [trained[2::2] for trained in plan.of_matrices(rest[n_states:])]
        outputs: list[torch.Tensor] = []
        kept: list[torch.Tensor] = []
        events: list[list[int]] = []
        of_gates: Tensors = ()
        for first, last in plan.steps:
            now = of_first(state, last - first)
            b, saved = plan.matrices[0].forward(now[0], scales[0])
            new, of_gates = plan.gates.forward(a[first:last], b, now)
            products = [saved]
            if len(plan.matrices) == 2:
                h, saved = plan.matrices[1].forward(new[0], scales[1])
                new = h, *new[1:]
                products.append(saved)
            if plan.keep:
                kept += of_gates
                for saved in products:
                    kept += [saved.x, *saved.unscaled]
                events.append([saved.event for saved in products])
            outputs.append(new[0])
            state = joined(new, state)
        ctx.save_for_backward(*kept, *itertools.chain(*scales))
        ctx.plan, ctx.events, ctx.n_of_gates, ctx.shape = plan, events, len(of_gates), a.shape
        return torch.cat(outputs), *state

    @staticmethod
    def backward(ctx, gy: torch.Tensor, *of_last: torch.Tensor):
        if not torch.is_grad_enabled():
            return _way_back(ctx, gy, *of_last)
        weights = [block.trained[0] for matrix in ctx.plan.matrices for block in matrix.layout.blocks]
        return second(_way_back, ctx, weights, gy, *of_last)


def _way_back(ctx, gy: torch.Tensor, *of_last: torch.Tensor, recorded: Recorded | None = None):
    plan, n_states = ctx.plan, len(of_last)
    _, _, _, *needed = ctx.needs_input_grad
    wanted = plan.of_matrices(needed[n_states:])
    weights = [asked_for(ctx, matrix.layout) for matrix in plan.matrices]
    kept, scales = _unpacked(ctx.saved_tensors, plan, ctx.events, ctx.n_of_gates)
    of_scales: list[list[Any]] = [[None] * len(part) for part in scales]

    def back(which: int, g: torch.Tensor, saved: Saved) -> Any:
        """Return the gradient of a product's input; add up those of the scales."""
        matrix, sums = plan.matrices[which], of_scales[which]
        needs = Needed(True, False, weights[which], wanted[which][2::2])
        found = product.backward(g, saved, matrix.layout, scales[which], needs, recorded)
        for n, more in enumerate(found.scales):
            sums[n] = more if sums[n] is None else sums[n].add_(more)
        return cast(Any, found.x)[:, :-1] if matrix.has_column else found.x

    of_a, of_bias = gy.new_empty(ctx.shape), []
    of_state, at = tuple(of_last), len(gy)
    for (first, last), (of_gates, products) in zip(plan.steps[::-1], kept[::-1], strict=True):
        samples = last - first
        of_h, *others = of_first(of_state, samples)
        of_h = of_h + gy[at - samples : at]
        at -= samples
        if len(products) == 2:
            of_h = back(1, of_h, products[1])
        of_a[first:last], of_b, through = plan.gates.backward((of_h, *others), of_gates)
        of_h = back(0, of_b, products[0])
        of_state = joined((of_h if through[0] is None else of_h + through[0], *through[1:]), of_state)
        of_bias.append(of_b)
    biases = [torch.cat(of_bias).sum(0) if wanted[0][0] else None, *[None] * (len(plan.matrices) - 1)]
    of_trained = (
        part
        for bias, sums in zip(biases, of_scales, strict=True)
        for part in (bias, *itertools.chain(*((None, scale) for scale in sums)))
    )
    return of_a, None, None, *of_state, *of_trained


Kept = list[tuple[Tensors, list[Saved]]]


def _unpacked(
    tensors: Tensors, plan: RecurrencePlan, events: list[list[int]], n_of_gates: int
) -> tuple[Kept, list[list[torch.Tensor | None]]]:
    """Sort the saved tensors: those of the gates and the products of each step, and the scales of each matrix."""
    rest = iter(tensors)
    kept: Kept = []
    for of_step in events:
        of_gates = tuple(itertools.islice(rest, n_of_gates))
        products = []
        for matrix, event in zip(plan.matrices, of_step, strict=True):
            x, *unscaled = itertools.islice(rest, 1 + len(matrix.layout.blocks))
            products.append(Saved(x, unscaled, event))
        kept.append((of_gates, products))
    return kept, [list(itertools.islice(rest, len(matrix.layout.blocks))) for matrix in plan.matrices]
