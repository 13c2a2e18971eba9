"""mho: train neural networks on simulated resistive crossbars."""

from mho import algorithms, nn, responses
from mho.algorithms import Algorithm, State, Term
from mho.crossbar import Crossbar, Mapping
from mho.device import Device
from mho.errors import MhoError
from mho.io import IO
from mho.nn.convert import convert_
from mho.optim import AnalogOptimizer
from mho.pulses import Exact, Expected, Pulses
from mho.report import PulseCount, pulse_report
from mho.responses import Response, SymmetricPoint
from mho.threads import deterministic, get_threads, set_threads
from mho.tile import Tile, UpdateInfo

__version__ = "0.1.0"
__all__ = [
    "IO",
    "Algorithm",
    "AnalogOptimizer",
    "Crossbar",
    "Device",
    "Exact",
    "Expected",
    "Mapping",
    "MhoError",
    "PulseCount",
    "Pulses",
    "Response",
    "State",
    "SymmetricPoint",
    "Term",
    "Tile",
    "UpdateInfo",
    "algorithms",
    "convert_",
    "deterministic",
    "get_threads",
    "nn",
    "pulse_report",
    "responses",
    "set_threads",
]
