"""The notes on a step while it writes down its requests, so that they can be asked for again."""

from collections.abc import Callable
from typing import Any, NamedTuple

_FIRST_LINE = 3  # as in `queue`


class Trace:
    """The notes of one step: decisions, moving addresses, what has to be as it was.

    Args:
        state: real; given: outcomes of the first decisions, which have been asked already.
    """

    def __init__(self, state: Any, given: list[Any]) -> None:
        self.state, self.given = state, list(given)
        self.repeats = True
        self.falls = False  # requests were carried out in the middle of the step
        self.ways: list[tuple[Callable[..., Any], tuple, Any, bool]] = []
        self.lines: list[int] = []
        self.moving: list[tuple[int, int, int]] = []
        self.written: list[Any] = []
        self.guards: list[tuple[Any, ...]] = []

    def outcome(self, function: Callable[..., Any], args: tuple, moves: bool = False) -> Any:
        """Return the outcome of a decision: a function of the real state and of args."""
        n = len(self.ways)
        found = self.given[n] if n < len(self.given) else function(self.state, *args)
        self.ways.append((function, args, found, moves))
        return found

    def line(self, function: Callable[..., int], args: tuple) -> "Index":
        """Return the outcome of a decision that names a line."""
        found = self.outcome(function, args, moves=True)
        self.lines.append(found)
        return Index(self, len(self.lines) - 1 + _FIRST_LINE, found)


class StandIn:
    """The base of what stands for a tensor."""

    __slots__ = ()

    def usual(self) -> Any:
        """Carry out the requests so far, and return what it stands for."""
        raise NotImplementedError


class Index:
    """The number of a line, which is another one in another step. Whoever looks at it ends the repeating.

    Args:
        trace: of the step; variable: its place among the step's variables; value: now.
    """

    __slots__ = ("trace", "value", "variable")

    def __init__(self, trace: Trace, variable: int, value: int) -> None:
        self.trace, self.variable, self.value = trace, variable, value

    def __add__(self, other: int) -> "Index":
        return Index(self.trace, self.variable, self.value + other)

    def unit(self, n: int) -> "Unit":
        """Return what stands for the unit vector (n,) of this line."""
        return Unit(self, n)

    def __index__(self) -> int:
        self.trace.repeats = False
        return self.value

    __int__ = __hash__ = __index__

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__index__(), name)


class Unit(NamedTuple):
    """A unit vector (n,) that addresses a line."""

    j: Index
    n: int


def _looked_at(name: str) -> Callable[..., Any]:
    def method(self: Index, *others: Any) -> Any:
        return getattr(int(self), name)(*(int(o) if isinstance(o, Index) else o for o in others))

    return method


_COMPARED = "eq", "ne", "lt", "le", "gt", "ge", "bool", "repr"
_COMPUTED = "sub", "rsub", "radd", "mul", "rmul", "floordiv", "mod", "truediv", "pow", "neg"
for _name in (*_COMPARED, *_COMPUTED):
    setattr(Index, f"__{_name}__", _looked_at(f"__{_name}__"))
