"""The product of a layer as custom operators, which torch.compile puts into its graph whole, see design/001.

An operator gets the layer as a number, its handle: cells, counters and recorded factors are hidden from the graph.
Only the tap ties the operator in: a leaf without a value whose gradient is the recording.
"""

import itertools
import weakref

import torch
from torch.autograd.graph import increment_version

from mho.base.errors import complaint
from mho.nn.core import product as eager
from mho.nn.core.first_order import refuse_second
from mho.nn.core.parameter import AnalogParameter
from mho.nn.core.product import MatrixLayout, Needed, Saved
from mho.numerics.views import writes

_LAYOUTS: "weakref.WeakValueDictionary[int, Handle]" = weakref.WeakValueDictionary()
_numbers = itertools.count()


class Handle:
    """The number of a layout, by which it is found as long as its layer exists."""

    def __init__(self, layout: MatrixLayout) -> None:
        self.layout, self.number = layout, next(_numbers)
        self.tap = torch.zeros((), requires_grad=True)
        self._looked: dict[int, int] = {}  # {block: writes to its weight when it was told to look again}
        _LAYOUTS[self.number] = self

    def written(self, seen: list[torch.Tensor]) -> list[int]:
        """Return the numbers of the blocks whose weight torch has written to since they last looked.

        seen: what the graph gives for the weights; other memory if it has written to them before.
        Raises: MhoError for such a write, which no block would see.
        """
        blocks = self.layout.blocks
        for block, weight in zip(blocks, seen, strict=True):
            if weight.data_ptr() != block.w.data_ptr() and not torch.equal(weight, block.w):
                what = "compiled code writes to the weight of an analog layer and then calls the layer"
                need = "A graph writes when it ends; nothing has been changed"
                raise complaint(
                    "torch.compile", what, need, "write to weights outside of the compiled function"
                )
        return [
            n
            for n, block in enumerate(blocks)
            if not block.is_settled and writes(block.w) != self._looked.get(n)
        ]

    def look_again(self, which: list[int]) -> None:
        """Have blocks look at their weights once more: a graph has its writes counted first and writes later."""
        for n in which:
            increment_version(self.layout.blocks[n].w)
            self._looked[n] = writes(self.layout.blocks[n].w)


def handle_of(number: int) -> Handle:
    """Return the handle with this number."""
    return _LAYOUTS[number]


def layout_of(number: int) -> MatrixLayout:
    """Return the layout of a handle's number."""
    return _LAYOUTS[number].layout


def product(x: torch.Tensor, handle: Handle, training: bool, bias: torch.Tensor | None) -> torch.Tensor:
    """Multiply as `mho.nn.core.product.product`, for code that is being compiled."""
    pairs = [block.trained for block in handle.layout.blocks]
    if not all(type(weight) is AnalogParameter for weight, _ in pairs):
        return _uncompiled(x, handle.layout, training, bias)
    trained = [weight.requires_grad for weight, _ in pairs]
    scales = [scale for _, scale in pairs if scale is not None]
    tap = handle.tap if any(trained) else handle.tap.detach()
    seen = [weight.detach() for weight, _ in pairs]
    y, *_ = torch.ops.mho.product(x.to(torch.float32), bias, scales, tap, seen, handle.number, training)
    return y.to(x.dtype)


_uncompiled = torch.compiler.disable(
    eager.product,
    reason="an analog layer multiplies with the weights of one functional_call outside of the graph",
)


@torch.library.custom_op("mho::product", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,))
def _forward(
    x: torch.Tensor,
    bias: torch.Tensor | None,
    scales: list[torch.Tensor],
    tap: torch.Tensor,
    seen: list[torch.Tensor],
    number: int,
    training: bool,
) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """Return y, the event of the call, and the unscaled outputs of the blocks, which the way back needs."""
    handle = handle_of(number)
    layout, written = handle.layout, handle.written(seen)
    y, saved = eager.forward(x, bias, layout, scales or [None] * len(layout.blocks), training, training)
    handle.look_again(written)
    y = y if layout.geometry else y.reshape(*x.shape[:-1], y.shape[1])
    return (
        y,
        torch.tensor(saved.event),
        [
            part.clone() if part is y or part.untyped_storage().nbytes() != part.nbytes else part
            for part in saved.unscaled
        ],
    )


@_forward.register_fake
def _(x, bias, scales, tap, seen, number, training):
    blocks, rows, _, _, geometry = layout_of(number)
    out = rows[-1][1]
    if geometry is None:
        samples, shape = x.numel() // x.shape[-1], (*x.shape[:-1], out)
    else:
        samples = x.shape[0]
        for places in geometry.outputs(x.shape[2:]):
            samples = samples * places
        shape = samples, out
    unscaled = [x.new_empty(samples, block.shape[0]) for block in blocks]
    return x.new_empty(shape), torch.empty((), dtype=torch.int64), unscaled


@torch.library.custom_op("mho::product_backward", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,))
def _backward(
    g: torch.Tensor,
    x: torch.Tensor,
    event: torch.Tensor,
    unscaled: list[torch.Tensor],
    scales: list[torch.Tensor],
    number: int,
    needed: list[bool],
) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor], torch.Tensor]:
    """Return gradients of x, bias (empty if not needed), scales, and the recording: a zero, the tap's gradient."""
    layout = layout_of(number)
    of_x, of_bias, of_scales, of_weights = needed
    weights = [of_weights and block.trained[0].requires_grad for block in layout.blocks]
    saved = Saved(eager.contiguous(x, layout), unscaled, int(event))
    all_scales: eager.Scales = scales or [None] * len(layout.blocks)
    want = Needed(of_x, of_bias, weights, [of_scales] * len(layout.blocks))
    found = eager.backward(g, saved, layout, all_scales, want)
    nothing = g.new_empty(0)
    gx = nothing if found.x is None else found.x.reshape(x.shape)
    gb = nothing if found.bias is None else found.bias
    return gx, gb, [s for s in found.scales if s is not None], g.new_zeros(())


@_backward.register_fake
def _(g, x, event, unscaled, scales, number, needed):
    of_x, of_bias, of_scales, _ = needed
    gx = torch.empty_like(x, memory_format=torch.contiguous_format) if of_x else g.new_empty(0)
    gb = g.new_empty(g.shape[-1]) if of_bias else g.new_empty(0)
    return gx, gb, [torch.empty_like(s) for s in scales] if of_scales else [], g.new_zeros(())


def _remember(ctx, inputs, output) -> None:
    x, _, scales, _, _, number, _ = inputs
    _, event, unscaled = output
    ctx.number, ctx.n = number, len(unscaled)
    ctx.save_for_backward(x, event, *unscaled, *scales)


def _way_back(ctx, g, _event, _unscaled):
    x, event, *others = ctx.saved_tensors
    unscaled, scales = others[: ctx.n], others[ctx.n :]
    of_x, of_bias, of_scales, of_tap = ctx.needs_input_grad[:4]
    of_scales = bool(scales) and any(of_scales if isinstance(of_scales, (list, tuple)) else [of_scales])
    needed = [of_x, of_bias, of_scales, of_tap]
    gx, gb, gs, record = torch.ops.mho.product_backward(
        g.contiguous(), x, event, unscaled, scales, ctx.number, needed
    )
    return (
        gx if of_x else None,
        gb if of_bias else None,
        gs if of_scales else [None] * len(scales),
        record if of_tap else None,
        [None] * ctx.n,
        None,
        None,
    )


_forward.register_autograd(_way_back, setup_context=_remember)
_backward.register_autograd(refuse_second)
