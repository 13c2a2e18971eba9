"""aihwkit's words: domains of its fields, its fields without a counterpart, and the errors about both."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple, ParamSpec, get_args, get_origin

from mho.aihwkit.common import pulsed
from mho.base.errors import MhoError, complaint, did_you_mean, within
from mho.base.records import check_number, plain
from mho.device.device import Device

P = ParamSpec("P")


class Foreign(NamedTuple):
    """A field of aihwkit that no function here takes.

    Args:
        meaning: of the field, there.
        instead: the words for what to write here.
        idle: aihwkit's default, which asks for nothing: a field with this value is left out silently.
    """

    meaning: str
    instead: str
    idle: Any


_LEAVE = "leave it out"
_GROWING = "linear_step(allow_increasing=True, gamma_{0}=-g), g = gamma_{0} {1} / (reverse_offset {2})"
FOREIGN = {
    "construction_seed": Foreign("the seed of the cells", "Tile(..., key=...): the key names all draws", 0),
    "count_pulses": Foreign("whether pulses are counted", "Crossbar(count_cells=True)", False),
    "perfect_bias": Foreign(
        "a last column of ideal cells", 'Mapping(bias="digital"), a bias outside of the array', False
    ),
    "enforce_consistency": Foreign(
        "whether the signs of steps and bounds are repaired", f"{_LEAVE}: they always are", True
    ),
    "drift": Foreign(
        "the drift of programmed weights", "mho.retention.Drift, with mho.retention.drift(tile, ...)", None
    ),
    "apply_write_noise_on_set": Foreign(
        "whether programming has write noise", f"{_LEAVE}: it always has", True
    ),
    "reverse_up": Foreign(
        "the switch for up pulses that grow with w", _GROWING.format("up", "w_max", "- w_min"), False
    ),
    "reverse_down": Foreign(
        "the switch for down pulses that grow as w falls",
        _GROWING.format("down", "(-w_min)", "+ w_max"),
        False,
    ),
    "reverse_offset": Foreign(
        "an offset of reverse_up and reverse_down", f"{_LEAVE}, with both of them", 0.01
    ),
    "slope_up_dtod": Foreign(
        "a second spread of the upper bound", "one w_max_dtod that holds both spreads", 0.0
    ),
    "slope_down_dtod": Foreign(
        "a second spread of the lower bound", "one w_min_dtod that holds both spreads", 0.0
    ),
    "pow_up_down_dtod": Foreign(
        "a spread between the two exponents", "a larger pow_gamma_dtod: both spread freely here", 0.0
    ),
    "n_estimation_steps": Foreign(
        "the pulses that estimate a symmetric point", f"{_LEAVE}: it is computed here", -1
    ),
}
"""The fields of aihwkit that no function of `mho.aihwkit` takes."""

NO_WRITE_NOISE = {
    "write_noise_std": Foreign(
        "no field of this class, which has no write noise", "replace(write_noise=...)", 0.0
    )
}
COMMON = {n: p for n, p in inspect.signature(pulsed).parameters.items() if p.kind is p.KEYWORD_ONLY}


def spoken(without: Mapping[str, Foreign] = {}) -> Callable[[Callable[P, Device]], Callable[P, Device]]:
    """Make a function speak aihwkit's words: its errors name aihwkit's fields.

    Numbers of NumPy and torch are taken as Python's. The function raises MhoError for a field that it does not
    take, and for a value outside of the domain in the field's annotation.

    Args:
        without: shared fields that this class of aihwkit has not, or computes.
    """

    def speaking(function: Callable[P, Device]) -> Callable[P, Device]:
        own = inspect.signature(function).parameters
        fields = {n: p.annotation for n, p in {**COMMON, **own}.items() if n not in {"common", *without}}

        @functools.wraps(function)
        def device(*values: P.args, **words: P.kwargs) -> Device:
            call = f"aihwkit.{function.__name__}"
            if values:
                raise complaint(
                    call, f"{len(values)} values have no name", fix=f"{call}({next(iter(own))}=...)"
                )
            given = {name: plain(value) for name, value in words.items()}
            for name, value in given.items():
                if name in fields:
                    _check(call, name, value, fields[name])
                elif not _idle(name, value, without):
                    raise _unknown(function.__name__, name, value, without, fields)
            taken = {name: value for name, value in given.items() if name in fields}
            try:
                return function(**taken)  # type: ignore[call-arg]
            except MhoError as error:
                if str(error).startswith("`aihwkit."):
                    raise
                raise within(call, error) from None

        return device

    return speaking


def _check(call: str, name: str, value: Any, annotation: Any) -> None:
    """Check a value against the kind and the domains of its field."""
    kind, *domains = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    if kind is float:
        check_number(call, name, value, tuple(domains))
    elif kind is bool and not isinstance(value, bool):
        raise complaint(f"{call}({name}={value!r})", f"{name} must be True or False")


def _idle(name: str, value: Any, without: Mapping[str, Foreign]) -> bool:
    """Say if a field that is not taken has the value that asks for nothing."""
    found = {**FOREIGN, **without}.get(name)
    return found is not None and type(value) in (type(found.idle), int) and value == found.idle


def _unknown(
    function: str, name: str, value: Any, without: Mapping[str, Foreign], fields: Mapping[str, Any]
) -> MhoError:
    """Return the error about a field that a function does not take."""
    where = f"aihwkit.{function}({name}={value!r})"
    found = {**FOREIGN, **without}.get(name)
    if found is not None:
        meaning = f"in aihwkit {name} is {found.meaning}"
        return complaint(
            where, meaning, "" if name in without else "No function here takes it", found.instead
        )
    is_ours = name in {field.name for field in dataclasses.fields(Device)}  # type: ignore[arg-type]
    fix = f"mho.aihwkit.{function}(...).replace({name}=...)" if is_ours else did_you_mean(name, fields)
    return complaint(where, f"this class of aihwkit has no field {name!r}", fix=fix)
