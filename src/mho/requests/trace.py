"""The notes on a step while it writes down its requests, so that they can be asked for again."""

from collections.abc import Callable
from typing import Any, NamedTuple

from mho.requests.shapes import bits

_FIRST = 3  # variable of a step, after those in `queue`


class Decision(NamedTuple):
    """A function of the state, of the factors if it measures them, and of arguments that stay.

    kind: "branch": the outcome chooses the way; "line": it is the number of a line; "rate": a real number.
    """

    kind: str
    function: Callable[..., Any]
    args: tuple[Any, ...]

    def ask(self, state: Any, g: Any) -> Any:
        """Return the outcome."""
        return (
            self.function(state, g, *self.args) if self.kind == "rate" else self.function(state, *self.args)
        )


class Trace:
    """The notes of one step: decisions, moving addresses, what has to be as it was.

    Args:
        state, g: of the step, real; given: outcomes of the first decisions, which have been asked already.
    """

    def __init__(self, state: Any, g: Any, given: list[Any]) -> None:
        self.state, self.g, self.given = state, g, list(given)
        self.repeats = True
        self.falls = False  # requests were carried out in the middle of the step
        self.ways: list[tuple[Decision, Any]] = []  # with the outcomes
        self.numbers: list[int] = []  # lines, and bits of rates
        self.moving: list[tuple[int, int, int]] = []
        self.written: list[Any] = []
        self.guards: list[tuple[Any, ...]] = []

    def outcome(self, decision: Decision) -> Any:
        """Return the outcome of a decision."""
        n = len(self.ways)
        found = self.given[n] if n < len(self.given) else decision.ask(self.state, self.g)
        self.ways.append((decision, found))
        return found

    def line(self, decision: Decision) -> "Index":
        """Return the outcome of a decision that names a line."""
        found = self.outcome(decision)
        self.numbers.append(found)
        return Index(self, len(self.numbers) - 1 + _FIRST, found)

    def rate(self, decision: Decision) -> "Rate":
        """Return the outcome of a decision that is a real number."""
        found = self.outcome(decision)
        self.numbers.append(bits(found))
        return Rate(self, len(self.numbers) - 1 + _FIRST, found)


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


class Rate:
    """A real number, which is another one in another step. Whoever looks at it ends the repeating.

    Args: as of `Index`.
    """

    __slots__ = ("trace", "value", "variable")

    def __init__(self, trace: Trace, variable: int, value: float) -> None:
        self.trace, self.variable, self.value = trace, variable, value

    def __float__(self) -> float:
        self.trace.repeats = False
        return self.value

    __hash__ = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        return getattr(float(self), name)


class Unit(NamedTuple):
    """A unit vector (n,) that addresses a line."""

    j: Index
    n: int


def _looked_at(kind: type, name: str) -> Callable[..., Any]:
    def method(self: Any, *others: Any) -> Any:
        return getattr(kind(self), name)(*(kind(o) if isinstance(o, (Index, Rate)) else o for o in others))

    return method


_COMPARED = "eq", "ne", "lt", "le", "gt", "ge", "bool", "repr"
_COMPUTED = (
    "sub",
    "rsub",
    "radd",
    "mul",
    "rmul",
    "floordiv",
    "mod",
    "truediv",
    "rtruediv",
    "pow",
    "neg",
    "abs",
)
for _name in (*_COMPARED, *_COMPUTED):
    setattr(Index, f"__{_name}__", _looked_at(int, f"__{_name}__"))
for _name in (*_COMPARED, *_COMPUTED, "add"):  # the number of a line and a whole number are one again
    setattr(Rate, f"__{_name}__", _looked_at(float, f"__{_name}__"))
