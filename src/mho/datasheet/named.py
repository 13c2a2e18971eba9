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
from mho.base.registry import find, kebab, names, pick, plain
from mho.crossbar import Crossbar
from mho.device.device import Device
from mho.presets import PRESETS
from mho.responses.base import Response

__all__ = ["NamedDevice", "lookup", "single"]


class NamedDevice(NamedTuple):
    """A device, its name, and the origin of its numbers ("" if nobody says so)."""

    name: str
    device: Device
    source: str
    note: str


def lookup(name: str, settings: Sequence[str] = ()) -> NamedDevice:
    """Find the device that a name or a file stands for.

    Args:
        name: a preset; a law of `mho.responses`, which is put into a device with the defaults; or a .json or
            .toml file of a Device, of a Crossbar or of a run with one device. Names in any spelling.
        settings: assignments relative to the device, such as `dw_min=0.01` or `response.tau=0.6`.
    Raises: MhoError for an unknown name, a file that holds no device, and a setting that does not fit.
    """
    is_file = name.lower().endswith((".json", ".toml")) or os.sep in name
    found = _from_file(name) if is_file else _from_name(name)
    data = to_dict(found.device)
    for setting in settings:
        data = override(data, setting.strip().removeprefix("device."))
    return found._replace(device=from_dict(data, kind=Device)) if settings else found


def single(device: Any, where: str) -> Device:
    """Return the one device that this is, or the one that all devices of a composed cell equal.

    Raises: MhoError, which names `where`, for several devices that differ.
    """
    if isinstance(device, Mapping):
        arrays = ", ".join(device)
        raise complaint(where, f"it holds several devices ({arrays})", fix="write one of them to a file")
    inner = device if isinstance(device, Device) else getattr(device, "device", None)
    if not isinstance(inner, Device):
        what = f"it is a {type(device).__name__}, made of several devices"
        raise complaint(where, what, fix="write one of them to a file")
    return inner


def _from_name(name: str) -> NamedDevice:
    known = pick(name, PRESETS)
    if known is not None:
        preset = PRESETS[known]
        return NamedDevice(known, single(preset.device, name), preset.source, preset.note)
    law = find(name, name, Response)
    if law is None:
        guess = did_you_mean(name, [*PRESETS, *names(Response)])
        raise complaint(name, "there is no such preset, law or .json or .toml file", guess)
    try:
        device = Device(law())
    except TypeError:  # a field without a default
        raise complaint(name, f"{law.__name__} has no defaults", fix="name a file of a Device") from None
    return NamedDevice(kebab(law.__name__), device, "", "the law's defaults in the default device")


def _from_file(path: str) -> NamedDevice:
    data, at = read(path), ""
    if plain(str(data.get("type"))) == "runspec":  # of a run only the hardware counts
        data, at = data.get("hardware") or {}, "hardware"
        if not data:
            raise complaint(path, "this run is digital, so it holds no device")
    part = from_dict(data, at, kind=Device | Crossbar)
    device = part.device if isinstance(part, Crossbar) else part
    file = Path(path).absolute()
    shared = file.stem in ("device", "config")  # names that all folders share
    return NamedDevice(file.parent.name if shared else file.stem, single(device, path), "", f"from {path}")
