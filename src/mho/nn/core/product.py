"""The node of autograd for a matrix on crossbars: one, however many blocks the matrix is cut into."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import torch

from mho.base.errors import MhoError, complaint
from mho.device.io import IO
from mho.nn.core import called
from mho.nn.core.asked import asked_for
from mho.nn.core.assemble import add_output, columns_of, error_of_block
from mho.nn.core.calls import Calls, may_be_repeated
from mho.nn.core.first_order import FirstOrder, Recorded, check_transforms, second
from mho.nn.core.given import Given, given_of
from mho.nn.core.parameter import AnalogParameter
from mho.nn.core.table import table_of
from mho.tile.checks import lines, numbers
from mho.tile.events import NEXT_CALL
from mho.tile.patches import Geometry, Patches, Piece


class MatrixBlock(Protocol):
    """The part of a `mho.nn.core.block.Block` that a product needs."""

    shape: tuple[int, int]
    scale: torch.Tensor
    is_scaled: bool

    @property
    def io(self) -> dict[str, IO]: ...

    @property
    def w(self) -> torch.Tensor: ...

    @property
    def is_settled(self) -> bool: ...

    @property
    def trained(self) -> tuple[Any, Any]: ...

    def follow(self) -> None: ...

    def product(self, x: torch.Tensor, direction: str, event: int, sign: float = 1.0) -> torch.Tensor: ...

    def record(self, x: torch.Tensor | Patches, d: torch.Tensor, event: int = 0) -> None: ...


class MatrixLayout(NamedTuple):
    """A matrix (out, in) of blocks, and the inputs that it is multiplied with.

    Args:
        blocks: row by row; rows, columns: (first, last + 1) outputs of each row of blocks, inputs of each column.
        calls: numbers the products.
        geometry: of the kernel if the inputs are patches of images, else None.
    """

    blocks: Sequence[MatrixBlock]
    rows: list[tuple[int, int]]
    columns: list[tuple[int, int]]
    calls: Calls
    geometry: Geometry | None = None


class Saved(NamedTuple):
    """The tensors that a product keeps for the way back."""

    x: torch.Tensor  # (samples, in), or images
    unscaled: Sequence[torch.Tensor]  # outputs (samples, out) of each block before its out_scale
    event: int


class Needed(NamedTuple):
    """Flags of the gradients that are asked for: of the input, the bias, each block's weight and out_scale."""

    x: bool
    bias: bool
    weights: Sequence[bool]
    scales: Sequence[bool]


class ProductGradients(NamedTuple):
    """Gradients of the input, the bias, each block's out_scale; None where they were not asked for."""

    x: torch.Tensor | None
    bias: torch.Tensor | None
    scales: list[torch.Tensor | None]


Scales = Sequence[torch.Tensor | None]


def product(
    x: torch.Tensor, layout: MatrixLayout, training: bool, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Multiply x (..., in) -> W x + bias (..., out) in the dtype of x, computed in float32.

    Images (samples, channels, ...) give (places of the kernel, out).
    """
    if x.dtype is not torch.float32 and not x.is_floating_point():
        raise not_floating("AnalogMatrix", x)
    trained = [p for block in layout.blocks for p in block.trained]
    layout = with_given(layout, trained[::2])
    how = training, training and may_be_repeated()
    try:
        if x.dtype is torch.float32:
            return _Product.apply(x, bias, layout, how, *trained)
        return _Product.apply(x.to(torch.float32), bias, layout, how, *trained).to(x.dtype)
    except RuntimeError:
        check_transforms()
        raise


def not_floating(layer: str, x: torch.Tensor) -> MhoError:
    """Return the error of an input that is no real number."""
    fix = "pass x.float()" if not x.is_complex() else "pass its real and imaginary parts, such as x.real"
    what = f"the input has dtype {x.dtype}"
    return complaint(f"{layer}.forward", what, "An analog layer multiplies real floating point numbers", fix)


def with_given(layout: MatrixLayout, weights: Sequence[Any]) -> MatrixLayout:
    """Return the layout with another tensor wherever a weight is not the block's own."""
    if all(type(w) is AnalogParameter for w in weights):
        return layout
    pairs = zip(layout.blocks, weights, strict=True)
    given: list[Any] = [b if type(w) is AnalogParameter else given_of(b, w) for b, w in pairs]
    return layout._replace(blocks=given)


def forward(
    x: torch.Tensor,
    bias: torch.Tensor | None,
    layout: MatrixLayout,
    scales: Scales,
    training: bool,
    remember: bool,
) -> tuple[torch.Tensor, Saved]:
    """Return (samples, out) = sum over blocks of out_scale * scale * (x W^T), plus the bias."""
    out, saved = joined_forward(x, bias, layout, scales, training, remember)
    if is_joined(saved.unscaled):
        saved = saved._replace(unscaled=_apart(saved, layout, len(out)))
    return out, saved


def is_joined(unscaled: Sequence[torch.Tensor]) -> bool:
    """Return whether the unscaled outputs of all blocks lie in one tensor."""
    return len(unscaled) == 1 and unscaled[0].ndim == 1


def _apart(saved: Saved, layout: MatrixLayout, samples: int) -> list[torch.Tensor]:
    return called.parts(saved.unscaled[0], samples, [block.shape[0] for block in layout.blocks])


def joined_forward(
    x: torch.Tensor,
    bias: torch.Tensor | None,
    layout: MatrixLayout,
    scales: Scales,
    training: bool,
    remember: bool,
) -> tuple[torch.Tensor, Saved]:
    """Return `forward`, the unscaled outputs of all blocks in one tensor where compiled code wrote them."""
    calls, geometry = layout.calls, layout.geometry
    x = contiguous(x, layout)
    pieces = [] if geometry is None else geometry.pieces(x.shape)
    table = table_of(x, layout, scales, bias)
    event = calls.begin(x, training, max(len(pieces), 1), remember)
    found = None if table is None else called.forward(table, x, bias, geometry, pieces, event)
    if found is not None:
        return found[0], Saved(x, found[1:], event)
    inputs = [x] if geometry is None else (geometry.rows(x, piece) for piece in pieces)
    done = [_multiply(rows, bias, layout, scales, event + n * NEXT_CALL) for n, rows in enumerate(inputs)]
    if len(done) == 1:
        return done[0][0], Saved(x, done[0][1], event)
    out = torch.cat([part for part, _ in done])
    unscaled = [torch.cat(of_block) for of_block in zip(*(more for _, more in done), strict=True)]
    return out, Saved(x, unscaled, event)


def contiguous(x: torch.Tensor, layout: MatrixLayout) -> torch.Tensor:
    """Return the input as the blocks take it: (samples, in), or images; float32, contiguous."""
    return lines(x) if layout.geometry is None else numbers(x)


def backward(
    g: torch.Tensor,
    saved: Saved,
    layout: MatrixLayout,
    scales: Scales,
    needed: Needed,
    recorded: Recorded | None = None,
) -> ProductGradients:
    """Return the gradients of `forward`, g being the gradient of its output.

    Leaves (x, d = -dL/d(x W^T)) with each block whose weight is trained, and enters it in `recorded`.
    """
    blocks, _, columns, calls, geometry = layout
    x, unscaled, event = saved
    if True in needed.weights and not x.untyped_storage().resizable():
        x = x.clone()  # NumPy's memory: torch sees no write to it
    g = lines(g)
    calls.end()
    found = None
    if is_joined(unscaled):
        found = called.backward(g, x, layout, scales, needed, unscaled[0], event)
        if found is None:
            unscaled = _apart(saved, layout, len(g))
    errors, of_outputs, of_x = found or _errors(g, unscaled, layout, scales, needed)
    inputs: list[torch.Tensor] | list[Patches] = []
    if geometry is not None:
        inputs = [Patches([x], geometry, cut) for cut in columns]
    elif True in needed.weights:
        inputs = columns_of(x, columns)
    of_scales: list[torch.Tensor | None] = []
    for n, (block, out_scale, gy) in enumerate(zip(blocks, scales, of_outputs, strict=True)):
        if needed.weights[n]:
            block.record(inputs[n % len(columns)], errors[n], event)
            if recorded is not None and type(block) is not Given:
                recorded.append(block)
        of_scales.append(None if gy is None or out_scale is None else gy.sum_to_size(out_scale.shape))
    of_bias = g.sum_to_size(g.shape[1]) if needed.bias else None
    if needed.x and of_x is None:
        if geometry is None:
            of_x = _multiply_back(errors, layout, event)
        else:
            of_x = geometry.fold(x.shape, _patches_back(errors, x, layout, geometry, event))
    return ProductGradients(of_x, of_bias, of_scales)


def _errors(
    g: torch.Tensor, unscaled: Sequence[torch.Tensor], layout: MatrixLayout, scales: Scales, needed: Needed
) -> tuple[list[torch.Tensor], list[torch.Tensor | None], None]:
    """Return the error of each block, and g times its unscaled output where its scale is trained."""
    errors, of_outputs = [], []
    for n, block in enumerate(layout.blocks):
        y = unscaled[n] if needed.scales[n] else None
        d, gy = error_of_block(g, layout.rows[n // len(layout.columns)], scales[n], y)
        if block.is_scaled:
            d *= block.scale
        errors.append(d)
        of_outputs.append(gy)
    return errors, of_outputs, None


def _multiply(
    source: torch.Tensor, bias: torch.Tensor | None, layout: MatrixLayout, scales: Scales, event: int
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    blocks, rows, columns, *_ = layout
    inputs = columns_of(source, columns)
    if bias is not None and bias.numel() != rows[-1][1]:
        raise _of_other_length("bias", bias, rows[-1][1])
    out = torch.empty(len(source), rows[-1][1], dtype=torch.float32, device=source.device)
    unscaled = []
    for n, block in enumerate(blocks):
        row, column = divmod(n, len(columns))
        y = block.product(inputs[column], "forward", event)
        if block.is_scaled:
            y *= block.scale
        unscaled.append(y)
        scale = scales[n]
        if scale is not None and scale.numel() != 1 and scale.numel() != block.shape[0]:
            raise _of_other_length("out_scale", scale, block.shape[0])
        last = column == len(columns) - 1
        add_output(y, scale, out, rows[row], column == 0, bias if last else None)
    return out, unscaled


def _of_other_length(name: str, given: torch.Tensor, n: int) -> MhoError:
    what = f"the {name} has shape {tuple(given.shape)}"
    return complaint("AnalogMatrix.forward", what, f"It must be ({n},), a number for each output")


def _multiply_back(errors: list[torch.Tensor], layout: MatrixLayout, event: int) -> torch.Tensor:
    """Return (samples, in): minus d W through the backward converters, d (samples, out) of each block."""
    blocks, _, columns, *_ = layout
    into_x: list[list[torch.Tensor]] = [[] for _ in columns]
    for n, (block, d) in enumerate(zip(blocks, errors, strict=True)):
        into_x[n % len(columns)].append(_back(block, d, event))
    sums = [sum(reversed(parts[:-1]), parts[-1]) for parts in into_x]
    return sums[0] if len(sums) == 1 else torch.cat(sums, dim=1)


def _patches_back(
    errors: list[torch.Tensor], x: torch.Tensor, layout: MatrixLayout, geometry: Geometry, event: int
) -> Iterator[tuple[Piece, torch.Tensor]]:
    """Yield the pieces of the images x, each with the gradient of its patches."""
    first = 0
    for n, piece in enumerate(geometry.pieces(x.shape)):
        last = first + geometry.places(piece, x.shape)
        yield piece, _multiply_back([d[first:last] for d in errors], layout, event + n * NEXT_CALL)
        first = last


def _back(block: MatrixBlock, d: torch.Tensor, event: int) -> torch.Tensor:
    """Return the backward product; NaN everywhere if d is not finite, so that a scaler of the loss notices.

    A step with such factors is an error.
    """
    try:
        return block.product(d, "backward", event, -1.0)
    except MhoError:
        if torch.isfinite(d).all():
            raise
        return torch.full((len(d), block.shape[1]), torch.nan, dtype=torch.float32, device=d.device)


class _Product(FirstOrder):
    """The functions `forward` and `backward`; `trained` are the weight and the out_scale of each block in turn."""

    @staticmethod
    def forward(
        ctx,
        x: torch.Tensor,
        bias: torch.Tensor | None,
        layout: MatrixLayout,
        how: tuple[bool, bool],
        *trained,
    ):
        out, (source, unscaled, event) = joined_forward(x, bias, layout, trained[1::2], *how)
        ctx.layout, ctx.event, ctx.shape = layout, event, x.shape
        ctx.save_for_backward(source, *unscaled, *trained[1::2])
        return out if x.ndim == 2 or layout.geometry else out.reshape(*x.shape[:-1], out.shape[1])

    @staticmethod
    def backward(ctx, g: torch.Tensor):
        if not torch.is_grad_enabled():
            return _way_back(ctx, g)
        return second(_way_back, ctx, [block.trained[0] for block in ctx.layout.blocks], g)


def _way_back(ctx, g: torch.Tensor, recorded: Recorded | None = None):
    saved, n = ctx.saved_tensors, len(ctx.layout.blocks)
    x, unscaled, scales = saved[0], saved[1 : len(saved) - n], saved[len(saved) - n :]
    x_needed, bias_needed, _, _, *trained = ctx.needs_input_grad
    weights = asked_for(ctx, ctx.layout)
    blocks = ctx.layout.blocks
    for place, block in enumerate(blocks):
        if type(block) is Given:
            weights[place] = trained[2 * place]
    needed = Needed(x_needed, bias_needed, weights, trained[1::2])
    found = backward(g, Saved(x, unscaled, ctx.event), ctx.layout, scales, needed, recorded)
    of_x = found.x
    if of_x is not None and of_x.shape != ctx.shape:
        of_x = of_x.reshape(ctx.shape)
    of_weights = (block.gradient() if type(block) is Given else None for block in blocks)
    of_trained = (part for pair in zip(of_weights, found.scales, strict=True) for part in pair)
    return of_x, found.bias, None, None, *of_trained
