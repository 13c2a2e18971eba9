"""A device by the name of a preset or of a law, or from a file."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import mho.algorithms
import mho.cells
import mho.responses  # noqa: F401  all three register what a file may name
from mho.base.config import from_dict, override, read, to_dict
from mho.base.errors import complaint, did_you_mean
from mho.base.registry import find, kebab, names, pick, plain
from mho.crossbar import Crossbar
from mho.device.composed import ComposedCell
from mho.device.device import Device
from mho.presets import PRESETS
from mho.responses.base import Response

__all__ = ["NamedDevice", "lookup"]


class NamedDevice(NamedTuple):
    """A device or a cell of several, its name, and the origin of its numbers ("" if nobody says so)."""

    name: str
    device: Device | ComposedCell
    source: str
    note: str

    @property
    def single(self) -> Device:
        """The device. Raises: MhoError for a cell of several."""
        if isinstance(self.device, ComposedCell):
            parts = ", ".join(part.name for part in self.device.leaves())
            what = f"it is a {type(self.device).__name__}, made of several devices ({parts})"
            raise complaint(self.name, what, fix="write one of them to a file")
        return self.device


def lookup(name: str, settings: Sequence[str] = ()) -> NamedDevice:
    """Find the device, or the cell of several, that a name or a file stands for.

    Args:
        name: a preset; a law of `mho.responses`, which is put into a device with the defaults; or a .json or
            .toml file of a Device, of a cell, of a Crossbar or of a run with one of them. Names in any spelling.
        settings: assignments relative to the device, such as `dw_min=0.01` or `response.tau=0.6`; to a composed
            cell, such as `refresh_every=5` or `device.dw_min=0.01`.
    Raises: MhoError for an unknown name, a file that holds no device, and a setting that does not fit.
    """
    is_file = name.lower().endswith((".json", ".toml")) or os.sep in name
    found = _from_file(name) if is_file else _from_name(name)
    data, prefix = to_dict(found.device), "device." if isinstance(found.device, Device) else ""
    for setting in settings:
        data = override(data, setting.strip().removeprefix(prefix))
    return found._replace(device=from_dict(data, kind=Device | ComposedCell)) if settings else found


def _from_name(name: str) -> NamedDevice:
    known = pick(name, PRESETS)
    if known is not None:
        preset = PRESETS[known]
        return NamedDevice(known, preset.device, preset.source, preset.note)
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
    part = from_dict(data, at, kind=Device | ComposedCell | Crossbar)
    device = part.device if isinstance(part, Crossbar) else part
    if isinstance(device, Mapping):
        arrays = ", ".join(device)
        raise complaint(path, f"it holds several devices ({arrays})", fix="write one of them to a file")
    file = Path(path).absolute()
    shared = file.stem in ("device", "config")  # names that all folders share
    return NamedDevice(file.parent.name if shared else file.stem, device, "", f"from {path}")
