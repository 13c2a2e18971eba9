"""What autograd sees of a matrix on crossbars: one node, however many blocks it is cut into."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from mho.algorithms.base import Factors
from mho.checks import lines
from mho.nn.digital import add_output, columns_of, error_of_block

if TYPE_CHECKING:
    from mho.nn.block import Block


class Layout(NamedTuple):
    """Blocks, row by row, and the (first, last) outputs of each row of them and inputs of each column."""

    blocks: "Sequence[Block]"
    rows: list[tuple[int, int]]
    columns: list[tuple[int, int]]


def product(x: torch.Tensor, layout: Layout, bias: torch.Tensor | None = None) -> torch.Tensor:
    """x (..., in) -> W x + bias (..., out) in the dtype of x, computed in float32."""
    trained = [p for block in layout.blocks for p in block.trained]
    if x.dtype is torch.float32:
        return _Product.apply(x, bias, layout, *trained)
    return _Product.apply(x.to(torch.float32), bias, layout, *trained).to(x.dtype)


class _Product(torch.autograd.Function):
    """y = sum over blocks of out_scale * scale * (x W^T), plus the bias.

    Backward gives the gradients of x, of the bias and of each out_scale, and leaves (x, d = -dL/d(x W^T)) with
    each block instead of dL/dW. Its `trained` are the weight and the out_scale of each block in turn.
    """

    @staticmethod
    def forward(ctx, x: torch.Tensor, bias: torch.Tensor | None, layout: Layout, *trained):
        blocks, rows, columns = layout
        inputs = columns_of(lines(x), columns)
        out = torch.empty(inputs[0].shape[0], rows[-1][1], dtype=torch.float32, device=x.device)
        unscaled = []
        for n, block in enumerate(blocks):
            row, column = divmod(n, len(columns))
            y = block.product(inputs[column], "forward")
            if block.is_scaled:
                y *= block.scale
            unscaled.append(y)
            last = column == len(columns) - 1
            add_output(y, trained[2 * n + 1], out, rows[row], column == 0, bias if last else None)
        ctx.layout, ctx.shape = layout, x.shape
        ctx.save_for_backward(*inputs, *unscaled, *trained[1::2])
        return out if x.ndim == 2 else out.reshape(*x.shape[:-1], out.shape[1])

    @staticmethod
    def backward(ctx, g: torch.Tensor):
        blocks, rows, columns = ctx.layout
        saved, needed = ctx.saved_tensors, ctx.needs_input_grad
        g = lines(g)
        grads: list[torch.Tensor | None] = [None, g.sum_to_size(g.shape[1]) if needed[1] else None, None]
        into_x: list[list[torch.Tensor]] = [[] for _ in columns]
        for n, block in enumerate(blocks):
            row, column = divmod(n, len(columns))
            y, out_scale = saved[len(columns) + n], saved[len(columns) + len(blocks) + n]
            d, gy = error_of_block(g, rows[row], out_scale, y if needed[4 + 2 * n] else None)
            if block.is_scaled:
                d *= block.scale
            if needed[3 + 2 * n]:
                block.factors.append(Factors(saved[column], d))
            if needed[0]:
                into_x[column].append(block.product(d, "backward", -1.0))
            grads += (None, None if gy is None else gy.sum_to_size(out_scale.shape))
        if needed[0]:
            sums = [sum(reversed(parts[:-1]), parts[-1]) for parts in into_x]
            grad_x = sums[0] if len(sums) == 1 else torch.cat(sums, dim=1)
            grads[0] = grad_x if len(ctx.shape) == 2 else grad_x.reshape(ctx.shape)
        return tuple(grads)
