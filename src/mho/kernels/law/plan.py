"""The input of the kernels' compiler: a cell's law, the values of its parameters, and the noise of its pulses.

Kernels know neither devices nor responses. An owner of cells, such as a tile or a calibration, makes a `KernelPlan`
of them; the protocols say what else kernels read from their callers' records.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from mho.base.errors import MhoError, complaint
from mho.base.outside import Outside, changed, outside
from mho.base.records import Record, float_fields


class PulsedCell(Protocol):
    """A device, as far as a kernel depends on it."""

    @property
    def response(self) -> Any: ...
    @property
    def dw_min(self) -> float: ...
    @property
    def sigma_c2c(self) -> float: ...
    @property
    def c2c(self) -> Literal["additive", "multiplicative", "law"]: ...


@dataclasses.dataclass(frozen=True)
class KernelPlan:
    """The cells that a kernel is made for.

    Args:
        law: a response law: a record with float fields, whose methods `up` and `down`, or `noisy_up` and
            `noisy_down`, are torch expressions.
        values: the parameters of the cells by name: the float fields of the law, "gain" or "gain_up" and
            "gain_down", "lower", "upper". Numbers where all cells agree, else (out, in).
        dw_min: change of the weight by one pulse at q = 1 [weight units].
        sigma_c2c: cycle-to-cycle noise [relative to dw_min].
        noise: its kind; "none" and "law" have no sigma_c2c.
        outside: what the law's methods read besides its fields; compiled code holds these values.
    Parameters that are one tensor share a plane.
    """

    law: Record
    values: Mapping[str, Any]
    dw_min: float
    sigma_c2c: float
    noise: Literal["none", "additive", "multiplicative", "law"]
    outside: tuple[Outside, ...] = ()

    @classmethod
    def of(cls, device: PulsedCell, values: Mapping[str, Any]) -> "KernelPlan":
        """Return the plan of cells of a device, whose parameters are `values`."""
        noise = device.c2c if device.sigma_c2c > 0 or device.c2c == "law" else "none"
        law = device.response
        return cls(law, values, device.dw_min, device.sigma_c2c, noise, outside(type(law)))

    @property
    def outdated(self) -> bool:
        """True once something that the law reads besides its fields has changed since the plan was made."""
        return bool(self.outside) and changed(self.outside)

    @functools.cached_property
    def fields(self) -> tuple[str, ...]:
        """The float fields of the law, in order of definition."""
        return float_fields(type(self.law))

    @functools.cached_property
    def plane_of(self) -> dict[str, int]:
        """The number of the plane of each parameter that differs from cell to cell."""
        varying = {n: v for n, v in self.values.items() if not isinstance(v, (int, float))}
        places = {key: k for k, key in enumerate(dict.fromkeys(map(id, varying.values())))}
        return {n: places[id(v)] for n, v in varying.items()}

    @property
    def planes(self) -> tuple[str, ...]:
        """The first parameter of each plane."""
        first = {k: n for n, k in reversed(self.plane_of.items())}
        return tuple(first[k] for k in range(len(first)))

    @property
    def scalars(self) -> tuple[str, ...]:
        """The parameters that all cells share."""
        return tuple(n for n in self.values if n not in self.plane_of)

    @property
    def numbers(self) -> tuple[float, ...]:
        """The numbers that all cells share: dw_min, sigma_c2c, then the scalars in their order."""
        return self.dw_min, self.sigma_c2c, *(float(self.values[n]) for n in self.scalars)

    @property
    def scal(self) -> tuple[np.float32, ...]:
        """The same in float32, as kernels take them."""
        return tuple(np.float32(v) for v in self.numbers)


class PulseTrain(Protocol):
    """The way in which an update reaches the cells; see `mho.Pulses`."""

    @property
    def bl(self) -> int: ...
    @property
    def rounding(self) -> str: ...
    @property
    def update_management(self) -> bool: ...
    @property
    def bl_management(self) -> bool: ...
    @property
    def aggregate(self) -> int: ...


class Sent(NamedTuple):
    """The outcome of one update; `bad` is a row that now holds a weight that is not finite, or -1."""

    up: int
    down: int
    bad: int
    clipped: int
    lines: int


class UpdateKernels(Protocol):
    """The compiled update of one tile, on a CPU or on a GPU."""

    plan: KernelPlan

    def update(self, x: Any, d: Any, lr: float, pulses: PulseTrain, event: int) -> Sent: ...
    def send_counted(self, n: Any, row: int, column: int, total: int, event: int) -> Sent: ...


def no_flow() -> MhoError:
    """Return the error of pulses that are to be applied together, whose noise only the law knows."""
    what = 'the device has c2c="law", whose noise is defined for single pulses'
    return complaint("Pulses(aggregate=...)", what, fix="use aggregate=0, or another c2c")
