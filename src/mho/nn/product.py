"""What autograd sees of a block."""

from typing import TYPE_CHECKING

import torch

from mho.algorithms.base import Factors
from mho.checks import lines

if TYPE_CHECKING:
    from mho.nn.block import Block


class Product(torch.autograd.Function):
    """y = out_scale * scale * (x W^T), float32, for x (..., in).

    Backward gives dL/dx and dL/d out_scale, and leaves (x, d = -dL/d(x W^T)) with the block instead of dL/dW.
    """

    @staticmethod
    def forward(ctx, x: torch.Tensor, weight: torch.Tensor, out_scale: torch.Tensor | None, block: "Block"):
        inputs = lines(x)
        y = block.product(inputs, "forward")
        if block.scale.numel():
            y *= block.scale
        ctx.block, ctx.shape = block, x.shape
        if out_scale is None:
            ctx.save_for_backward(inputs)
        else:
            ctx.save_for_backward(inputs, y, out_scale)
            y = y * out_scale
        return y if x.ndim == 2 else y.reshape(*x.shape[:-1], y.shape[1])

    @staticmethod
    def backward(ctx, g: torch.Tensor):
        inputs, *scaled = ctx.saved_tensors
        block: Block = ctx.block
        wants_x, wants_weight, wants_scale, _ = ctx.needs_input_grad
        g = lines(g)
        grad_x = grad_scale = None
        if not scaled:
            d = -g
        else:
            y, out_scale = scaled
            if wants_scale:
                grad_scale = (g * y).sum_to_size(out_scale.shape)
            d = g * -out_scale.detach()
        if block.scale.numel():
            d *= block.scale
        if wants_weight:
            block.factors.append(Factors(inputs, d))
        if wants_x:
            grad_x = block.product(d, "backward", -1.0)
            if len(ctx.shape) != 2:
                grad_x = grad_x.reshape(ctx.shape)
        return grad_x, None, grad_scale, None
