"""Response laws: two functions of w, the sizes of an up and of a down pulse, and all that follows from them."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Self, overload

import torch
from torch import Tensor

from mho.base.errors import complaint, did_you_mean
from mho.base.outside import outside
from mho.base.records import Record, float_fields
from mho.responses import search
from mho.responses.fitting import Fitting

DOUBLE = torch.float64
OF_CELLS = ("gain", "gain_up", "gain_down", "lower", "upper", "reference")
"""The parameters of a cell beside the fields of its law, see `mho.device.cell.Cells`."""


class SymmetricPoint(NamedTuple):
    """A weight at which an up pulse and a down pulse have the same size.

    Args:
        w: the weight [weight units].
        attracts: True if alternating up and down pulses bring w here: G rises through zero, and such a
            pair of pulses moves w by -2 dw_min G(w).
        rate: how the distance to an attracting point shrinks with the number of pulses: "exponential" if
            G has a slope there, "algebraic" (as a power of that number) if it is flat.
    """

    w: float
    attracts: bool
    rate: Literal["exponential", "algebraic"]


class Response(Record, named=False):
    """The change of w by one pulse, in units of dw_min: q_up(w) upwards, q_down(w) downwards.

    A subclass lists its parameters as `float` fields with defaults, and writes the methods `up(self, w)` and
    `down(self, w)` as torch expressions of w and the fields; nothing else is needed. Fields of type float may
    vary from cell to cell; fields of other types are constants of the law. Inside `up` and `down` w and the
    float fields are tensors, whatever the caller passed: call `q_up` and `q_down` instead. A field may have any
    name but those of a law's methods and of the other parameters of a cell (`OF_CELLS`), which are errors.

    A law may also say how steps scatter from pulse to pulse, in `noisy_up(self, w, z)` and `noisy_down`: the step
    of a pulse whose standard normal number is z, with mean `up(w)` or `down(w)` over z ~ N(0, 1). A device uses
    them with c2c="law".
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]
            if field.name in (*OF_CELLS, "self") or hasattr(Response, field.name):
                taken = (
                    "a parameter that every cell has" if field.name in OF_CELLS else "a method of every law"
                )
                taken = "the law itself in its methods" if field.name == "self" else taken
                what = f"the field {field.name} has the name of {taken}"
                raise complaint(f"class {cls.__name__}(Response)", what, fix="give it another name")

    fitting: ClassVar[Fitting | None] = None
    """The fields that measured data determine; None for a law that `mho.fit` does not try."""

    def up(self, w: Tensor) -> Tensor:
        """Return the size of an up pulse: the law that a subclass writes, positive between the bounds."""
        raise self._missing("up")

    def down(self, w: Tensor) -> Tensor:
        """Return the size of a down pulse: the law that a subclass writes, positive between the bounds."""
        raise self._missing("down")

    def noisy_up(self, w: Tensor, z: Tensor) -> Tensor:
        """Return the size of an up pulse with the law's own cycle-to-cycle noise, if a subclass defines any."""
        raise self._missing("noisy_up")

    def noisy_down(self, w: Tensor, z: Tensor) -> Tensor:
        """Return the size of a down pulse with the law's own cycle-to-cycle noise."""
        raise self._missing("noisy_down")

    @property
    def is_noisy(self) -> bool:
        """True if the law defines noise of its own: both `noisy_up` and `noisy_down`."""
        cls = type(self)
        return cls.noisy_up is not Response.noisy_up and cls.noisy_down is not Response.noisy_down

    def _missing(self, method: str) -> Exception:
        where = f"{type(self).__name__}.{method}"
        need = "A response defines up(w) and down(w)" if "noisy" not in method else ""
        return complaint(where, "not defined", need)

    @overload
    def q_up(self, w: float) -> float: ...
    @overload
    def q_up(self, w: Tensor, z: Tensor | None = None) -> Tensor: ...
    def q_up(self, w, z=None):
        """Return the size of an up pulse at w, in units of dw_min.

        Args:
            z: None for the mean step, or a tensor of w's dtype and shape: the step of the pulse with this standard
                normal number, if the law has noise of its own.
            w: a number (evaluated in float64; a number comes back) or a floating-point tensor of any shape
                (evaluated in its dtype on its device; the same shape comes back, or (out, in) where fields
                vary from cell to cell).

        Raises:
            MhoError: w is a number and q_up(w) is not finite. Tensors are not checked.
        """
        return self._evaluate("up", w) if z is None else self._evaluate("noisy_up", w, z)

    @overload
    def q_down(self, w: float) -> float: ...
    @overload
    def q_down(self, w: Tensor, z: Tensor | None = None) -> Tensor: ...
    def q_down(self, w, z=None):
        """Return the size of a down pulse at w, a positive number; arguments as for `q_up`."""
        return self._evaluate("down", w) if z is None else self._evaluate("noisy_down", w, z)

    def F(self, w: Any, gain_up: float | Tensor = 1.0, gain_down: float | Tensor = 1.0) -> Any:
        """Return the part that up and down pulses share, (down + up)/2.

        Here up = gain_up q_up and down = gain_down q_down.
        Source: arXiv 2502.06309, eq. (4).
        """
        up, down = self._sizes(w, gain_up, gain_down)
        return (down + up) / 2

    def G(self, w: Any, gain_up: float | Tensor = 1.0, gain_down: float | Tensor = 1.0) -> Any:
        """Return the part in which up and down pulses differ, (down - up)/2, with gains as for `F`.

        Source: arXiv 2502.06309, eq. (4).
        """
        up, down = self._sizes(w, gain_up, gain_down)
        return (down - up) / 2

    def _sizes(self, w: Any, gain_up: float | Tensor, gain_down: float | Tensor) -> tuple[Any, Any]:
        """Return the sizes of an up and a down pulse; a gain that is the number 1 costs nothing."""
        sizes = (self.q_up(w), gain_up), (self.q_down(w), gain_down)
        up, down = (q if isinstance(gain, float) and gain == 1 else gain * q for q, gain in sizes)
        return up, down

    def bounds(self) -> tuple[float | Tensor, float | Tensor]:
        """Return the weights (lower, upper) at which pulses stop: the zeros of down below 0 and of up above 0.

        They are searched for numerically between 1e-4 and 1e4 (NaN counts as a stop); where there is none,
        the bound is -inf or inf. If fields vary from cell to cell, each bound is a tensor in the fields'
        dtype (or a number, where a law overrides this method and the bound is the same for all cells).
        A law that knows its bounds overrides this method.

        Raises:
            MhoError: up or down is not positive at w = 0, where the search starts.
        """
        return self._bound("down", -1), self._bound("up", 1)

    def symmetric_points(self, gain_up: float = 1.0, gain_down: float = 1.0) -> list[SymmetricPoint]:
        """Return the roots of G strictly inside the bounds, in rising order.

        With gains, G is that of gain_up q_up and gain_down q_down: of a device that is stronger one way.
        If G is zero everywhere, every point is symmetric and the list is empty. Roots are told apart if they
        lie further from each other than 1/2000 of the range (1% of w if a bound is infinite); a root that G
        touches without crossing may be missed. Of a stretch on which G is zero one point is returned.

        Raises:
            MhoError: fields vary from cell to cell, or the law is not finite inside finite bounds.
        """
        where = f"{type(self).__name__}.symmetric_points"
        if self._cell_shape():
            raise complaint(where, "fields vary from cell to cell", fix="use central_sp() or the nominal law")
        lower, upper = (float(b) for b in self.bounds())
        grid = search.interior(lower, upper)
        f, g = self.F(grid, gain_up, gain_down), self.G(grid, gain_up, gain_down)
        finite = f.isfinite() & g.isfinite()
        if lower > -float("inf") and upper < float("inf") and not finite.all():
            w = grid[~finite][0].item()
            raise complaint(where, f"the law is not finite at w = {w}, inside its bounds")
        roots = search.roots(lambda w: self.G(w, gain_up, gain_down), grid[finite], f[finite])
        return [SymmetricPoint(r.w, r.rises, "exponential" if r.sloped else "algebraic") for r in roots]

    def central_sp(self, gain_up: float | Tensor = 1.0, gain_down: float | Tensor = 1.0) -> float | Tensor:
        """Return the symmetric point nearest to 0: a number, or one per cell where fields vary from cell to cell.

        Gains of the two directions, numbers or (out, in), count as in `symmetric_points`.

        It is 0 if every point is symmetric. Two roots of one cell closer than 1/100 of its range (a quarter
        of w if a bound is infinite) are not told apart.

        Raises:
            MhoError: the law, or one of the cells, has no symmetric point between its bounds.
        """
        where = f"{type(self).__name__}.central_sp"
        gains = [torch.as_tensor(gain, dtype=DOUBLE) for gain in (gain_up, gain_down)]
        shape = torch.broadcast_shapes(self._cell_shape(), *(gain.shape for gain in gains))
        means = [float(gain.mean()) for gain in gains]
        points = _points(self.with_fields(**self._means()), *means)
        if not shape:
            if not points and self.G(0.0, *gains) != 0:
                raise complaint(where, "up and down pulses have the same size nowhere between the bounds")
            return min((p.w for p in points), key=abs, default=0.0)
        lower, upper = (torch.as_tensor(b, dtype=DOUBLE) for b in self.bounds())
        found = search.central_root_per_cell(lambda w: self._sizes(w, *gains), lower, upper, shape)
        if found.isnan().any():
            cell = tuple(found.isnan().nonzero()[0].tolist())
            raise complaint(where, f"cell {cell} has no symmetric point between its bounds")
        return found.to(self._tensors()[0].dtype if self._tensors() else torch.float32)

    def with_fields(self, **fields: float | Tensor) -> Self:
        """Return the same law with other values of its float fields, which may be tensors of shape (out, in).

        Nothing is checked but the names: this is how a device evaluates its law for all of its cells.

        Raises: MhoError if a name is not a float field of the law.
        """
        cls = type(self)
        for name in fields:
            if name not in float_fields(cls):
                where = f"{cls.__name__}.with_fields({name}=...)"
                raise complaint(where, did_you_mean(name, float_fields(cls)))
        return self._view(fields)

    def _view(self, fields: dict[str, Any]) -> Self:
        view = object.__new__(type(self))
        view.__dict__.update(vars(self) | fields)
        return view

    def _values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in float_fields(type(self))}

    def _tensors(self) -> list[Tensor]:
        return [v for v in self._values().values() if isinstance(v, Tensor)]

    def _means(self) -> dict[str, float]:
        """Return one number for every float field: nearly the nominal cell."""
        return {n: float(torch.as_tensor(v, dtype=DOUBLE).mean()) for n, v in self._values().items()}

    def _cell_shape(self) -> torch.Size:
        """Return the joint shape of the fields that vary from cell to cell; () if none does."""
        return torch.broadcast_shapes(*(v.shape for v in self._tensors()))

    def _evaluate(self, method: str, w: Any, *z: Tensor) -> Any:
        """Return up or down at w (and z), the float fields having been made tensors of w's dtype and device."""
        is_tensor = isinstance(w, Tensor)
        x = w if is_tensor else torch.tensor(float(w), dtype=DOUBLE)
        where = f"{type(self).__name__}.{method}"
        if not x.is_floating_point():
            raise complaint(where, f"w has dtype {x.dtype}", "w must be floating point", "pass w.float()")
        values = {n: _like(x, v) for n, v in self._values().items()}
        q = _like(x, getattr(self._view(values), method)(x, *z))
        if is_tensor and q.shape == x.shape and all(v.shape in (x.shape, ()) for v in values.values()):
            return q
        shape = torch.broadcast_shapes(q.shape, x.shape, self._cell_shape())
        if is_tensor or shape:
            return q.expand(shape)
        if not q.isfinite():
            raise complaint(where, f"returned {q.item()} for w = {w}", "It must be finite")
        return q.item()

    def _bound(self, method: str, sign: int) -> float | Tensor:
        """Return the first zero of up or down on one side of 0."""
        if not (self._evaluate(method, torch.zeros((), dtype=DOUBLE)) > 0).all():
            where = f"{type(self).__name__}.bounds"
            need = "The search for bounds starts at w = 0"
            fix = "define bounds(self) for a law whose range does not contain 0"
            raise complaint(where, f"{method}(0) is not positive", need, fix)
        shape = self._cell_shape()
        if not shape:
            return search.first_zero(lambda w: self._evaluate(method, w), sign)
        nominal, like = self.with_fields(**self._means()), self._tensors()[0]
        near = search.first_zero(lambda w: nominal._evaluate(method, w), sign)
        zeros = search.first_zero_per_cell(
            lambda w: self._evaluate(method, w), sign, shape, near, like.device
        )
        return search.rounded_inside(lambda w: self._evaluate(method, w), zeros, like.dtype)


def _points(law: Response, gain_up: float, gain_down: float) -> Sequence[SymmetricPoint]:
    """Return the symmetric points of a law, which is searched once where nothing but fixed values decides them."""
    read = outside(type(law))
    try:
        key = law, gain_up, gain_down, tuple(value for _, value in read)
        hash(key)
    except TypeError:  # a field is a list, say
        return law.symmetric_points(gain_up, gain_down)
    return _searched(*key) if all(r.plain for r in read) else law.symmetric_points(gain_up, gain_down)


@functools.lru_cache(maxsize=64)
def _searched(law: Response, gain_up: float, gain_down: float, read: tuple) -> tuple[SymmetricPoint, ...]:
    """Return the symmetric points; all arguments name the answer."""
    return tuple(law.symmetric_points(gain_up, gain_down))


def _like(x: Tensor, value: float | Tensor) -> Tensor:
    """Return a value as a tensor of x's dtype on x's device."""
    if isinstance(value, Tensor) and value.dtype == x.dtype and value.device == x.device:
        return value
    return torch.as_tensor(value, dtype=x.dtype, device=x.device)
