"""Records as plain data and back: the contents of a run's config.json, of `--config` and of `--set`.

    {"type": "Device", "response": {"type": "Power", "tau": 0.6}, "dw_min": 0.001}

A name stands for a record with its defaults: `"response": "Power"`, `"algorithm": "residual-learning"`. Names have
any spelling, see `mho.base.registry`. Nothing in a file is executed: types are looked up among the records of this
package.
"""

import dataclasses
import inspect
import json
import math
import os
import re
import sys
import tomllib
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from mho.base.errors import MhoError, complaint, did_you_mean, shown, within
from mho.base.records import Record, field_rules, name_instead
from mho.base.registry import find, registered
from mho.base.stored import read_text

DEEPEST = 64  # tables and lists inside each other in a file
_DOTTED = re.compile(rf"""(?<![\w-])((?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{DEEPEST}}}""")
"""Keys such as a.b.c of that depth, for which the parser takes time that grows with the square of the length."""


def to_dict(record: Record) -> dict[str, Any]:
    """Return the record as JSON data: dicts with a tag `type`, lists, strings, finite numbers, booleans, None.

    A class of the user's own is written under its full name, for the reader; `from_dict` refuses that name.
    """
    cls = type(record)
    known = registered().get(cls.__name__) is cls
    tag = cls.__name__ if known else f"{cls.__module__}.{cls.__qualname__}"
    fields = dataclasses.fields(record)  # type: ignore[arg-type]
    return {"type": tag} | {f.name: _plain(getattr(record, f.name), f"{tag}.{f.name}") for f in fields}


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, Record):
        return to_dict(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(v, f"{where}.{key}") for key, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(v, where) for v in value]
    if hasattr(value, "tolist"):  # an array or a tensor
        return _plain(value.tolist(), where)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if (
        value is None
        or isinstance(value, (bool, int, str))
        or (isinstance(value, float) and math.isfinite(value))
    ):
        return value
    raise complaint(where, f"{value!r} cannot be written as JSON")


def from_dict(data: Any, at: str = "", kind: Any = Record) -> Any:
    """Build the record that `to_dict` wrote.

    Args:
        data: a dict with the tag `type`, or a bare name.
        at: place of the data in the file, for error messages, such as `hardware.device`.
        kind: class or union of classes that fits there; if only one class fits, the tag may be left out.
    Raises: MhoError that names the place, the value and the nearest known name.
    """
    place = at or "configuration"
    if isinstance(data, str):
        data = {"type": data}
    if not isinstance(data, Mapping):
        raise complaint(place, f"{data!r} is no table of fields", 'Needed: {"type": ..., field: value, ...}')
    cls = _class_of(data, place, kind)
    rules = field_rules(cls)
    values = {}
    for name, value in data.items():
        path = f"{at}.{name}" if at else name
        if name == "type":
            continue
        if name not in rules:
            raise complaint(
                path, f"{cls.__name__} has no field {name!r} (= {shown(value)})", name_instead(cls, name)
            )
        values[name] = _build(value, rules[name][0], path)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    missing = [field.name for field in fields if _is_needed(field) and field.name not in values]
    if missing:
        raise complaint(place, f"a {cls.__name__} needs {' and '.join(map(repr, missing))}")
    try:
        return cls(**values)
    except MhoError as error:
        raise within(place, error) from None


def _is_needed(field: dataclasses.Field) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING


def _class_of(data: Mapping[str, Any], place: str, kind: Any) -> type[Record]:
    wanted = tuple(k for k in _alternatives(kind) if _is_record(k))
    fitting = registered(*wanted)
    if "type" not in data:
        if len(wanted) == 1 and wanted[0] in fitting.values():
            return wanted[0]
        raise complaint(place, "no type is named", f"Needed: type = one of {', '.join(fitting)}")
    tag = str(data["type"])
    found = find(place, tag, *wanted)
    if found is not None:
        return found
    if "." in tag:
        raise complaint(
            place, f"{tag} is no class of mho; a file cannot rebuild it", fix="build it in Python"
        )
    raise complaint(place, f"no type {tag!r} fits here", did_you_mean(tag, fitting))


def _build(value: Any, kind: Any, path: str) -> Any:
    """Return `value` as a field annotated `kind` takes it: records built, lists made tuples, types checked."""
    options = _alternatives(kind)
    records = [k for k in options if _is_record(k)]
    table = next((k for k in options if inspect.isclass(_bare(k)) and issubclass(_bare(k), Mapping)), None)
    if isinstance(value, Mapping) and records and ("type" in value or table is None):
        return from_dict(value, path, kind)
    if isinstance(value, Mapping) and table is not None:
        inner = (*get_args(table), Any)[1] if get_args(table) else Any
        return {str(key): _build(v, inner, f"{path}.{key}") for key, v in value.items()}
    if isinstance(value, str) and records and str not in options:
        return from_dict(value, path, kind)
    for option in options:
        if option is Any or (option is types.NoneType and value is None):
            return value
        if get_origin(option) is Literal and value in get_args(option):
            return value
        if isinstance(value, list) and _bare(option) in (tuple, list, Sequence):
            return tuple(_build(v, (*get_args(option), Any)[0], path) for v in value)
        if option is float and type(value) is int and abs(value) <= sys.float_info.max:
            return float(value)
        if option is float and type(value) is float:
            return value
        if option in (int, str, bool) and type(value) is option:
            return value
    raise complaint(path, f"{shown(value)} does not fit", f"Needed: {' or '.join(map(_words, options))}")


def _alternatives(kind: Any) -> list[Any]:
    """Return the members of a union, int before float, so that 1 stays an int if both fit."""
    if get_origin(kind) is Annotated:
        return _alternatives(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        members = [a for k in get_args(kind) for a in _alternatives(k)]
        return sorted(members, key=lambda k: k is float)
    return [kind]


def _words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    return "null" if kind is types.NoneType else getattr(kind, "__name__", str(kind))


def _bare(kind: Any) -> Any:
    return get_origin(kind) or kind


def _is_record(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, Record)


def override(data: dict[str, Any], assignment: str) -> dict[str, Any]:
    """Return a copy of the data of `to_dict` in which `path.to.field=value` holds; the value is JSON, else a
    string.

    A table without a type (`device.spread.gain=0.1`) may get new entries; a record may not.
    """
    path, equals, text = assignment.partition("=")
    where = f"settings={assignment!r}"
    if not equals or not path:
        raise complaint(
            where, "this is no assignment", "Needed: path.to.field=value", "such as device.dw_min=1e-3"
        )
    value = _value(text)
    copy = json.loads(json.dumps(data))
    node, parts = copy, path.strip().split(".")
    for i, part in enumerate(parts):
        if not isinstance(node, dict):
            raise complaint(where, f"{'.'.join(parts[:i])} is {node!r} and has no fields")
        if part not in node and ("type" in node or i + 1 < len(parts)):
            fields = [key for key in node if key != "type"]
            raise complaint(
                where, f"{node.get('type', 'the table')} has no {part!r}", did_you_mean(part, fields)
            )
        if i + 1 < len(parts):
            node = node[part]
    node[parts[-1]] = value
    return copy


def _value(text: str) -> Any:
    """Return the value that JSON reads, or the number that Python reads, or the text itself."""
    for parse in (json.loads, float):
        try:
            return parse(text)
        except (ValueError, RecursionError):
            pass
    return text


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the table in a .json or .toml file.

    Raises: MhoError if the file holds none, names a field twice, is nested too deeply, or cannot be read.
    """
    path = Path(path)
    text = read_text(path)
    try:
        if path.suffix == ".toml" and _DOTTED.search(text):
            raise RecursionError
        data = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text, object_pairs_hook=_once)
    except ValueError as error:  # of json or tomllib
        kind = "TOML" if path.suffix == ".toml" else "JSON"
        raise complaint(str(path), f"is no valid {kind} ({error})") from None
    except RecursionError:
        raise complaint(str(path), "is nested too deeply") from None
    if not isinstance(data, dict):
        raise complaint(str(path), "holds no table of fields")
    if _deep(data):
        raise complaint(
            str(path), "is nested too deeply", f"{DEEPEST} tables and lists inside each other at most"
        )
    return data


def record_in(path: str | os.PathLike[str], kind: Any = Record) -> Any:
    """Return the record that a file describes, see `read` and `from_dict`. Raises: MhoError that names the file."""
    data = read(path)
    try:
        return from_dict(data, kind=kind)
    except MhoError as error:
        raise within(str(path), error) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a table of JSON. Raises: ValueError if a name stands twice in it."""
    table: dict[str, Any] = {}
    for name, value in pairs:
        if name in table:
            raise ValueError(f"{name!r} stands twice in one table")
        table[name] = value
    return table


def _deep(data: Any) -> bool:
    """Return whether tables and lists stand more than `DEEPEST` times inside each other."""
    level = [data]
    for _ in range(DEEPEST):
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [part for parts in inner for part in parts if isinstance(part, dict | list)]
    return bool(level)
