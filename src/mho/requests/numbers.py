"""A stand-in for a float32 tensor: the arithmetic of a step, written down as requests."""

from typing import Any

import torch

from mho.requests.queue import Moves, Queue
from mho.requests.shapes import Shape, bits, broadcast, flat, is_contiguous, operand
from mho.requests.trace import Index, Rate, StandIn
from mho.requests.usual import fits, usual

_COPY, _ADD, _MULTIPLY, _SCALE, _WHOLE, _CLAMP, _LERP, _IF_ZERO = range(8)  # as `arithmetic.Operation`
_NONE = 0, 0, 0
_REAL = (int, float, Rate)


class Zeros(StandIn):
    """The places where numbers are zero, for `torch.where`."""

    def __init__(self, of: "Numbers") -> None:
        self.of = of

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if (
            func is torch.where
            and len(args) == 3
            and type(args[1]) is float
            and type(args[2]) in (int, float)
        ):
            return args[0].of._new(_IF_ZERO, args[0].of, p=args[1], q=float(args[2]))
        return func(*map(usual, args), **{name: usual(value) for name, value in (kwargs or {}).items()})

    def __getattr__(self, name: str) -> Any:
        return getattr(self.usual(), name)

    def usual(self) -> torch.Tensor:
        """Return the usual tensor."""
        return self.of.usual() == 0


class Numbers(StandIn):
    """One or two dimensions of float32 in memory, as a step sees them before they are computed.

    Args:
        queue: takes the requests.
        source: the tensor that they are in: one that stays, or the room of the queue.
        address: of the first number; shape, steps: as of a tensor.
        is_kept: the source is not the room of the queue.
        is_finite: they are known to be finite.
        moves: how the address changes with the variables of the step.
    """

    __slots__ = ("address", "is_finite", "is_kept", "moves", "queue", "shape", "source", "steps")

    def __init__(
        self,
        queue: Queue,
        source: torch.Tensor,
        address: int,
        shape: Shape,
        steps: Shape,
        is_kept: bool = True,
        is_finite: bool = False,
        moves: Moves = (),
    ) -> None:
        self.queue, self.source, self.address, self.shape, self.steps = queue, source, address, shape, steps
        self.is_kept, self.is_finite, self.moves = is_kept, is_finite, moves

    @staticmethod
    def of(queue: Queue, tensor: torch.Tensor, is_finite: bool = False, moves: Moves = ()) -> "Numbers":
        """Return the stand-in for a tensor that fits, see `fits`."""
        place = tensor.data_ptr(), tuple(tensor.shape), tensor.stride()
        return Numbers(queue, tensor, *place, is_finite=is_finite, moves=moves)

    @staticmethod
    def empty(queue: Queue, shape: Shape) -> "Numbers":
        """Return numbers that nobody has written yet, in the room of the queue."""
        n = shape[0] if len(shape) == 1 else shape[0] * shape[1]
        room, address, moves = queue.room(n)
        steps = (1,) if len(shape) == 1 else (shape[1], 1)
        return Numbers(queue, room, address, shape, steps, is_kept=False, moves=moves)

    def usual(self) -> torch.Tensor:
        """Carry out the requests so far, and return the usual tensor: the same memory, if it stays."""
        self.queue.run()
        return self.at_once()

    def at_once(self) -> torch.Tensor:
        """Return the usual tensor as it is, whatever requests there are."""
        place = self.source.storage_offset() + (self.address - self.source.data_ptr()) // 4
        found = self.source.as_strided(self.shape, self.steps, place)
        return found if self.is_kept else found.clone()

    # -- what steps do

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def device(self) -> torch.device:
        return self.source.device

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    @property
    def mT(self) -> Any:
        if len(self.shape) != 2:
            return self.usual().mT
        return self._view(self.address, self.shape[::-1], self.steps[::-1], self.moves)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, place: Any) -> Any:
        if type(place) is tuple and len(place) == 2 and place[0] == slice(None):
            found = self._line(place[1], 1) if len(self.shape) == 2 else None
        elif type(place) is slice:
            found = self._part(place)
        else:
            found = self._line(place, 0) if len(self.shape) == 2 else None
        return self.usual()[place] if found is None else found

    def _line(self, place: Any, axis: int) -> "Numbers | None":
        """Return a row (axis 0) or a column (1), or None for what is no line."""
        shape, step = self.shape, self.steps[axis]
        moves, n = self.moves, place
        if type(place) is Index:
            moves, n = (*moves, (place.variable, 4 * step)), place.value
        if type(n) is not int or not -shape[axis] <= n < shape[axis]:
            return None
        rest = 1 - axis
        start = self.address + 4 * step * (n % shape[axis])
        return self._view(start, shape[rest : rest + 1], self.steps[rest : rest + 1], moves)

    def _part(self, place: slice) -> "Numbers | None":
        """Return the rows of a slice, or None for one that is unusual."""
        first, last, moves = place.start, place.stop, self.moves
        if type(first) is Index and type(last) is Index and first.variable == last.variable:
            moves = (*moves, (first.variable, 4 * self.steps[0]))
            first, last = first.value, last.value
        if type(first) is not int or type(last) is not int or place.step is not None:
            return None
        if not 0 <= first < last <= self.shape[0]:
            return None
        start = self.address + 4 * self.steps[0] * first
        return self._view(start, (last - first, *self.shape[1:]), self.steps, moves)

    def __add__(self, other: Any) -> Any:
        return self._sum(other, 1.0, "add")

    def __sub__(self, other: Any) -> Any:
        return self._sum(other, -1.0, "sub")

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, _REAL):
            return self._new(_SCALE, self, p=_number(other))
        other = self._like(other)
        if other is None or (shape := broadcast(self.shape, other.shape)) is None:
            return self.usual() * usual(other)
        return self._into(_MULTIPLY, Numbers.empty(self.queue, shape), self, other)

    __rmul__ = __mul__

    def __neg__(self) -> "Numbers":
        return self._new(_SCALE, self, p=-1.0)

    def __eq__(self, other: object) -> Any:
        return Zeros(self) if type(other) in (int, float) and other == 0 else self.usual() == usual(other)

    __hash__ = None  # type: ignore[assignment]

    def neg_(self) -> "Numbers":
        return self._into(_SCALE, self, self, p=-1.0)

    def add_(self, other: Any, *, alpha: float = 1.0) -> "Numbers":
        return self._add_in_place(other, alpha)

    def sub_(self, other: Any, *, alpha: float = 1.0) -> "Numbers":
        return self._add_in_place(other, -alpha)

    __iadd__ = add_
    __isub__ = sub_

    def mul_(self, other: Any) -> "Numbers":
        if isinstance(other, _REAL):
            return self._into(_SCALE, self, self, p=_number(other))
        found = self._fitting(other)
        return self._usually("mul_", other) if found is None else self._into(_MULTIPLY, self, self, found)

    __imul__ = mul_

    def copy_(self, other: Any) -> "Numbers":
        found = self._fitting(other)
        return self._usually("copy_", other) if found is None else self._into(_COPY, self, found)

    def lerp_(self, other: Any, weight: Any) -> "Numbers":
        found = self._fitting(other)
        if found is None or not isinstance(weight, (int, float)):
            return self._usually("lerp_", other, usual(weight))
        return self._into(_LERP, self, self, found, p=float(weight))

    def clamp_(self, low: Any = None, high: Any = None) -> "Numbers":
        if not (isinstance(low, (int, float)) and isinstance(high, (int, float)) and low <= high):
            return self._usually("clamp_", low, high)
        return self._into(_CLAMP, self, self, p=float(low), q=float(high))

    def div(self, other: Any, *, rounding_mode: str | None = None) -> Any:
        if rounding_mode == "trunc" and isinstance(other, (int, float)):
            return self._new(_WHOLE, self, p=float(other))
        return self.usual().div(usual(other), rounding_mode=rounding_mode)

    # -- what they seldom do

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*map(usual, args), **{name: usual(value) for name, value in (kwargs or {}).items()})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked for by copy, pickle and the like
            raise AttributeError(name)
        return getattr(self.usual(), name)

    def __setitem__(self, place: Any, value: Any) -> None:
        self.usual()[place] = usual(value)

    # -- inside

    def contiguous(self) -> "Numbers":
        """Return them one behind the other."""
        if is_contiguous(self.shape, self.steps):
            return self
        return self._new(_COPY, self)

    def write(self, values: "Numbers", mark: int, moves: Moves) -> None:
        """Set the numbers to those of the same shape, and the byte at an address to 1, which moves so."""
        self._into(_COPY, self, values, mark=mark, of_mark=moves)

    def _view(self, address: int, shape: Shape, steps: Shape, moves: Moves) -> "Numbers":
        return Numbers(self.queue, self.source, address, shape, steps, self.is_kept, self.is_finite, moves)

    def _like(self, other: Any) -> "Numbers | None":
        """Return a stand-in for what an operation is given, or None if there is none."""
        if type(other) is Numbers:
            return other
        if isinstance(other, torch.Tensor) and fits(other):
            self.queue.hold(other)
            self.queue.once()
            return Numbers.of(self.queue, other)
        return None

    def _fitting(self, other: Any) -> "Numbers | None":
        """Return a stand-in for what is to be written here, or None."""
        found = self._like(other)
        return found if found is not None and broadcast(self.shape, found.shape) == self.shape else None

    def _sum(self, other: Any, factor: float, name: str) -> Any:
        found = self._like(other)
        if found is None or (shape := broadcast(self.shape, found.shape)) is None:
            return getattr(self.usual(), name)(usual(other))
        return self._into(_ADD, Numbers.empty(self.queue, shape), self, found, p=factor)

    def _add_in_place(self, other: Any, factor: float) -> "Numbers":
        found = self._fitting(other)
        if found is None or not isinstance(factor, _REAL):
            self.usual().add_(usual(other), alpha=usual(factor))
            return self
        return self._into(_ADD, self, self, found, p=_number(factor))

    def _usually(self, name: str, *others: Any) -> "Numbers":
        getattr(self.usual(), name)(*map(usual, others))
        return self

    def _new(self, operation: int, a: "Numbers", p: Any = 0.0, q: float = 0.0) -> "Numbers":
        return self._into(operation, Numbers.empty(self.queue, self.shape), a, p=p, q=q)

    def _into(
        self,
        operation: int,
        out: "Numbers",
        a: "Numbers",
        b: "Numbers | None" = None,
        p: Any = 0.0,
        q: float = 0.0,
        mark: int = 0,
        of_mark: Moves = (),
    ) -> "Numbers":
        out.is_finite = False
        rows, columns, *to = flat(out)
        there = _NONE if b is None else operand(b, out.shape)
        moving = [(n, x.moves) for n, x in ((6, out), (9, a), (12, b)) if x is not None and x.moves]
        if of_mark:
            moving.append((17, of_mark))
        if type(p) is Rate:
            moving.append((15, ((p.variable, 1),)))
            p = p.value
        shape = operation, rows, columns
        words = *to, *operand(a, out.shape), *there, bits(p), bits(q), mark
        self.queue.add((self.queue.compiled.arithmetic, 18, 0, *shape, *words), None, moving)
        return out


def _number(value: Any) -> Any:
    """Return a real number, or what stands for one."""
    return value if type(value) is Rate else float(value)


for _name in ("__radd__", "__rsub__", "__truediv__", "__rtruediv__", "__pow__", "__matmul__", "__rmatmul__"):

    def _usually(self: Numbers, other: Any, _name: str = _name) -> Any:
        return getattr(self.usual(), _name)(usual(other))

    setattr(Numbers, _name, _usually)
