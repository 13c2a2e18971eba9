"""The lowering of each torch operation to float32 source: `lowering_of`.

A rule takes the writer and the operation's arguments under torch's own argument names, writes lines, and returns
the value. The text uses operators and the functions of `mho.numerics`. An operation that is one call of a function,
such as `exp`, needs no rule: `mho.numerics.compile.elementary` registers the function under torch's name.
`LOWERINGS` holds the rules of all others.
"""

import dataclasses
import inspect
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from mho.numerics import lookup, math32
from mho.numerics.compile import ELEMENTARY


class Unsupported(Exception):
    """Ends the sentence "the operation ..."; `mho.kernels.law.emit` turns it into an MhoError."""


@dataclasses.dataclass(frozen=True)
class Value:
    """A value of the program: its text, and its number where that is known when the source is written."""

    text: str
    condition: bool = False  # a truth value, not a number
    known: float | None = (
        None  # if it has a text too: a field that all cells share, or what follows from such
    )


class Writer:
    """The lines of the function being written, and what all functions use: constants, tables, called functions."""

    def __init__(self) -> None:
        self.functions: dict[str, Any] = {}  # name -> compiled function
        self.constants: dict[str, str] = {}  # repr of the number -> name
        self.tables: dict[tuple[float, ...], str] = {}  # flat -> name
        self.start()

    def start(self) -> None:
        """Begin a function."""
        self.lines: list[str] = []

    def assign(self, expression: str, condition: bool = False) -> Value:
        """Give an expression a name."""
        name = f"_t{len(self.lines)}"
        self.lines.append(f"{name} = {expression}")
        return Value(name, condition)

    def call(self, function: Any, *arguments: str) -> Value:
        """Give the result of a compiled function a name."""
        self.functions[function.__name__] = function
        return self.assign(f"{function.__name__}({', '.join(arguments)})")

    def number(self, value: Value) -> Value:
        """Return the value as a float32; a truth value counts as 0 or 1."""
        if value.condition:
            return self.call(math32.select32, value.text, self.constant(1.0), self.constant(0.0))
        if value.text:
            return value
        assert value.known is not None
        return Value(self.constant(value.known), known=value.known)

    def constant(self, number: float) -> str:
        """Return the name of a module-level float32 constant."""
        number = float(number)
        if not abs(number) <= float(np.finfo(np.float32).max):
            raise Unsupported(f"uses the constant {number}, which is not a finite float32")
        return self.constants.setdefault(repr(number), f"_C{len(self.constants)}")

    def table(self, numbers: tuple[float, ...]) -> str:
        """Return the name of a module-level float32 array."""
        return self.tables.setdefault(numbers, f"_T{len(self.tables)}")

    def truth(self, value: Value) -> str:
        """Return the text of a value that must be a truth value."""
        if value.condition:
            return value.text
        if not value.text and isinstance(value.known, bool):
            return str(value.known)
        raise Unsupported("needs a condition, such as w > 0, and got a number")


def _operator(symbol: str, swapped: bool = False) -> Callable[..., Value]:
    arithmetic = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}[symbol]

    def write(writer: Writer, input: Value, other: Value) -> Value:
        a, b = (writer.number(v) for v in ((other, input) if swapped else (input, other)))
        if symbol == "/" and a.known is None and b.known is not None and 1e-30 < abs(b.known) < 1e30:
            inverse = writer.assign(f"{writer.constant(1.0)} / {b.text}")  # the same for all cells: made once
            return writer.assign(f"{a.text} * {inverse.text}")
        result = writer.assign(f"{a.text} {symbol} {b.text}")
        if a.known is None or b.known is None or (symbol == "/" and b.known == 0):
            return result
        return dataclasses.replace(result, known=float(arithmetic(a.known, b.known)))

    return write


def _comparison(symbol: str) -> Callable[..., Value]:
    def write(writer: Writer, input: Value, other: Value) -> Value:
        a, b = writer.number(input), writer.number(other)
        return writer.assign(f"{a.text} {symbol} {b.text}", condition=True)

    return write


def _logical(symbol: str) -> Callable[..., Value]:
    def write(writer: Writer, input: Value, other: Value) -> Value:
        return writer.assign(f"{writer.truth(input)} {symbol} {writer.truth(other)}", condition=True)

    return write


def _call(function: Any) -> Callable[..., Value]:
    if len(inspect.signature(function.py_func).parameters) == 2:
        return lambda writer, input, other: _called(writer, function, input, other)
    return lambda writer, input: _called(writer, function, input)


def _called(writer: Writer, function: Any, *arguments: Value) -> Value:
    return writer.call(function, *[writer.number(argument).text for argument in arguments])


def _not(writer: Writer, input: Value) -> Value:
    return writer.assign(f"{writer.truth(input)} ^ True", condition=True)


def _neg(writer: Writer, input: Value) -> Value:
    return writer.assign(f"-{writer.number(input).text}")


def _same(writer: Writer, input: Value) -> Value:
    return input


def _square(writer: Writer, input: Value) -> Value:
    return _power(writer, input, Value("", known=2.0))


def _reciprocal(writer: Writer, input: Value) -> Value:
    return _power(writer, input, Value("", known=-1.0))


def _rsqrt(writer: Writer, input: Value) -> Value:
    return _power(writer, input, Value("", known=-0.5))


def _where(writer: Writer, condition: Value, input: Value, other: Value) -> Value:
    yes, no = writer.number(input), writer.number(other)
    return writer.call(math32.select32, writer.truth(condition), yes.text, no.text)


def _clamp(writer: Writer, input: Value, min: Value | None = None, max: Value | None = None) -> Value:
    value = writer.number(input)
    if min is not None:
        value = _called(writer, math32.max32, value, min)
    if max is not None:
        value = _called(writer, math32.min32, value, max)
    return value


def _clamp_min(writer: Writer, input: Value, min: Value) -> Value:
    return _clamp(writer, input, min=min)


def _clamp_max(writer: Writer, input: Value, max: Value) -> Value:
    return _clamp(writer, input, max=max)


def _relu(writer: Writer, input: Value, inplace: Value | None = None) -> Value:
    return _clamp(writer, input, min=Value("", known=0.0))


def _full_like(writer: Writer, input: Value, fill_value: Value) -> Value:
    return writer.number(fill_value)


def _ones_like(writer: Writer, input: Value) -> Value:
    return Value("", known=1.0)


def _zeros_like(writer: Writer, input: Value) -> Value:
    return Value("", known=0.0)


def _power(writer: Writer, input: Value, exponent: Value) -> Value:
    """Write x ** y: products and square roots if y is known and a multiple of 1/2 up to 4, else pow32."""
    y = exponent.known
    if y is None or abs(y) > 4 or 2 * y != int(2 * y):
        return _called(writer, math32.pow32, input, exponent)
    if y == 0:
        return Value("", known=1.0)
    x = writer.number(input)
    factors = [x.text] * math.floor(abs(y))
    if abs(y) % 1:
        factors.append(writer.call(math32.sqrt32, x.text).text)
    product = writer.assign(" * ".join(factors)) if len(factors) > 1 else Value(factors[0])
    return product if y > 0 else writer.assign(f"{writer.constant(1.0)} / {product.text}")


def look_up(writer: Writer, table, x: Value | None, y: Value | None = None) -> Value:
    """Write `mho.responses.lookup`; the last row, and column, is stored twice."""
    assert x is not None
    at = writer.number(x).text
    if y is None:
        name, last = writer.table((*table, table[-1])), writer.constant(len(table) - 1)
        return writer.call(lookup.linear32, name, at, last)
    rows = [(*row, row[-1]) for row in (*table, table[-1])]
    name, width = writer.table(tuple(v for row in rows for v in row)), len(rows[0])
    ends = writer.constant(len(table) - 1), writer.constant(width - 2)
    return writer.call(lookup.bilinear32, name, at, writer.number(y).text, *ends, str(width))


LOWERINGS: dict[str, Callable[..., Value]] = {
    "add": _operator("+"), "sub": _operator("-"), "mul": _operator("*"), "div": _operator("/"),
    "radd": _operator("+", True), "rsub": _operator("-", True),
    "rmul": _operator("*", True), "rdiv": _operator("/", True),
    "neg": _neg, "pos": _same, "square": _square, "reciprocal": _reciprocal,
    "pow": _power, "rsqrt": _rsqrt,
    "relu": _relu, "clamp": _clamp, "clamp_min": _clamp_min, "clamp_max": _clamp_max,
    "where": _where,
    "lt": _comparison("<"), "le": _comparison("<="), "gt": _comparison(">"), "ge": _comparison(">="),
    "eq": _comparison("=="), "ne": _comparison("!="),
    "logical_and": _logical("&"), "logical_or": _logical("|"), "logical_xor": _logical("^"),
    "logical_not": _not,
    "ones_like": _ones_like, "zeros_like": _zeros_like, "full_like": _full_like,
}  # fmt: skip


def lowering_of(name: str) -> Callable[..., Value] | None:
    """Return the rule that writes an operation; None if there is none."""
    calls = (_call(e.function) for e in ELEMENTARY.values() if e.spelling == name)
    return LOWERINGS.get(name) or next(calls, None)


def operations() -> list[str]:
    """Return the names of all operations that have a compiled form."""
    return sorted({*LOWERINGS, *(e.spelling for e in ELEMENTARY.values() if e.spelling)})
