"""A weight matrix of any size, on sub-tiles of at most `max_in` x `max_out` cells."""

import itertools

import torch
from torch import nn

from mho.crossbar import Crossbar
from mho.nn.attention import fast_path
from mho.nn.core import checkpoint, compiled
from mho.nn.core.block import Block
from mho.nn.core.calls import Calls
from mho.nn.core.product import Layout, product
from mho.numerics.rng import child_key
from mho.tile.patches import Geometry
from mho.tile.tile import Tile


class AnalogMatrix(nn.Module):
    """y = x W^T for W (out, in), cut into blocks that work side by side; the heart of every analog layer.

    Each block has its own arrays, converters and digital scales; blocks in one row add up digitally. Cuts
    are as even as possible.

    Args:
        w0: (out, in) initial weights; hardware: see `mho.Crossbar`; key: 64-bit name of its randomness.
        geometry: if given, what is multiplied are the patches of images, see `mho.tile.patches`.
    """

    def __init__(
        self, w0: torch.Tensor, hardware: Crossbar, key: int = 0, geometry: Geometry | None = None
    ) -> None:
        super().__init__()
        self.hardware = hardware
        self.rows = _cuts(w0.shape[0], hardware.mapping.max_out)
        self.columns = _cuts(w0.shape[1], hardware.mapping.max_in)
        parts = [w0[top:bottom, left:right] for top, bottom in self.rows for left, right in self.columns]
        blocks = [Block(part, hardware, child_key(key, n)) for n, part in enumerate(parts)]
        self.blocks = nn.ModuleList(blocks)
        self.calls = Calls()
        fast_path.close(self.calls)
        self.layout = Layout(blocks, self.rows, self.columns, self.calls, geometry)
        self.handle = compiled.Handle(self.layout)

    def forward(self, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        """x (..., in) -> y (..., out), with the bias (out,) added; or images (samples, channels, ...) -> (places of
        the kernel, out)."""
        if torch.compiler.is_compiling():
            return compiled.product(x, self.handle, self.training, bias)
        return product(x, self.layout, self.training, bias)

    @property
    def analog_hardware(self) -> torch.Tensor:
        """(n,) uint8: the text in a checkpoint that says what this matrix is made of, see `checkpoint`."""
        tiles = [pair for block in self.blocks for pair in block.state.named_modules()]  # type: ignore[union-attr]
        references = {name for name, part in tiles if isinstance(part, Tile) and part.reference.numel()}
        return checkpoint.label(self.hardware, (self.rows[-1][1], self.columns[-1][1]), sorted(references))

    def _save_to_state_dict(self, destination, prefix, keep_vars) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + checkpoint.NAME] = self.analog_hardware

    def _load_from_state_dict(self, state_dict, prefix, metadata, strict, missing_keys, *args) -> None:
        checkpoint.check(self, state_dict, prefix)
        given = dict(state_dict)
        if given.pop(prefix + checkpoint.NAME, None) is None and strict:
            hint = "" if any(key.startswith(prefix) for key in given) else checkpoint.DIGITAL
            missing_keys.append(prefix + checkpoint.NAME + hint)
        super()._load_from_state_dict(given, prefix, metadata, strict, missing_keys, *args)

    def __getstate__(self) -> dict:
        return self.__dict__ | {"handle": None}

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self.handle = compiled.Handle(self.layout)

    @property
    def weight(self) -> torch.Tensor:
        """(out, in): the matrix that the network sees, digital scales included; a copy."""
        width = len(self.columns)
        parts = [block.scaled_weight() for block in self.blocks if isinstance(block, Block)]
        return torch.cat([torch.cat(parts[n : n + width], dim=1) for n in range(0, len(parts), width)])


def _cuts(n: int, most: int) -> list[tuple[int, int]]:
    parts = -(-n // most)
    edges = [n * i // parts for i in range(parts + 1)]
    return list(itertools.pairwise(edges))
