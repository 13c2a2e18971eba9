"""Frozen records of hyper-parameters: declared fields, declared domains, a `repr` that rebuilds them.

Every `Response`, `Device`, `IO`, `Pulses`, `Algorithm` and `Crossbar` is a `Record`. A subclass lists its fields as
annotations with defaults, and needs no decorator. A domain is written once, in the annotation:

    class SoftBounds(Response):
        tau_max: Annotated[float, Positive] = 1.0

Every subclass in this package may be named in files and on the command line, see `mho.base.registry`. Two things
are declared for that: `class Response(Record, named=False)` is no such class but a base of several, and `aliases =
("rl",)` in the body lists the spellings that papers use.
"""

import dataclasses
import math
import operator
import sys
from collections.abc import Callable
from types import NoneType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from mho.base.errors import complaint, did_you_mean, shown, wrong_type


@dataclasses.dataclass(frozen=True)
class Domain:
    """A rule for one number: `accepts(value)`, and the words for that rule in an error message.

    remedy: from the field's name and a value outside, the words for what to write instead, "" or None for no advice
        but the value with the other sign, where that one is accepted.
    """

    words: str
    accepts: Callable[[float], bool]
    remedy: Callable[[str, float], str] | None = None

    def fix(self, name: str, value: float) -> str:
        """Return the remedy for a value outside of the domain, "" if there is none."""
        words = "" if self.remedy is None else self.remedy(name, value)
        if words or value == 0 or not self.accepts(-value):
            return words
        return f"did you mean {name}={-value!r}?"


Positive = Domain("positive", lambda v: v > 0)
NonNegative = Domain("zero or positive", lambda v: v >= 0)
Negative = Domain("negative", lambda v: v < 0)
NonPositive = Domain("zero or negative", lambda v: v <= 0)
Probability = Domain("between 0 and 1", lambda v: 0 <= v <= 1)
Single = Domain(
    "zero, or a number that float32 holds: 1.2e-38 to 3.4e38 in size",
    lambda v: v == 0 or 1.1754943508222875e-38 <= abs(v) <= 3.4028234663852886e38,
)
Whole = Domain("less than 2^63 in size", lambda v: abs(v) < 2**63)
OneOrMore = Domain("an integer of at least 1", lambda v: v == int(v) and v >= 1)


@dataclass_transform(frozen_default=True)
class Record:
    """The base of all hyper-parameter classes: subclasses become frozen dataclasses and check their fields.

    A field annotated `float` must be a finite number that float32 holds, `int` a whole
    one (512.0 becomes 512), `bool` True or False. `Annotated[float, Positive]` must also lie in that domain,
    `float | None` may be None, and a `Literal` must be one of its values. Rules that join several fields go into a
    method `validate(self)`, which raises. Numbers of NumPy and torch become Python's, also inside of tuples, lists
    and dicts: scalars, and arrays and tensors without dimensions.
    """

    aliases: ClassVar[tuple[str, ...]] = ()
    """Other names of this class in files and on the command line, in any spelling; subclasses do not inherit
    them."""

    is_named: ClassVar[bool] = False
    """Whether files and the command line may name this class, if it lives in this package."""

    synonyms: ClassVar[dict[str, str]] = {}
    """Fields by the names that aihwkit gives to them, which errors about unknown fields translate."""

    def __init_subclass__(cls, named: bool = True, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.is_named = named
        dataclasses.dataclass(frozen=True)(cls)

    if not TYPE_CHECKING:  # type checkers see the constructor of each class alone

        def __new__(cls, /, *_: Any, **fields: Any):
            for name in fields.keys() - field_rules(cls).keys():
                where = f"{cls.__name__}({name}={shown(fields[name])})"
                raise complaint(where, f"{cls.__name__} has no field {name!r}", fix=name_instead(cls, name))
            return super().__new__(cls)

    def __post_init__(self) -> None:
        for name, (kind, domains) in field_rules(type(self)).items():
            given = getattr(self, name)
            value = plain(given)
            if value is not given:
                object.__setattr__(self, name, value)
            options = get_args(kind)
            fits = isinstance(value, tuple(map(type, options)))
            if get_origin(kind) is Literal and not (fits and value in options):
                *others, last = (f'"{o}"' for o in options)
                known = f"{', '.join(others)} or {last}"
                raise complaint(f"{type(self).__name__}({name}={shown(value)})", f"{name} is {known}")
            optional = NoneType in options and value is not None and {float, int} & {*options}
            if kind in (bool, str) and not isinstance(value, kind):
                need = "True or False" if kind is bool else "a string"
                raise wrong_type(f"{type(self).__name__}({name}={shown(value)})", name, value, need)
            if kind in (float, int) or optional:
                whole = kind is int or int in options
                check_number(type(self).__name__, name, value, domains, whole)
                if whole is not isinstance(value, int) and (whole or abs(value) > 2**53):  # torch overflows
                    object.__setattr__(self, name, int(value) if whole else float(value))
            elif get_origin(kind) is tuple:
                object.__setattr__(self, name, checked_numbers(type(self).__name__, name, value, kind))
        self.validate()

    def validate(self) -> None:
        """Check the rules that join several fields. Raises: MhoError if one is broken."""

    def replace(self, **changes: Any):
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]


def plain(value: Any) -> Any:
    """Return Python's number in place of one of NumPy or torch, also inside of a tuple, a list or a dict.

    Anything else comes back as the object that it is.
    """
    if type(value) in (tuple, list):
        inner = [plain(v) for v in value]
        return value if all(map(operator.is_, inner, value)) else type(value)(inner)
    if type(value) is dict:
        changed = {k: plain(v) for k, v in value.items()}
        return value if all(changed[k] is value[k] for k in value) else changed
    is_scalar = hasattr(value, "item") and hasattr(value, "dtype") and getattr(value, "shape", None) == ()
    return value.item() if is_scalar else value


_RULES: dict[type, dict[str, tuple[Any, tuple[Domain, ...]]]] = {}


def field_rules(cls: type) -> dict[str, tuple[Any, tuple[Domain, ...]]]:
    """Return {field: (annotated type, domains)} of a record class, in the order of definition."""
    if cls not in _RULES:
        hints = get_type_hints(cls, include_extras=True)
        rules = {}
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]
            kind = hints[field.name]
            domains: tuple[Domain, ...] = ()
            if get_origin(kind) is Annotated:
                kind, *extras = get_args(kind)
                domains = tuple(e for e in extras if isinstance(e, Domain))
            rules[field.name] = (kind, domains)
        _RULES[cls] = rules
    return _RULES[cls]


def name_instead(cls: type[Record], name: str) -> str:
    """Return the clause that follows an unknown name of a field: this library's word, or the nearest name."""
    ours = cls.synonyms.get(name)
    return did_you_mean(name, field_rules(cls)) if ours is None else f"{ours}; aihwkit calls it {name}"


def float_fields(cls: type) -> tuple[str, ...]:
    """Return the names of the real-valued fields: those that may vary from cell to cell."""
    return tuple(name for name, (kind, _) in field_rules(cls).items() if kind is float)


def check_number(cls: str, name: str, value: Any, domains: tuple[Domain, ...], whole: bool = False) -> None:
    """Check the number that a call of `cls` was given. Raises: MhoError if it is none, or outside of a domain."""
    where = f"{cls}({name}={shown(value)})"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise complaint(where, f"{name} is a {type(value).__name__}", "It must be a number")
    if not abs(value) <= sys.float_info.max:  # also an integer beyond every float
        near = value if isinstance(value, float) else math.inf if value > 0 else -math.inf
        fixes = [d.remedy(name, near) for d in domains if d.remedy is not None]
        raise complaint(where, f"{name} is {shown(value)}", "It must be finite", *fixes[:1])
    if whole and value != int(value):
        domains = (Domain("an integer", lambda v: v == int(v)), *domains)
    limits = Whole if whole else Single
    if not limits.accepts(value):
        domains = (limits, *domains)
    for domain in domains:
        if not domain.accepts(value):
            raise complaint(where, f"{name} must be {domain.words}", fix=domain.fix(name, value))


def checked_numbers(cls: str, name: str, values: Any, kind: Any) -> Any:
    """Return the numbers that a call of `cls` was given as a field annotated `kind` takes them.

    Args:
        kind: tuple[float, ...], or tuples of such; values of another kind of tuple come back as they are.
    Raises: MhoError, which names the place in the tuple, as `check_number` does.
    """
    inner = get_args(kind)[0]
    if inner not in (float, int) and get_origin(inner) is not tuple:
        return values
    if isinstance(values, (str, bytes, dict)) or not hasattr(values, "__iter__"):
        raise wrong_type(f"{cls}({name}={shown(values)})", name, values, "a sequence of numbers")
    values = plain(tuple(values))
    if get_origin(inner) is tuple:
        return tuple(checked_numbers(cls, f"{name}[{k}]", row, inner) for k, row in enumerate(values))
    for k, value in enumerate(values):
        check_number(cls, f"{name}[{k}]", value, (), inner is int)
    return tuple(map(int, values)) if inner is int else values
