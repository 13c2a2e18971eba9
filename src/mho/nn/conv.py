"""Analog convolutions in one, two and three dimensions."""

from collections.abc import Sequence
from typing import Any, Self, cast

import torch
from torch import nn
from torch.nn import functional

from mho.base.errors import complaint
from mho.crossbar import Crossbar
from mho.nn.core.assigned import is_own
from mho.nn.core.export import leaf
from mho.nn.core.layer import ANALOG_OF, AnalogLayer, checked, words_of
from mho.nn.core.matrix import Affine
from mho.nn.core.product import not_floating
from mho.nn.core.programmed import Programmed
from mho.nn.core.values import checked_values
from mho.numerics.rng import child_key
from mho.tile.patches import Geometry

Numbers = int | Sequence[int]


class _Convolution(AnalogLayer):
    """A convolution of any number of dimensions: one `Affine` for each group of channels."""

    digital: type[nn.Module]  # the torch layer
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Numbers,
        stride: Numbers = 1,
        padding: str | Numbers = 0,
        dilation: Numbers = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        hardware: Crossbar,
        key: int | None = None,
    ) -> None:
        shape = in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode
        self._born(cast(Any, self.digital)(*shape), hardware, key)

    def _begin(self, digital: Any, hardware: Crossbar, key: int) -> None:
        super().__init__()
        conv, self.hardware = digital, checked(self, hardware)
        self.in_channels, self.out_channels, self.groups = conv.in_channels, conv.out_channels, conv.groups
        self.kernel_size, self.stride, self.dilation = conv.kernel_size, conv.stride, conv.dilation
        self.padding, self.padding_mode = conv.padding, conv.padding_mode
        self.output_padding = conv.output_padding
        self._padding: list[int] = conv._reversed_padding_repeated_twice
        self.geometry = Geometry(self.kernel_size, self.stride, self.dilation)
        weights = conv.weight.detach().reshape(self.groups, self.out_channels // self.groups, -1)
        biases = [None] * self.groups if conv.bias is None else conv.bias.detach().chunk(self.groups)
        keys = [key if self.groups == 1 else child_key(key, f"group {n}") for n in range(self.groups)]
        parts = zip(weights, biases, keys, strict=True)
        self.parts = nn.ModuleList(Affine(w, b, hardware, k, self.geometry) for w, b, k in parts)

    def to_digital(self) -> nn.Module:
        weights, biases = zip(*(part.weight_and_bias() for part in self._affine()), strict=True)
        conv = cast(Any, self.digital)(
            self.in_channels, self.out_channels, self.kernel_size, self.stride, self.padding, self.dilation,
            self.groups, biases[0] is not None, self.padding_mode, device="meta",
        )  # fmt: skip
        conv.weight = nn.Parameter(torch.cat(weights).reshape(conv.weight.shape))
        conv.bias = None if conv.bias is None else nn.Parameter(torch.cat(biases))
        return conv

    @property
    def weight(self) -> torch.Tensor:
        """(out_channels, in_channels / groups, *kernel_size), digital scales included.

        A copy; a write to it programs the arrays, and so does an assignment.
        """
        return Programmed.of(self._read_weight, self.program_, self._writes, self._weights())

    @weight.setter
    def weight(self, value: torch.Tensor) -> None:
        if not is_own(
            value, (self.out_channels, self.in_channels // self.groups, *self.kernel_size), self._writes
        ):
            self.program_(value)

    def program_(self, weight: torch.Tensor | None = None, bias: torch.Tensor | None = None) -> Self:
        """Program the arrays with `weight`, and write `bias` (out_channels,), if given; see `Affine.program_`."""
        name = f"{type(self).__name__}.program_"
        weights: Any = [None] * self.groups
        biases: Any = weights
        if weight is not None:
            shape = self.out_channels, self.in_channels // self.groups, *self.kernel_size
            weight = checked_values(name, "weight", weight, shape)
            weights = weight.reshape(self.groups, self.out_channels // self.groups, -1)
        if bias is not None:
            biases = checked_values(name, "bias", bias, (self.out_channels,)).chunk(self.groups)
        parts = zip(self._affine(), weights, biases, strict=True)
        verbs = [part.programming(w, b) for part, w, b in parts]
        for verb in verbs:  # all parts are right
            verb()
        return self

    @property
    def bias(self) -> torch.Tensor | None:
        """(out_channels,), or None; of groups, and of an analog bias, a copy, writes to which write the bias."""
        parts = self._affine()
        if self.groups == 1 or parts[0].bias is None:
            return parts[0].bias
        trained = [p for part in parts for p in (part.matrix.weights() if part.has_column else [part.bias])]
        return Programmed.of(self._read_bias, lambda b: self.program_(bias=b), self._writes, trained)  # type: ignore[arg-type]

    @bias.setter
    def bias(self, value: torch.Tensor | None) -> None:
        parts = self._affine()
        if self.groups == 1 and not parts[0].has_column:
            parts[0].bias = value
        elif value is not None and parts[0].bias is not None:
            self.program_(bias=value)
        elif value is None and parts[0].has_column:
            what, fix = "an analog bias is a column of the arrays", "write zeros: nn.init.zeros_(layer.bias)"
            raise complaint("layer.bias = None", what, fix=fix)
        else:
            chunks = [None] * self.groups if value is None else value.detach().chunk(self.groups)
            for part, chunk in zip(parts, chunks, strict=True):
                part.bias = None if chunk is None else nn.Parameter(chunk.clone())

    def _weights(self) -> list[nn.Parameter]:
        return [w for part in self._affine() for w in part.matrix.weights()]

    def _read_bias(self) -> torch.Tensor:
        biases = [part.weight_and_bias()[1] for part in self._affine()]
        return torch.cat([b for b in biases if b is not None])

    def _matrices(self) -> dict[str, list[Any]]:
        return {"": [part.matrix for part in self._affine()]}

    def _read_weight(self) -> torch.Tensor:
        weights = [part.read_weight() for part in self._affine()]
        return torch.cat(weights).reshape(self.out_channels, -1, *self.kernel_size)

    def _writes(self) -> int:
        written = (p._version for part in self._affine() for p in part._parameters.values() if p is not None)
        return sum(part.matrix.version() for part in self._affine()) + sum(written)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve x (samples, in_channels, *spatial) or (in_channels, *spatial) -> the same with out_channels."""
        if not isinstance(x, torch.Tensor):
            return leaf(self, x)
        n = len(self.kernel_size)
        if x.ndim not in (n + 1, n + 2) or x.shape[-n - 1] != self.in_channels:
            spatial = ", ".join(("depth", "height", "width")[-n:])
            raise complaint(
                f"{type(self).__name__}.forward",
                f"x has shape {tuple(x.shape)}",
                f"It must be (samples, {self.in_channels}, {spatial}) or the same without samples",
            )
        if not x.is_floating_point():
            raise not_floating(type(self).__name__, x)
        images = self._padded(x if x.ndim == n + 2 else x[None])
        parts = self._affine()
        outputs = self.geometry.outputs(images.shape[2:])
        if min(outputs) < 1:
            what = (
                f"the padded input is {tuple(images.shape[2:])}, smaller than the kernel {self.kernel_size}"
            )
            raise complaint(f"{type(self).__name__}.forward", what, f"its dilation is {self.dilation}")
        by_group = images.chunk(self.groups, dim=1)
        rows = [part.multiply(group) for part, group in zip(parts, by_group, strict=True)]
        y = rows[0] if self.groups == 1 else torch.cat(rows, dim=1)
        y = y.reshape(len(images), *outputs, self.out_channels).movedim(-1, 1)
        return y if x.ndim == n + 2 else y[0]

    def _padded(self, images: torch.Tensor) -> torch.Tensor:
        if not any(self._padding):
            return images
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        return functional.pad(images, self._padding, mode)

    def _affine(self) -> list[Affine]:
        return list(self.parts)  # type: ignore[arg-type]

    def extra_repr(self) -> str:
        words = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        )
        for name, plain in (("padding", 0), ("dilation", 1)):
            value = getattr(self, name)
            words += f", {name}={value}" if isinstance(value, str) or {*value} != {plain} else ""
        words += f", groups={self.groups}" if self.groups > 1 else ""
        words += "" if self._affine()[0].bias is not None else ", bias=False"
        words += "" if self.padding_mode == "zeros" else f", padding_mode={self.padding_mode}"
        return f"{words}, {words_of(self.hardware)}"


class AnalogConv1d(_Convolution):
    """`torch.nn.Conv1d` on crossbars; see `AnalogConv2d`."""

    digital = nn.Conv1d


class AnalogConv2d(_Convolution):
    """`torch.nn.Conv2d` on crossbars: each place of the kernel is one sample for a matrix (out_channels,
    in_channels * kernel); groups have a matrix each.

    The patches are cut out of the images a few at a time, forward, backward and for the update.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode: as in
            torch.nn.Conv2d; initial weights too.
        hardware: of the layer, see `mho.Crossbar`; with `Mapping(bias="analog")` the bias is a column of cells.
        key: 64-bit name of its randomness; None draws one from torch's generator, see `mho.nn`.
    Raises: MhoError for an input of another shape.
    Source: the unfolding of images onto a crossbar, Gokmen et al., Front. Neurosci. 11:538 (2017), section 2.
    """

    digital = nn.Conv2d


class AnalogConv3d(_Convolution):
    """`torch.nn.Conv3d` on crossbars; see `AnalogConv2d`."""

    digital = nn.Conv3d


for _layer in (AnalogConv1d, AnalogConv2d, AnalogConv3d):
    ANALOG_OF[_layer.digital] = _layer.from_digital
