"""The label of a checkpoint: the hardware it was saved from, compared with the model's before it is loaded."""

import ast
import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from mho.base.errors import MhoError, complaint
from mho.base.records import Record
from mho.crossbar import Crossbar

NAME = "analog_hardware"
"""The entry of a state_dict, one for each matrix, that holds its label."""
COMPARED = "algorithm", "device", "mapping", "count_cells"
"""The fields that give the stored numbers their meaning. Converters and pulses may differ: they only act later."""
DIGITAL = " (the checkpoint has a digital layer here: load it first, then mho.convert_ the model)"
_MOST = 6  # differences, and layers, that an error lists


def label(
    hardware: Crossbar, shape: tuple[int, int], references: Iterable[str], given: Sequence[str] = ()
) -> torch.Tensor:
    """Return (n,) int16: shape (out, in), hardware and names of arrays with a reference as JSON text.

    Fields that have their defaults are left out. One number is a byte below 128, so that sums and means of
    state_dicts, as of federated averages, keep what they add up.
    """
    facts = {"shape": repr(shape)} | {p: v for n in COMPARED for p, v in _facts(getattr(hardware, n), n)}
    facts["arrays with a reference (Tile.subtract)"] = ", ".join(references) or "none"
    if given:
        facts["parameters of cells set by name (layer.arrays())"] = ", ".join(given)
    return torch.frombuffer(bytearray(json.dumps(facts).encode()), dtype=torch.uint8).to(torch.int16)


def differences(saved: torch.Tensor, own: torch.Tensor) -> list[str]:
    """List in words the differences of a saved label from the own one; [] if they agree."""
    was, now = _read(saved), _read(own)
    names = [n for n in (*now, *(n for n in was if n not in now)) if not _same(was.get(n), now.get(n))]
    # Of two records of different classes the fields are not compared.
    inner = [n for n in names if not any(n.startswith((f"{o}.", f"{o}[")) for o in names)]
    default = "the default"
    return [f"{n}: {was.get(n, default)} in the checkpoint, {now.get(n, default)} here" for n in inner]


class Labelled(nn.Module):
    """A matrix with a label in its state_dict, which is compared before its numbers are loaded."""

    @property
    def analog_hardware(self) -> torch.Tensor:
        """The label, see `label`."""
        raise NotImplementedError

    def _save_to_state_dict(self, destination, prefix, keep_vars) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + NAME] = self.analog_hardware

    def _load_from_state_dict(self, state_dict, prefix, metadata, strict, missing_keys, *args) -> None:
        check(self, state_dict, prefix)
        given = dict(state_dict)
        if given.pop(prefix + NAME, None) is None and strict:
            hint = "" if any(key.startswith(prefix) for key in given) else DIGITAL
            missing_keys.append(prefix + NAME + hint)
        super()._load_from_state_dict(given, prefix, metadata, strict, missing_keys, *args)


def check(model: nn.Module, state_dict: Mapping[str, Any], prefix: str, *_: Any) -> None:
    """Compare the labels of all matrices in the model with the saved ones: a hook before `load_state_dict`.

    Raises: MhoError that says what differs, before anything is loaded.
    """
    problems: dict[str, list[str]] = {}
    for name, matrix in model.named_modules():
        if isinstance(matrix, Labelled):
            place = f"{prefix}{name}."[: None if name else -1]
            for what in _problems(matrix, state_dict, place):
                problems.setdefault(what, []).append(repr(place[:-1]))
    if problems:
        raise _mismatch(problems)


def guard(model: nn.Module) -> None:
    """Have the whole model checked before any part of it is loaded."""
    if not any(getattr(hook, "hook", None) is check for hook in model._load_state_dict_pre_hooks.values()):
        model.register_load_state_dict_pre_hook(check)


def save_once(model: nn.Module) -> None:
    """Have matrices that layers of the model share (tied weights) in its state_dict under their first name alone.

    safetensors takes no tensor twice. A state_dict with any of the names, or with all, can be loaded.
    """
    if not any(hook is _drop for hook in model._state_dict_hooks.values()):
        model.register_state_dict_post_hook(_drop)
        model.register_load_state_dict_pre_hook(_fill)


def _drop(model: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    for _first, *others in _shared(model, prefix):
        for name in [name for name in state_dict if name.startswith(tuple(others))]:
            del state_dict[name]


def _fill(model: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    for places in _shared(model, prefix):
        entries = {place: [name for name in state_dict if name.startswith(place)] for place in places}
        source = next((place for place in places if entries[place]), "")
        for place in places:
            if not entries[place]:
                given = {
                    place + name.removeprefix(source): state_dict[name] for name in entries.get(source, [])
                }
                state_dict.update(given)


def _shared(model: nn.Module, prefix: str) -> list[list[str]]:
    """Return, of each matrix that several modules have, the beginnings of the names of its tensors."""
    found: dict[nn.Module, list[str]] = {}
    for name, parent in model.named_modules():
        for leaf, child in parent._modules.items():
            if isinstance(child, Labelled):
                found.setdefault(child, []).append(f"{prefix}{name}{'.' if name else ''}{leaf}.")
    return [places for places in found.values() if len(places) > 1]


def _problems(matrix: Labelled, state_dict: Mapping[str, Any], prefix: str) -> list[str]:
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
    """Yield (place, text) of everything in a record that has not its default."""
    if isinstance(value, Record):
        yield at, type(value).__name__
        for field in dataclasses.fields(value):  # type: ignore[arg-type]
            own = getattr(value, field.name)
            default = (
                field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
            )
            if not _alike(own, default):
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


def _alike(own: Any, default: Any) -> bool:
    if _same(repr(own), repr(default)):
        return True
    try:
        return bool(own == default)
    except (RuntimeError, ValueError):  # arrays, of a law of one's own
        return False


def _same(a: str | None, b: str | None) -> bool:
    """Return whether two texts mean the same value: 1 and 1.0 are one number."""
    if a == b or a is None or b is None:
        return a == b
    try:
        return ast.literal_eval(a) == ast.literal_eval(b)
    except (ValueError, SyntaxError):  # no literals, such as the names of classes
        return False


def _read(saved: torch.Tensor) -> dict[str, str]:
    try:
        return json.loads(bytes(saved.detach().cpu().double().round().to(torch.uint8).numpy()))
    except ValueError:
        return {"label": "unreadable"}
