"""A weight matrix of any size on sub-tiles; a matrix with a bias, the base of layers that have one matrix."""

import itertools
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import nn
from torch.nn import functional

from mho.base.errors import complaint
from mho.crossbar import Crossbar
from mho.nn.core import checkpoint, compiled, export, wrappers
from mho.nn.core.assigned import is_own
from mho.nn.core.block import Block
from mho.nn.core.calls import Calls
from mho.nn.core.layer import checked, close_fused_inference
from mho.nn.core.product import MatrixLayout, not_floating, product
from mho.nn.core.programmed import Programmed
from mho.nn.core.values import checked_values
from mho.numerics.rng import child_key
from mho.numerics.views import writes
from mho.tile.patches import Geometry
from mho.tile.tile import Tile


class AnalogMatrix(checkpoint.Labelled):
    """y = x W^T for W (out, in), cut into blocks that work side by side; the heart of every analog layer.

    Each block has its own arrays, converters and digital scales; blocks in one row add up digitally. Cuts are
    as even as possible, and no block has more than `max_in` x `max_out` cells.

    Args:
        w0: (out, in) initial weights; hardware: see `mho.Crossbar`; key: 64-bit name of its randomness.
        geometry: if given, the patches of images are multiplied, see `mho.tile.patches`.
    """

    def __init__(
        self, w0: torch.Tensor, hardware: Crossbar, key: int, geometry: Geometry | None = None
    ) -> None:
        super().__init__()
        self.hardware = hardware
        self.rows = _cuts(w0.shape[0], hardware.mapping.max_out)
        self.columns = _cuts(w0.shape[1], hardware.mapping.max_in)
        parts = [w0[top:bottom, left:right] for top, bottom in self.rows for left, right in self.columns]
        blocks = [Block(part, hardware, child_key(key, n)) for n, part in enumerate(parts)]
        self.blocks = nn.ModuleList(blocks)
        self.calls = Calls()
        close_fused_inference(self.calls)
        self.layout = MatrixLayout(blocks, self.rows, self.columns, self.calls, geometry)
        self.handle = compiled.Handle(self.layout)
        wrappers.watch()

    def forward(self, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        """Multiply x (..., in) -> y (..., out), with the bias (out,) added.

        Images (samples, channels, ...) give (places of the kernel, out).
        """
        if torch.compiler.is_compiling():
            if torch.compiler.is_exporting():
                raise export.refused("torch.export")
            if not x.is_floating_point():
                raise not_floating("AnalogMatrix", x)
            return compiled.product(x, self.handle, self.training, bias)
        export.check()
        return product(x, self.layout, self.training, bias)

    @property
    def analog_hardware(self) -> torch.Tensor:
        """(n,) int16: the label of this matrix in a checkpoint, see `mho.nn.core.checkpoint`."""
        parts = [pair for block in self.blocks for pair in block._held.named_modules()]  # type: ignore[union-attr]
        found = {name for name, part in parts if isinstance(part, Tile) and part.reference.numel()}
        given = {
            f"{name}.{parameter}"
            for name, part in parts
            if isinstance(part, Tile)
            for parameter in part.given
        }
        return checkpoint.label(self.hardware, self.shape, sorted(found), sorted(given))

    def __getstate__(self) -> dict:
        return self.__dict__ | {"handle": None}

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self.handle = compiled.Handle(self.layout)

    @property
    def weight(self) -> Programmed:
        """(out, in): the matrix that the network sees, digital scales included.

        A copy; a write to it programs the arrays, see `mho.nn.core.programmed`.
        """
        return Programmed.of(self.read, self.program_, self.version, self.weights())

    def read(self) -> torch.Tensor:
        """Return `weight` as a plain tensor."""
        width = len(self.columns)
        parts = [block.scaled_weight() for block in self.layout.blocks]  # type: ignore[attr-defined]
        return torch.cat([torch.cat(parts[n : n + width], dim=1) for n in range(0, len(parts), width)])

    def weights(self) -> list[nn.Parameter]:
        """Return the parameters that learn the matrix: the weight of each block, and its output scale, if any."""
        return [p for block in self.layout.blocks for p in block.trained if p is not None]

    def version(self) -> int:
        """Return the number of writes to the arrays and to digital scales."""
        blocks: list[Block] = list(self.blocks)  # type: ignore[arg-type]
        for block in blocks:
            block.follow()
        scales = sum(writes(block.out_scale) for block in blocks)
        return scales + sum(block.version for block in blocks)

    def program_(self, weight: torch.Tensor) -> Self:
        """Program the arrays so that the network sees `weight` (out, in), digital scales included.

        The arrays clip it to the bounds of their cells, count a programming, and add write noise, if any. A cell
        whose weight is to stay is not written.
        Raises: MhoError for another shape, NaN or infinity; nothing is written then.
        """
        self.programming(weight)()
        return self

    def programming(self, weight: Any) -> Callable[[], None]:
        """Return the function that writes what `program_` is to write, once all is known to be right."""
        w = checked_values("program_", "weight", weight, self.shape, "(out, in)")
        blocks: list[Block] = list(self.blocks)  # type: ignore[arg-type]
        w = w.to(blocks[0].w.device, torch.float32)
        places = itertools.product(self.rows, self.columns)
        parts = [b.unscaled(w[slice(*r), slice(*c)]) for b, (r, c) in zip(blocks, places, strict=True)]

        def write() -> None:
            for block, part in zip(blocks, parts, strict=True):
                block.program(part)

        return write

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        return self.rows[-1][1], self.columns[-1][1]


class Affine(nn.Module):
    """y = x W^T + b on crossbars: a matrix and a bias, digital or analog.

    `bias` is the digital parameter (out,). With `Mapping(bias="analog")` it is None, and b is the last column of
    the matrix, whose input is 1.

    Args:
        weight: (out, in) initial weights; bias: (out,) or None.
        hardware: see `mho.Crossbar`; key: 64-bit name of its randomness.
        geometry: of a kernel; then x are images, as in `AnalogMatrix`.
    Raises: MhoError if the hardware is not a Crossbar.
    """

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        hardware: Crossbar,
        key: int,
        geometry: Geometry | None = None,
    ) -> None:
        super().__init__()
        self.hardware = checked(self, hardware)
        self.has_column = bias is not None and hardware.mapping.bias == "analog"
        self._pads = self.has_column and geometry is None
        w0 = weight.detach()
        if bias is not None and self.has_column:
            w0 = torch.cat([w0, bias.detach()[:, None]], dim=1)
            geometry = None if geometry is None else geometry._replace(ones=True)
        self.matrix = AnalogMatrix(w0, hardware, key, geometry)
        self._parameters["bias"] = None if self.has_column else _copied(bias)

    def _share(self, bias: torch.Tensor | None, other: "Affine") -> None:
        """Begin on the arrays of another, which has no column of a bias; bias: (out,) digital, or None."""
        super().__init__()
        self.hardware, self.matrix = other.hardware, other.matrix
        self.has_column = self._pads = False
        self._parameters["bias"] = _copied(bias)

    @property
    def bias(self) -> torch.Tensor | None:
        """(out,): the digital parameter, or the analog column as a copy, a write to which programs it; or None."""
        if self.has_column:
            weights = self.matrix.weights()
            return Programmed.of(self._column, lambda b: self.program_(bias=b), self.matrix.version, weights)
        if "bias" not in self._parameters:
            if "bias" in self.__dict__:  # computed, as by pruning
                return self.__dict__["bias"]
            raise AttributeError(f"{type(self).__name__} has no bias")  # as while it is being parametrized
        return self._parameters["bias"]

    @bias.setter
    def bias(self, value: torch.Tensor | None) -> None:
        if not self.has_column and not isinstance(value, (nn.Parameter, type(None))):
            self.__dict__["bias"] = value
        elif not self.has_column:
            self.__dict__.pop("bias", None)
            self._parameters["bias"] = value  # type: ignore[assignment]
        elif value is None:
            what, fix = "an analog bias is a column of the arrays", "write zeros: nn.init.zeros_(layer.bias)"
            raise complaint("layer.bias = None", what, fix=fix)
        elif not is_own(value, (self.matrix.rows[-1][1],), self.matrix.version):
            self.program_(bias=value)

    def _column(self) -> torch.Tensor:
        return self.matrix.read()[:, -1]

    def program_(self, weight: torch.Tensor | None = None, bias: torch.Tensor | None = None) -> Self:
        """Program the arrays with `weight` (out, in), and write `bias` (out,), if given; see `AnalogMatrix`.

        A digital bias is written as torch writes it, an analog one is a column of the arrays.
        Raises: MhoError for other shapes, NaN or infinity, or for a bias that the layer does not have.
        """
        self.programming(weight, bias)()
        return self

    def programming(self, weight: Any, bias: Any) -> Callable[[], None]:
        """Return the function that writes what `program_` is to write, once all is known to be right."""
        out, n_in = self.matrix.shape
        if bias is not None:
            if not self.has_column and self.bias is None:
                raise complaint("program_(bias)", "the layer has no bias", fix="make it with bias=True")
            bias = checked_values("program_", "bias", bias, (out,))
        if self.has_column:
            before = self.matrix.read()
            shape = out, n_in - 1
            w = before[:, :-1] if weight is None else checked_values("program_", "weight", weight, shape)
            b = before[:, -1] if bias is None else bias
            return self.matrix.programming(torch.cat([w.to(before), b.to(before)[:, None]], dim=1))
        verbs: list[Callable[[], Any]] = [] if weight is None else [self.matrix.programming(weight)]
        own = self.bias
        if bias is not None and own is not None:
            verbs.append(lambda: own.detach().copy_(bias))

        def write() -> None:
            for verb in verbs:
                verb()

        return write

    def read_weight(self) -> torch.Tensor:
        """Return (out, in) as a plain tensor, without the column of an analog bias."""
        return self.weight_and_bias()[0]

    def multiply(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply x (..., in) -> (..., out); or images (samples, channels, ...) -> (places of the kernel, out)."""
        if x.dtype is not torch.float32 and not x.is_floating_point():
            raise not_floating(type(self).__name__, x)
        bias = None if self.has_column else self.bias
        return self.matrix(functional.pad(x, (0, 1), value=1.0) if self._pads else x, bias)

    def weight_and_bias(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return (out, in) and (out,) or None: what the layer computes with, digital scales included; copies."""
        w = self.matrix.read()
        if self.has_column:
            return w[:, :-1].contiguous(), w[:, -1].clone()
        return w, None if self.bias is None else self.bias.detach().clone()


def _copied(bias: torch.Tensor | None) -> nn.Parameter | None:
    return None if bias is None else nn.Parameter(bias.detach().clone())


def _cuts(n: int, most: int | None) -> list[tuple[int, int]]:
    parts = 1 if most is None else -(-n // most)
    edges = [n * i // parts for i in range(parts + 1)]
    return list(itertools.pairwise(edges))
