"""The arrays of a layer by name, for code that reads or sets hidden weights and parameters of cells.

    arrays = layer.arrays()                  # {"W": LayerArray}; of an LSTM {"weight_ih_l0.W": ...}
    arrays["W"].hidden                       # (out, in), all sub-tiles together
    arrays["W"].hidden = 0.1 * torch.randn(10, 784)
    arrays["W"].hidden[0].zero_()            # a write to what was read is a programming, too
    arrays["W"]["tau_max"]                   # the bound of each cell
    arrays["W"]["gain"] = gains              # also where the device has no spread of it

A name is that of the algorithm's array; of composed cells each device is an array, such as "W.plus" of a pair.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from mho.base.errors import MhoError, complaint, did_you_mean
from mho.nn.core.programmed import Programmed
from mho.tile import parameters
from mho.tile.tile import Tile

Place = tuple[slice, slice, Tile, Any]
"""The rows and columns of a layer's matrix that a tile holds, the tile and its block."""


class LayerArray:
    """One array of a layer: a view of all its tiles as one matrix (out, in).

    Groups of a convolution lie below each other. A matrix that is cut into sub-tiles is one array here. What is
    read is a copy, and a write to it, like an assignment, goes to the tiles at once.

    Args:
        name: of the array; shape: (out, in); places: its tiles.
    """

    __slots__ = ("_places", "name", "shape")

    def __init__(self, name: str, shape: tuple[int, int], places: Sequence[Place]) -> None:
        self.name, self.shape, self._places = name, shape, tuple(places)

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """The tiles that hold it, row by row."""
        for *_, block in self._places:
            block.follow()
        return tuple(tile for _, _, tile, _ in self._places)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters of its cells, which `[name]` takes: fields of the law, gains, bounds and
        "reference"."""
        return parameters.names_of(self.tiles[0])

    @property
    def hidden(self) -> Programmed:
        """Hidden weights (out, in) [weight units]; a write programs them, clipped to the cells' bounds."""
        return self._view(".hidden", lambda tile: tile.cells, functools.partial(setattr, self, "hidden"))

    @hidden.setter
    def hidden(self, values: torch.Tensor | float) -> None:
        self._write("hidden", values, lambda tile, values: lambda: tile.program_hidden(values))

    def __getitem__(self, name: str) -> Programmed:
        """Return a parameter of the cells (out, in); a write sets it.

        Raises: MhoError if they have no such parameter.
        """
        self._check(name)
        read = functools.partial(parameters.value_of, name=name)
        return self._view(f"[{name!r}]", read, functools.partial(self.__setitem__, name))

    def __setitem__(self, name: str, values: torch.Tensor | float) -> None:
        """Set a parameter of the cells: (out, in), or one number for all. See `mho.tile.parameters`."""
        self._check(name)
        self._write(name, values, functools.partial(parameters.put, name=name))

    def __repr__(self) -> str:
        return f"LayerArray({self.name!r}, out={self.shape[0]}, in={self.shape[1]}, names={self.names})"

    def _check(self, name: str) -> None:
        if name not in self.names:
            raise self._wrong(
                f"[{name!r}]", "its cells have no such parameter", did_you_mean(name, self.names)
            )

    def _view(
        self, name: str, part: Callable[[Tile], torch.Tensor], write: Callable[[torch.Tensor], None]
    ) -> Programmed:
        words = f"arrays()[{self.name!r}]{name}"
        return Programmed.of(lambda: self._read(part), write, self._version, part=words)

    def _version(self) -> int:
        return sum(tile.version for tile in self.tiles)

    def _read(self, part: Callable[[Tile], torch.Tensor]) -> torch.Tensor:
        whole = torch.empty(self.shape, dtype=torch.float32, device=self.tiles[0].cells.device)
        for rows, columns, tile, _ in self._places:
            whole[rows, columns] = part(tile)
        return whole

    def _write(self, name: str, values: Any, write: Callable[..., Callable[[], None]]) -> None:
        if isinstance(values, torch.Tensor) and values.is_complex():
            raise self._wrong(f".{name} = ...", "it holds complex numbers")
        try:
            whole = torch.as_tensor(values, dtype=torch.float32, device=self.tiles[0].cells.device).detach()
        except (TypeError, ValueError, RuntimeError) as error:
            raise self._wrong(f".{name} = ...", f"it is {values!r:.60}, no numbers") from error
        if whole.ndim and tuple(whole.shape) != self.shape:
            raise self._wrong(f".{name} = ...", f"it has shape {tuple(whole.shape)}; it must be {self.shape}")
        if not torch.isfinite(whole).all():
            raise self._wrong(f".{name} = ...", "it holds NaN or infinity")
        whole = whole.expand(self.shape)
        verbs = [write(tile, values=whole[rows, columns]) for rows, columns, tile, _ in self._places]
        for verb in verbs:  # all parts are right
            verb()

    def _wrong(self, where: str, what: str, fix: str = "") -> MhoError:
        return complaint(f"arrays()[{self.name!r}]{where}", what, fix=fix)


def arrays_of(matrices: Iterable[Any], prefix: str = "") -> dict[str, LayerArray]:
    """Return the arrays of matrices (`mho.nn.core.matrix.AnalogMatrix`) that lie below each other, by name."""
    found: dict[str, list[Place]] = {}
    top, width = 0, 0
    for matrix in matrices:
        cuts = [(rows, columns) for rows in matrix.rows for columns in matrix.columns]
        for block, ((first, last), (left, right)) in zip(matrix.blocks, cuts, strict=True):
            for name, part in block.state.named_modules():
                if isinstance(part, Tile):
                    place = slice(top + first, top + last), slice(left, right), part, block
                    found.setdefault(prefix + name, []).append(place)
        top, width = top + matrix.rows[-1][1], matrix.columns[-1][1]
    return {name: LayerArray(name, (top, width), places) for name, places in found.items()}
