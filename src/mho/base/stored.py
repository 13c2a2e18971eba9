"""Contents of files that others may have written: read up to a length, and checked against a type.

A file is never trusted to be what its name says. Every fault is an `MhoError` that names the file, the place in it
and the remedy.
"""

import csv
import io
import math
import os
import reprlib
import sys
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

from mho.base.errors import complaint, shown

__all__ = ["check", "read_bytes", "read_rows", "read_text"]

MOST = 64 << 20  # bytes of a file of text
WORDS: dict[Any, str] = {
    float: "a finite number",
    int: "an integer",
    str: "a text",
    bool: "true or false",
    dict: "a table",
    list: "a list",
    NoneType: "null",
}
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60


def read_bytes(file: str | os.PathLike[str], most: int = MOST, where: str = "") -> bytes:
    """Return the contents of a file.

    Args:
        file: the file; most: the most bytes that it may have.
        where: the call, for errors; "" for the name of the file.
    Raises: MhoError if it cannot be read, or is longer.
    """
    where = where or str(file)
    try:
        with open(file, "rb") as stream:
            data = stream.read(most + 1)
    except OSError as error:
        raise complaint(where, f"cannot be read ({error.strerror})") from None
    except ValueError as error:  # a name with a null
        raise complaint(where, f"is no name of a file ({error})") from None
    if len(data) > most:
        raise complaint(where, f"is longer than {most:,} bytes", fix="name a shorter file")
    return data


def read_text(file: str | os.PathLike[str], where: str = "") -> str:
    """Return the text of a file in UTF-8. Raises: MhoError for other bytes; and as `read_bytes`."""
    data = read_bytes(file, where=where)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wrong = f"is no text file: byte {error.start + 1} is {data[error.start]:#04x}"
        raise complaint(where or str(file), wrong, "Needed: text in UTF-8") from None


def read_rows(file: str | os.PathLike[str], fix: str) -> list[dict[str, float]]:
    """Return the lines of a CSV file of numbers, whose first line names the columns.

    Raises: MhoError with the line and `fix`, if a line has another number of cells, or a cell is no finite number.
    """
    lines = csv.reader(io.StringIO(read_text(file), newline=""))
    try:
        names = next(lines, [])
        if len(set(names)) < len(names):
            raise complaint(f"{file}, line 1", "two columns have one name", fix=fix)
        return [_row(names, cells, f"{file}, line {lines.line_num}", fix) for cells in lines]
    except csv.Error as error:
        raise complaint(
            f"{file}, line {lines.line_num}", f"is no line of numbers ({error})", fix=fix
        ) from None


def _row(names: list[str], cells: list[str], where: str, fix: str) -> dict[str, float]:
    if len(cells) != len(names):
        raise complaint(where, f"{len(cells)} cells", f"Needed: {len(names)}, as in line 1", fix)
    row = {}
    for name, cell in zip(names, cells, strict=True):
        try:
            row[name] = float(cell)
        except ValueError:
            raise complaint(where, f"{name} is {_short(cell)}", f"Needed: {WORDS[float]}", fix) from None
        if not math.isfinite(row[name]):
            raise complaint(where, f"{name} is {cell}", f"Needed: {WORDS[float]}", fix)
    return row


def check(value: Any, kind: Any, where: str, fix: str = "") -> None:
    """Check the data of a file against a type.

    Args:
        value: data, such as JSON gives.
        kind: float (a finite number), int, str, bool, None, Any, a class; unions, lists, tuples and dicts of them;
            a TypedDict, which leaves other keys free.
        where: the file; fix: the remedy.
    Raises: MhoError that names the first place where they differ.
    """
    for at, found, need in _faults(value, kind, ""):
        raise complaint(where, f"{at or 'its content'} is {found}", f"Needed: {need}", fix)


def _faults(value: Any, kind: Any, at: str) -> Iterator[tuple[str, str, str]]:
    """Yield (place, what is there, what is needed)."""
    kind = NoneType if kind is None else kind
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        found = [next(_faults(value, one, at), None) for one in inner]
        if None not in found:
            inside = (one for one in found if one and one[0] != at)
            yield next(inside, (at, _short(value), _words(kind)))
    elif is_typeddict(kind) and isinstance(value, dict):
        for name, one in get_type_hints(kind).items():
            if name in value:
                yield from _faults(value[name], one, _below(at, name))
            elif name in kind.__required_keys__:
                yield _below(at, name), "missing", _words(one)
    elif origin is dict and isinstance(value, dict):
        for key, part in value.items():
            yield from _faults(part, inner[1], _below(at, key))
    elif origin is list and isinstance(value, list | tuple):
        for n, part in enumerate(value):
            yield from _faults(part, inner[0], _below(at, n))
    elif origin is tuple and isinstance(value, list | tuple) and len(value) == len(inner):
        for n, part in enumerate(value):
            yield from _faults(part, inner[n], _below(at, n))
    elif kind is not Any and not _is(value, kind):
        yield at, _short(value), _words(kind)


def _is(value: Any, kind: Any) -> bool:
    if kind is float:
        return type(value) in (int, float) and abs(value) <= sys.float_info.max
    if not isinstance(kind, type) or is_typeddict(kind):
        return False
    return isinstance(value, kind) and (kind is bool or type(value) is not bool)


def _words(kind: Any) -> str:
    """Return the words for a type in an error."""
    if is_typeddict(kind) or get_origin(kind) is dict:
        return WORDS[dict]
    if get_origin(kind) in (list, tuple):
        return f"a list of {len(get_args(kind))}" if get_origin(kind) is tuple else WORDS[list]
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(map(_words, get_args(kind)))
    return WORDS.get(kind, f"a {getattr(kind, '__name__', kind)}")


def _below(at: str, key: Any) -> str:
    return f"{at}.{key}" if at else str(key)


def _short(value: Any) -> str:
    """Return a value as Python writes it, shortened."""
    try:
        return _SHORT.repr(value)
    except ValueError:
        return shown(value)
