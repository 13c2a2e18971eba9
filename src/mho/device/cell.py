"""The cell: a law, its two gains, its bounds and its reference, and all that follows from them."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mho.base.errors import complaint
from mho.base.records import float_fields
from mho.responses.base import DOUBLE, Response, SymmetricPoint
from mho.responses.search import central_root_per_cell

Value = float | Tensor


class Cells(NamedTuple):
    """One cell, or all cells of a tile: `Device.cell`, `Device.draw` and `Tile.parameters_of_cells` give it.

    A parameter is a number where all cells agree, and a float32 tensor (out, in) where they differ. The weight w is
    always the hidden one: the weight that is read is w less the reference. Sizes of pulses are in units of dw_min.

        up(w) = gain_up q_up(w)      F = (down + up)/2      R = G/F
        down(w) = gain_down q_down(w)      G = (down - up)/2      symmetric points: G(w_sp) = 0

    Args:
        law: q_up and q_down, with the cells' own parameters as its fields.
        gain_up, gain_down: factors on the size of a pulse; one object where both directions have the same gain.
        lower, upper: bounds of the hidden weight [weight units].
        reference: subtracted from the hidden weight when the cell is read [weight units].
    Source: arXiv 2502.06309, eq. (4) for F and G, section 3.1 for R.
    """

    law: Response
    gain_up: Value
    gain_down: Value
    lower: Value
    upper: Value
    reference: Value

    # -- making cells

    @classmethod
    def alike(
        cls, law: Response, gain_up: float = 1.0, gain_down: float = 1.0, reference: Value = 0.0
    ) -> "Cells":
        """Return the cell of a law, between the law's own bounds.

        Raises: MhoError if the law has no bounds to search for, see `Response.bounds`.
        """
        return cls(law, gain_up, gain_down, *law.bounds(), reference)

    @classmethod
    def of(cls, law: Response, values: Mapping[str, Value], reference: Value) -> "Cells":
        """Return the cells of a law with these parameters: the inverse of `values`."""
        both = values.get("gain", 1.0)
        gains = values.get("gain_up", both), values.get("gain_down", both)
        fields = {name: values[name] for name in float_fields(type(law))}
        return cls(law.with_fields(**fields), *gains, values["lower"], values["upper"], reference)

    def change(self, function: Callable[[Tensor], Tensor]) -> "Cells":
        """Return the cells with a function of each plane; numbers stay, and planes that are one object stay one."""
        done: dict[int, Tensor] = {}

        def changed(value: Value) -> Value:
            if not isinstance(value, Tensor):
                return value
            if id(value) not in done:
                done[id(value)] = function(value)
            return done[id(value)]

        fields = {name: changed(value) for name, value in self.fields.items()}
        return Cells(self.law.with_fields(**fields), *map(changed, self[1:]))

    def to(self, dtype: torch.dtype) -> "Cells":
        """Return the cells with planes of another dtype, on the CPU."""
        return self.change(lambda plane: plane.cpu().to(dtype))

    def part(self, here: tuple[slice, slice]) -> "Cells":
        """Return a rectangle of the cells."""
        return self.change(lambda plane: plane[here])

    # -- parameters by name

    @property
    def fields(self) -> dict[str, Value]:
        """The float fields of the law, by name."""
        return {name: getattr(self.law, name) for name in float_fields(type(self.law))}

    @property
    def varying(self) -> bool:
        """Say if any pulse differs from cell to cell: a field of the law or a gain is a plane."""
        return any(isinstance(v, Tensor) for v in (*self.fields.values(), self.gain_up, self.gain_down))

    @property
    def gain(self) -> Value:
        """The gain of both directions, or their mean."""
        return self.gain_up if self.gain_up is self.gain_down else (self.gain_up + self.gain_down) / 2

    @property
    def gains(self) -> tuple[Value, Value]:
        """The gains as symmetric points see them: (1, 1) if both directions share one gain and no cell is stuck."""
        stuck = isinstance(self.gain_up, Tensor) and bool((self.gain_up == 0).any())
        return (1.0, 1.0) if self.gain_up is self.gain_down and not stuck else (self.gain_up, self.gain_down)

    def values(self) -> dict[str, Value]:
        """Return all parameters but the reference, by name; "gain" stands for two gains that are one."""
        both = {"gain_up": self.gain_up, "gain_down": self.gain_down}
        gains = {"gain": self.gain_up} if self.gain_up is self.gain_down else both
        return {**self.fields, **gains, "lower": self.lower, "upper": self.upper}

    def with_value(self, name: str, value: Value) -> "Cells":
        """Return the cells with another value of one parameter; bounds that are the law's follow its fields."""
        if name == "gain":
            return self._replace(gain_up=value, gain_down=value)
        if name not in self.fields:
            return self._replace(**{name: value})  # type: ignore[arg-type]
        law = self.law.with_fields(**{name: value})
        before, after = self.law.bounds(), law.bounds()
        lower, upper = (_followed(*p) for p in zip((self.lower, self.upper), before, after, strict=True))
        return self._replace(law=law, lower=lower, upper=upper)

    # -- pulses

    def up(self, w: Any) -> Any:
        """Return the size of an up pulse at w [dw_min]; w as for `Response.q_up`."""
        return self.gain_up * self.law.q_up(w)

    def down(self, w: Any) -> Any:
        """Return the size of a down pulse at w, a positive number [dw_min]."""
        return self.gain_down * self.law.q_down(w)

    def F(self, w: Any) -> Any:
        """Return the mean size of down and up pulses at w [dw_min]."""
        return self.law.F(w, self.gain_up, self.gain_down)

    def G(self, w: Any) -> Any:
        """Return half the difference of down and up pulses at w [dw_min]."""
        return self.law.G(w, self.gain_up, self.gain_down)

    def R(self, w: Any) -> Any:
        """Return the relative asymmetry G/F at w, in [-1, 1]."""
        return self.G(w) / self.F(w)

    # -- symmetric points

    def symmetric_points(self) -> list[SymmetricPoint]:
        """Return the symmetric points of one cell in rising order; see `Response.symmetric_points`.

        Raises: MhoError if cells differ, or the law is not finite between finite bounds.
        """
        gain_up, gain_down = self.gains
        if isinstance(gain_up, Tensor) or isinstance(gain_down, Tensor):
            what, fix = "gains vary from cell to cell", "use central_sp(), or the nominal cell, Device.cell"
            raise complaint("Cells.symmetric_points", what, fix=fix)
        return self.law.symmetric_points(gain_up, gain_down)

    def central_sp(self) -> Value:
        """Return the symmetric point nearest to 0 of every cell; see `Response.central_sp`.

        Raises: MhoError if a cell has no symmetric point between its bounds.
        """
        return self.law.central_sp(*self.gains)

    def sp_or_nan(self, shape: tuple[int, int]) -> Tensor:
        """Return the symmetric point nearest to 0 of every cell, NaN for cells that have none or are stuck.

        Args:
            shape: (out, in).
        Returns: (out, in) float64 on the CPU [weight units].
        """
        cells = self.to(DOUBLE)
        lower, upper = plane(cells.lower, shape), plane(cells.upper, shape)
        found = central_root_per_cell(lambda w: (cells.up(w), cells.down(w)), lower, upper, torch.Size(shape))
        return found.masked_fill(lower >= upper, float("nan"))


def _followed(held: Value, before: Value, after: Value) -> Value:
    """Return `after` where a bound was the law's, and `held` where a cell has one of its own, as if it is stuck."""
    own = torch.as_tensor(held, dtype=torch.float32) != torch.as_tensor(before, dtype=torch.float32)
    return torch.where(own, held, after) if own.any() else after


def plane(value: Value, shape: tuple[int, int]) -> Tensor:
    """Return a parameter of the cells as (out, in) float64."""
    return torch.as_tensor(value, dtype=DOUBLE).expand(shape)
