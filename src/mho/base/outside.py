"""Values that methods of a user's class read besides its fields: globals, enclosing variables, class attributes.

The numbers of a record are its fields. A method may read other ones too, such as a constant of its script. Whatever
is computed from the method and kept, as compiled code is, holds the value of that time. `changed` says when it is
old.
"""

import types
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

_PLAIN = (bool, int, float, complex, str, bytes, types.NoneType, types.BuiltinFunctionType, type)
_METHODS = types.FunctionType, property, staticmethod, classmethod  # what these read is found beside them


class Outside(NamedTuple):
    """A value that a method reads: how to read it again, and what it was."""

    read: Callable[[], Any]
    value: Any

    @property
    def plain(self) -> bool:
        """True if the value can only be replaced, never changed in place."""
        return is_plain(self.value)


def is_plain(value: Any) -> bool:
    """Return whether a value is a number, a text, a function, a method, a class, or a tuple of such."""
    if isinstance(value, tuple):
        return all(map(is_plain, value))
    return isinstance(value, (*_PLAIN, *_METHODS))


def changed(found: tuple[Outside, ...]) -> bool:
    """Return whether a value has been replaced; one that was changed in place counts as the same."""
    for read, value in found:
        now = read()
        if now is not value and (type(now) is not type(value) or not is_plain(now) or now != value):
            return True
    return False


def outside(cls: type) -> tuple[Outside, ...]:
    """Return what the methods of a class read, also by way of functions that they call.

    Methods and functions of this package, of torch and of NumPy count as fixed.
    """
    bodies = [vars(c) for c in cls.__mro__ if not _is_foreign(c)]
    found: dict[tuple[int, str], Outside] = {}
    waiting = [value for body in bodies for name, value in body.items() if not name.startswith("__")]
    done = set()
    while waiting:
        function = _function(waiting.pop())
        if function is None or function in done or _is_foreign(function):
            continue
        done.add(function)
        names = set(_names(function.__code__))
        cells = {id(cell): cell for cell in function.__closure__ or ()}
        used = [*map(function.__globals__.get, names), *map(_contents, cells.values())]
        modules = [value for value in used if isinstance(value, types.ModuleType) and not _is_foreign(value)]
        for space in (function.__globals__, *bodies, *map(vars, modules)):
            for name in names & space.keys():
                if not isinstance(space[name], types.ModuleType):
                    found[id(space), name] = Outside(partial(space.get, name), space[name])
                    waiting.append(space[name])
        for place, cell in cells.items():
            value = _contents(cell)
            if not isinstance(value, types.ModuleType):
                found[place, ""] = Outside(partial(_contents, cell), value)
                waiting.append(value)
    return tuple(found.values())


def _is_foreign(value: Any) -> bool:
    """Return whether a class, a function or a module belongs to Python, to this package, to torch or to NumPy."""
    name = value.__name__ if isinstance(value, types.ModuleType) else value.__module__ or ""
    return name.partition(".")[0] in ("builtins", "math", "mho", "numpy", "scipy", "torch")


def _function(value: Any) -> types.FunctionType | None:
    """Return the function behind a method, a property, or a function itself; None for anything else."""
    if isinstance(value, property):
        value = value.fget
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    return value if isinstance(value, types.FunctionType) else None


def _contents(cell: types.CellType) -> Any:
    """Return the value of an enclosing variable; None if it has none yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _names(code: types.CodeType) -> Iterator[str]:
    """Yield the names of globals and attributes in a function and in those that are defined in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
