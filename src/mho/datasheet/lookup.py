"""A device by the name of a preset or of a law, or from a file."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mho.algorithms
import mho.cells
import mho.responses  # noqa: F401  all three register what a file may name
from mho.base.config import from_dict, override, read, to_dict
from mho.base.errors import complaint, did_you_mean
from mho.base.registry import find, kebab, names, pick
from mho.crossbar import Crossbar
from mho.device.device import Device
from mho.presets import PRESETS, Preset
from mho.responses.base import Response

__all__ = ["Chosen", "choose", "laws", "presets", "single"]


class Chosen(NamedTuple):
    """A device, what it is called, and where its numbers come from ("" if nobody says so)."""

    name: str
    device: Device
    source: str
    note: str


def choose(name: str, settings: Sequence[str] = ()) -> Chosen:
    """The device that a name or a file stands for.

    Args:
        name: a preset; a law of `mho.responses`, which is put into a device with the defaults; or a .json or
            .toml file of a Device, of a Crossbar or of a run with one device. Names in any spelling.
        settings: assignments relative to the device, such as `dw_min=0.01` or `response.tau=0.6`.
    Raises: MhoError for an unknown name, a file that holds no device, and a setting that does not fit.
    """
    chosen = _read(name) if _is_file(name) else _named(name)
    data = to_dict(chosen.device)
    for setting in settings:
        data = override(data, setting.strip().removeprefix("device."))
    return chosen._replace(device=from_dict(data, kind=Device)) if settings else chosen


def presets() -> Mapping[str, Preset]:
    """{name: preset} of mho.presets; each has a device, a source and a note."""
    return PRESETS


def laws() -> dict[str, type[Response]]:
    """{name in kebab-case: class} of every law of mho.responses."""
    return names(Response)


def _is_file(name: str) -> bool:
    return name.lower().endswith((".json", ".toml")) or os.sep in name


def _named(name: str) -> Chosen:
    known = pick(name, presets())
    if known is not None:
        preset = presets()[known]
        return Chosen(known, single(preset.device, name), preset.source, preset.note)
    law = find(name, name, Response)
    if law is not None:
        try:
            return Chosen(kebab(law.__name__), Device(law()), "", "the law's defaults in the default device")
        except TypeError:  # a field without a default
            raise complaint(name, f"{law.__name__} has no defaults", fix="name a file of a Device") from None
    guess = did_you_mean(name, [*presets(), *laws()])
    raise complaint(name, "there is no such preset, law or .json or .toml file", guess)


def _read(path: str) -> Chosen:
    from mho.training.spec import RunSpec

    part = from_dict(read(path), kind=Device | Crossbar | RunSpec)
    if isinstance(part, RunSpec):
        part = part.hardware
    device = part.device if isinstance(part, Crossbar) else part
    if device is None:
        raise complaint(path, "this run is digital; it holds no device")
    file = Path(path).absolute()
    name = (
        file.parent.name if file.stem in ("device", "config") else file.stem
    )  # names that all folders share
    return Chosen(name, single(device, path), "", f"from {path}")


def single(device: Any, where: str) -> Device:
    """The one device that it is, or that a cell of several equal devices is made of."""
    if isinstance(device, Mapping):
        arrays = ", ".join(device)
        raise complaint(where, f"it holds several devices ({arrays})", fix="write one of them to a file")
    inner = device if isinstance(device, Device) else getattr(device, "device", None)
    if not isinstance(inner, Device):
        what = f"it is a {type(device).__name__}, made of several devices"
        raise complaint(where, what, fix="write one of them to a file")
    return inner
