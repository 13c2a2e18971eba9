"""mho: train neural networks on simulated resistive crossbars.

Names are imported when they are first used, so that `mho --help` does not wait for torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mho import (
        aihwkit,
        algorithms,
        calibration,
        cells,
        nn,
        parallel,
        presets,
        responses,
        retention,
        theory,
    )
    from mho.algorithms import Algorithm, State, Term
    from mho.cells import OneSided, Reference, Vector
    from mho.crossbar import Crossbar, Mapping
    from mho.device import Device
    from mho.diagnosis import diagnose
    from mho.errors import MhoError
    from mho.inventory import summary
    from mho.io import IO
    from mho.nn.conversion.convert import convert_, to_digital_
    from mho.optim import AnalogOptimizer
    from mho.pulses import Exact, Expected, Pulses
    from mho.report import PulseCount, pulse_report
    from mho.responses import Response, SymmetricPoint
    from mho.retention import Retention
    from mho.spread import Absolute, LogNormal
    from mho.threads import deterministic, get_threads, set_threads
    from mho.tile import Tile, UpdateInfo

__version__ = "0.1.0"

_HOME = {  # module -> the public names it holds; "" are modules themselves
    "": (
        "aihwkit",
        "algorithms",
        "calibration",
        "cells",
        "nn",
        "parallel",
        "presets",
        "responses",
        "retention",
        "theory",
    ),
    "algorithms": ("Algorithm", "State", "Term"),
    "cells": ("OneSided", "Reference", "Vector"),
    "crossbar": ("Crossbar", "Mapping"),
    "device": ("Device",),
    "diagnosis": ("diagnose",),
    "errors": ("MhoError",),
    "inventory": ("summary",),
    "io": ("IO",),
    "nn.conversion.convert": ("convert_", "to_digital_"),
    "optim": ("AnalogOptimizer",),
    "pulses": ("Exact", "Expected", "Pulses"),
    "report": ("PulseCount", "pulse_report"),
    "responses": ("Response", "SymmetricPoint"),
    "retention": ("Retention",),
    "spread": ("Absolute", "LogNormal"),
    "threads": ("deterministic", "get_threads", "set_threads"),
    "tile": ("Tile", "UpdateInfo"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}
__all__ = [
    "IO",
    "Absolute",
    "Algorithm",
    "AnalogOptimizer",
    "Crossbar",
    "Device",
    "Exact",
    "Expected",
    "LogNormal",
    "Mapping",
    "MhoError",
    "OneSided",
    "PulseCount",
    "Pulses",
    "Reference",
    "Response",
    "Retention",
    "State",
    "SymmetricPoint",
    "Term",
    "Tile",
    "UpdateInfo",
    "Vector",
    "aihwkit",
    "algorithms",
    "calibration",
    "cells",
    "convert_",
    "deterministic",
    "diagnose",
    "get_threads",
    "nn",
    "parallel",
    "presets",
    "pulse_report",
    "responses",
    "retention",
    "set_threads",
    "summary",
    "theory",
    "to_digital_",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'mho' has no attribute {name!r}")
    module = _MODULE_OF[name]
    value = (
        getattr(importlib.import_module(f"mho.{module}"), name)
        if module
        else importlib.import_module(f"mho.{name}")
    )
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
