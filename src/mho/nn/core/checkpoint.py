"""What a checkpoint says about the hardware it was saved from, compared with the model's before it is loaded."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from mho.base.errors import MhoError, complaint
from mho.base.records import Record
from mho.crossbar import Crossbar

if TYPE_CHECKING:
    from mho.nn.core.matrix import AnalogMatrix

NAME = "analog_hardware"
"""The entry of a state_dict, one for each matrix, that holds its label."""
COMPARED = "algorithm", "device", "mapping", "count_cells"
"""What the stored numbers mean. Converters and pulses may differ: they only say what happens next."""
DIGITAL = " (the checkpoint has a digital layer here: load it first, then mho.convert_ the model)"
_MOST = 6  # differences, and layers, that an error lists


def label(hardware: Crossbar, shape: tuple[int, int], references: Iterable[str]) -> torch.Tensor:
    """(n,) uint8: shape (out, in), hardware and names of arrays with a reference as JSON text, without fields that
    have their defaults."""
    facts = {"shape": repr(shape)} | {p: v for n in COMPARED for p, v in _facts(getattr(hardware, n), n)}
    facts["arrays with a reference (Tile.subtract)"] = ", ".join(references) or "none"
    return torch.frombuffer(bytearray(json.dumps(facts).encode()), dtype=torch.uint8)


def differences(saved: torch.Tensor, own: torch.Tensor) -> list[str]:
    """In words, what a saved label says otherwise than the own one; [] if they agree."""
    was, now = _read(saved), _read(own)
    names = [n for n in (*now, *(n for n in was if n not in now)) if was.get(n) != now.get(n)]
    # Of two records of different classes the fields are not compared.
    inner = [n for n in names if not any(n.startswith((f"{o}.", f"{o}[")) for o in names)]
    default = "the default"
    return [f"{n}: {was.get(n, default)} in the checkpoint, {now.get(n, default)} here" for n in inner]


def check(model: nn.Module, state_dict: Mapping[str, Any], prefix: str, *_: Any) -> None:
    """A hook before `load_state_dict`: compares the labels of all matrices in the model, before anything is loaded.

    Raises: MhoError that says what differs.
    """
    from mho.nn.core.matrix import AnalogMatrix

    problems: dict[str, list[str]] = {}
    for name, matrix in model.named_modules():
        if isinstance(matrix, AnalogMatrix):
            place = f"{prefix}{name}."[: None if name else -1]
            for what in _problems(matrix, state_dict, place):
                problems.setdefault(what, []).append(repr(place[:-1]))
    if problems:
        raise _mismatch(problems)


def guard(model: nn.Module) -> None:
    """Checks the whole model before any part of it is loaded."""
    if not any(getattr(hook, "hook", None) is check for hook in model._load_state_dict_pre_hooks.values()):
        model.register_load_state_dict_pre_hook(check)


def _problems(matrix: "AnalogMatrix", state_dict: Mapping[str, Any], prefix: str) -> list[str]:
    saved = state_dict.get(prefix + NAME)
    return [] if saved is None or saved.is_meta else differences(saved, matrix.analog_hardware)


def _mismatch(problems: Mapping[str, list[str]]) -> MhoError:
    lines = [f"{what} ({_few(places, ', ')})" for what, places in problems.items()]
    shown = _few(lines, "; ")
    fix = (
        "make the model with the hardware that it was saved with; or, to load its numbers all the same, remove "
        f"the entries that end in {NAME!r} from the state_dict and pass strict=False"
    )
    need = "Nothing was loaded into analog layers"
    return complaint(
        "load_state_dict", f"the checkpoint is of other hardware than the model. {shown}", need, fix
    )


def _few(parts: list[str], between: str) -> str:
    return between.join([*parts[:_MOST], "..."] if len(parts) > _MOST else parts)


def _facts(value: Any, at: str) -> Iterator[tuple[str, str]]:
    """(place, text) of everything in a record that has not its default."""
    if isinstance(value, Record):
        yield at, type(value).__name__
        for field in dataclasses.fields(value):  # type: ignore[arg-type]
            own = getattr(value, field.name)
            default = (
                field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
            )
            if repr(own) != repr(default):
                yield from _facts(own, f"{at}.{field.name}")
    elif isinstance(value, Mapping) and any(isinstance(part, Record) for part in value.values()):
        yield at, f"given for {', '.join(sorted(map(str, value)))}"
        for key in sorted(value, key=str):
            yield from _facts(value[key], f"{at}[{key!r}]")
    elif isinstance(value, (tuple, list)) and any(isinstance(part, Record) for part in value):
        for n, part in enumerate(value):
            yield from _facts(part, f"{at}[{n}]")
    else:
        yield at, repr(value)


def _read(saved: torch.Tensor) -> dict[str, str]:
    try:
        return json.loads(bytes(saved.cpu().to(torch.uint8).numpy()))
    except ValueError:
        return {"label": "unreadable"}
