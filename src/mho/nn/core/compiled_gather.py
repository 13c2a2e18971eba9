"""The look-up of rows as custom operators, which torch.compile puts into its graph whole, see `compiled`."""

import torch

from mho.nn.core import gather as eager
from mho.nn.core.compiled import Handle, handle_of, layout_of


def look_up(index: torch.Tensor, handle: Handle, training: bool, skip: int) -> torch.Tensor:
    """Look up as `mho.nn.core.gather.look_up`, for code that is being compiled."""
    pairs = [block.trained for block in handle.layout.blocks]
    scales = [scale for _, scale in pairs if scale is not None]
    tap = handle.tap if any(weight.requires_grad for weight, _ in pairs) else handle.tap.detach()
    seen = [weight.detach() for weight, _ in pairs]
    y, *_ = torch.ops.mho.look_up(index, scales, tap, seen, handle.number, training, skip)
    return y


@torch.library.custom_op("mho::look_up", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,))
def _forward(
    index: torch.Tensor,
    scales: list[torch.Tensor],
    tap: torch.Tensor,
    seen: list[torch.Tensor],
    number: int,
    training: bool,
    skip: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the rows, the event of the call, and the rows before out_scale, which the way back needs."""
    handle = handle_of(number)
    layout, written = handle.layout, handle.written(seen)
    y, found = eager.forward(index, layout, scales or [None] * len(layout.blocks), training, training)
    handle.look_again(written)
    return y, torch.tensor(found.event), found.unscaled


@_forward.register_fake
def _(index, scales, tap, seen, number, training, skip):
    y = index.new_empty(index.shape[0], layout_of(number).columns[-1][1], dtype=torch.float32)
    return y, torch.empty((), dtype=torch.int64), torch.empty_like(y) if scales else y.new_empty(0)


@torch.library.custom_op("mho::look_up_backward", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,))
def _backward(
    g: torch.Tensor,
    index: torch.Tensor,
    event: torch.Tensor,
    unscaled: torch.Tensor,
    scales: list[torch.Tensor],
    number: int,
    skip: int,
    needed: list[bool],
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Return gradients of scales, and the recording: a zero, the tap's gradient."""
    layout, (of_scales, of_weights) = layout_of(number), needed
    want = tuple((of_weights and block.trained[0].requires_grad, of_scales) for block in layout.blocks)
    found = eager.Found(index, unscaled, int(event))
    all_scales: eager.Scales = scales or [None] * len(layout.blocks)
    of_scale = eager.backward(g, found, layout, all_scales, want, skip)
    return [s for s in of_scale if s is not None], g.new_zeros(())


@_backward.register_fake
def _(g, index, event, unscaled, scales, number, skip, needed):
    return [torch.empty_like(s) for s in scales] if needed[0] else [], g.new_zeros(())


def _remember(ctx, inputs, output) -> None:
    index, scales, _, seen, ctx.number, _, ctx.skip = inputs
    _, event, unscaled = output
    ctx.n = len(seen)
    ctx.save_for_backward(index, event, unscaled, *scales)


def _way_back(ctx, g, _event, _unscaled):
    index, event, unscaled, *scales = ctx.saved_tensors
    _, of_scales, of_tap = ctx.needs_input_grad[:3]
    of_scales = bool(scales) and any(of_scales if isinstance(of_scales, (list, tuple)) else [of_scales])
    gs, record = torch.ops.mho.look_up_backward(
        g.contiguous(), index, event, unscaled, scales, ctx.number, ctx.skip, [of_scales, of_tap]
    )
    of_scales = gs if of_scales else [None] * len(scales)
    return None, of_scales, record if of_tap else None, [None] * ctx.n, None, None, None


_forward.register_autograd(_way_back, setup_context=_remember)
