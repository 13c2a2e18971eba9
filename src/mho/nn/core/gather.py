"""Rows of a matrix on crossbars by their numbers: the read-out of an embedding, and its node of autograd.

Row i of the matrix is what arrives at the inputs if output line i alone is driven backward. With y_s = W[i_s, :]
the gradient of W is the sum over samples s of e_i g_s^T, e_i being the unit vector of row i_s and g_s the gradient
of y_s. So the factors of a sample are x = g_s and d = -e_i, times the digital scales of the row.
"""

from typing import NamedTuple

import torch

from mho.base.errors import complaint
from mho.nn.core.asked import asked_for
from mho.nn.core.calls import may_be_repeated
from mho.nn.core.first_order import FirstOrder, Recorded, check_transforms, second
from mho.nn.core.given import Given
from mho.nn.core.product import MatrixBlock, MatrixLayout, Scales, with_given
from mho.tile.checks import lines
from mho.tile.events import NEXT_CALL
from mho.tile.readout import is_finite

MOST = 1 << 20  # numbers of one piece of unit vectors: 4 MiB


class Found(NamedTuple):
    """The tensors that a look-up keeps for the way back."""

    numbers: torch.Tensor  # (samples,) int64
    unscaled: torch.Tensor  # (samples, in): the rows before out_scale; (0,) if there is none
    event: int


def look_up(index: torch.Tensor, layout: MatrixLayout, training: bool, skip: int = -1) -> torch.Tensor:
    """Return (samples, in) float32: the rows with the numbers `index` (samples,) int64, digital scales included.

    skip: a row that gets no gradient from here.
    """
    trained = [p for block in layout.blocks for p in block.trained]
    layout = with_given(layout, trained[::2])
    how = training, training and may_be_repeated()
    try:
        return _Lookup.apply(index, layout, skip, how, *trained)
    except RuntimeError:
        check_transforms()
        raise


def forward(
    index: torch.Tensor, layout: MatrixLayout, scales: Scales, training: bool, remember: bool
) -> tuple[torch.Tensor, Found]:
    """Return the rows, each as backward converters give it; rows of perfect ones are copied.

    Each different row is read once, however many samples ask for it.
    Raises: IndexError for a number of a row that does not exist, as torch does.
    """
    blocks, rows, columns, calls, _ = layout
    out = torch.empty(len(index), columns[-1][1], dtype=torch.float32, device=blocks[0].w.device)
    is_scaled = any(scale is not None for scale in scales)
    unscaled = torch.empty_like(out) if is_scaled else out.new_empty(0)
    if out.is_meta:
        return out, Found(index, unscaled, 0)
    _check(index, rows[-1][1], out.device)
    height = max(bottom - top for top, bottom in rows)
    pieces = 1 if all(map(_is_plain, blocks)) else -(-min(len(index), height) // _piece(height))
    event = calls.begin(index, training, max(pieces, 1), remember)
    for n, block in enumerate(blocks):
        row, column = divmod(n, len(columns))
        if column == 0:
            which, local = _inside(index, rows[row])
        cut = slice(*columns[column])
        y = _read(block, local, event)
        if block.is_scaled:
            y *= _of(block.scale, local)
        scale = scales[n]
        if is_scaled:
            unscaled[which, cut] = y
        out[which, cut] = y if scale is None else y * _of(scale, local)
    return out, Found(index, unscaled, event)


def backward(
    g: torch.Tensor,
    found: Found,
    layout: MatrixLayout,
    scales: Scales,
    needed: tuple,
    skip: int,
    recorded: Recorded | None = None,
) -> list[torch.Tensor | None]:
    """Return the gradients of the out_scales of the blocks, g (samples, in) being that of `forward`'s output.

    Leaves (x, d) with each block whose weight is trained. needed: for each block whether its weight, and whether
    its out_scale, is trained; recorded: gets the blocks that were left factors.
    """
    blocks, rows, columns, calls, _ = layout
    calls.end()
    g, of_scales = lines(g), list[torch.Tensor | None]()
    for n, (block, (of_weight, of_scale)) in enumerate(zip(blocks, needed, strict=True)):
        row, column = divmod(n, len(columns))
        if column == 0:
            which, local = _inside(found.numbers, rows[row], skip)
        cut, scale = slice(*columns[column]), scales[n]
        x = g[which, cut].contiguous()  # memory of its own: autograd may hand g to others
        if of_weight and len(local):
            block.record(x, _unit(block, local, scale, x), found.event)
            if recorded is not None and type(block) is not Given:
                recorded.append(block)
        if of_scale and scale is not None:
            parts = (x * found.unscaled[which, cut]).sum(1)
            place = local if scale.numel() > 1 else torch.zeros_like(local)
            of_scales.append(parts.new_zeros(scale.numel()).index_add_(0, place, parts))
        else:
            of_scales.append(None)
    return of_scales


def _unit(
    block: MatrixBlock, local: torch.Tensor, scale: torch.Tensor | None, x: torch.Tensor
) -> torch.Tensor:
    """Return d (samples, out): minus unit vectors times the digital scales; NaN if x is not finite.

    The step looks for NaN in d alone, because inputs have usually passed through a product.
    """
    d = torch.zeros(len(local), block.shape[0], dtype=torch.float32, device=local.device)
    if not is_finite(x):
        return d.fill_(torch.nan)
    size = torch.full((len(local), 1), -1.0, dtype=torch.float32, device=local.device)
    for factor in (block.scale if block.is_scaled else None, scale):
        size = size if factor is None else size * _of(factor, local)
    return d.scatter_(1, local[:, None], size)


def _read(block: MatrixBlock, local: torch.Tensor, event: int) -> torch.Tensor:
    """Return (samples, in of the block): its rows `local`, without digital scales."""
    if _is_plain(block):
        block.follow()
        return block.w[local]
    which, place = local.unique(return_inverse=True)
    parts = [block.w.new_empty(0, block.shape[1])]
    for n, piece in enumerate(which.split(_piece(block.shape[0])) if len(which) else ()):
        driven = torch.zeros(len(piece), block.shape[0], dtype=torch.float32, device=piece.device)
        driven.scatter_(1, piece[:, None], 1.0)
        parts.append(block.product(driven, "backward", event + n * NEXT_CALL))
    return torch.cat(parts)[place]


def _is_plain(block: MatrixBlock) -> bool:
    """Return whether a row that is read backward is exactly what the block holds."""
    io = block.io["backward"]
    return io.perfect and io.wires is None


def _piece(height: int) -> int:
    return max(1, MOST // height)


def _inside(index: torch.Tensor, cut: tuple[int, int], skip: int = -1) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the samples whose row lies in a row of blocks, and the number of the row there."""
    which = ((index >= cut[0]) & (index < cut[1]) & (index != skip)).nonzero()[:, 0]
    return which, index[which] - cut[0]


def _of(scale: torch.Tensor, local: torch.Tensor) -> torch.Tensor:
    """Return a digital scale of the rows: (samples, 1), or (1, 1) if all rows of the block have one."""
    scale = scale.detach().to(torch.float32)
    return (scale if scale.numel() == 1 else scale[local])[:, None]


def _check(index: torch.Tensor, n: int, device: torch.device) -> None:
    if index.device != device:
        what = f"the numbers of rows are on {index.device} and the arrays on {device}"
        raise complaint("AnalogEmbedding.forward", what, "They must agree", "move one of them")
    if index.numel():
        low, high = index.aminmax()
        if low < 0 or high >= n:
            raise IndexError("index out of range in self")


class _Lookup(FirstOrder):
    """The functions `forward` and `backward`; `trained` are the weight and the out_scale of each block in turn."""

    @staticmethod
    def forward(ctx, index: torch.Tensor, layout: MatrixLayout, skip: int, how: tuple[bool, bool], *trained):
        out, found = forward(index, layout, trained[1::2], *how)
        ctx.layout, ctx.event, ctx.skip = layout, found.event, skip
        ctx.save_for_backward(index, found.unscaled, *trained[1::2])
        return out

    @staticmethod
    def backward(ctx, g: torch.Tensor):
        if not torch.is_grad_enabled():
            return _way_back(ctx, g)
        return second(_way_back, ctx, [block.trained[0] for block in ctx.layout.blocks], g)


def _way_back(ctx, g: torch.Tensor, recorded: Recorded | None = None):
    index, unscaled, *scales = ctx.saved_tensors
    layout: MatrixLayout = ctx.layout
    _, _, _, _, *trained = ctx.needs_input_grad
    weights = asked_for(ctx, layout)
    for place, block in enumerate(layout.blocks):
        if type(block) is Given:
            weights[place] = trained[2 * place]
    needed = tuple(zip(weights, trained[1::2], strict=True))
    of_scales = backward(g, Found(index, unscaled, ctx.event), layout, scales, needed, ctx.skip, recorded)
    of_weights = (block.gradient() if type(block) is Given else None for block in layout.blocks)
    return (
        None,
        None,
        None,
        None,
        *(part for pair in zip(of_weights, of_scales, strict=True) for part in pair),
    )
