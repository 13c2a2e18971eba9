"""The hardware of a layer: one frozen object."""

from collections.abc import Mapping as Map
from typing import Annotated, ClassVar, Literal

import torch

from mho.algorithms.base import Algorithm
from mho.algorithms.residual_learning import ResidualLearning
from mho.base.errors import complaint, wrong_type
from mho.base.records import Domain, NonNegative, Record
from mho.device.composed import ComposedCell
from mho.device.device import Device
from mho.device.io import IO, by_direction
from mho.device.pulses import Exact, Expected, Pulses, PulseScheme


def _all_lines(name: str, value: float) -> str:
    """Return the remedy for a size of tiles that is none."""
    return f"{name}=None for tiles of any size" + ("; aihwkit writes 0 for that" if value == 0 else "")


Lines = Domain("an integer of at least 1, or None", lambda v: v == int(v) and v >= 1, _all_lines)


class Mapping(Record):
    """The layout of a layer's weight matrix on crossbars.

    Args:
        max_in, max_out: largest tile [lines], None for no limit. A larger layer becomes several sub-tiles, each
            with its own cells, converters, column pointer and output scale; their outputs add up digitally.
        omega: if > 0, initial weights are divided by a digital scale so that the largest |w| is omega.
        columnwise: that scale is one for each output line (else one for each sub-tile).
        rates: which weight a learning rate refers to if omega > 0. With "layer" it is the scale times the weight of
            the cells: d is divided by the scale's square, and exact updates train the layer as without omega. With
            "cells" the cells take d as it reaches them.
        out_scale: a learned digital factor behind the converters: "scalar", one a sub-tile; "columnwise",
            one an output line; "none". It starts at 1 and is trained with the digital parameters.
        bias: "digital", added behind the converters; or "analog", one more column of cells, whose input is 1.
    Source: arXiv 2502.06309, appendix K, and arXiv 2602.21321, section 4. aihwkit: MappingParameter
    (weight_scaling_omega, weight_scaling_columnwise, learn_out_scaling, out_scaling_columnwise), and
    TileWithPeriphery.pre_update for the rates.
    """

    synonyms: ClassVar = {
        "max_input_size": "max_in",
        "max_output_size": "max_out",
        "weight_scaling_omega": "omega",
        "weight_scaling_columnwise": "columnwise",
        "weight_scaling_lr_compensation": "rates",
        "learn_out_scaling": "out_scale",
        "out_scaling_columnwise": 'out_scale="columnwise"',
        "digital_bias": 'bias="digital" or "analog"',
    }

    max_in: Annotated[int | None, Lines] = 512
    max_out: Annotated[int | None, Lines] = 512
    omega: Annotated[float, NonNegative] = 0.0
    columnwise: bool = True
    rates: Literal["layer", "cells"] = "layer"
    out_scale: Literal["scalar", "columnwise", "none"] = "scalar"
    bias: Literal["digital", "analog"] = "digital"

    def scaled(self, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weights with largest |w| = omega, and the digital scale (out,), (1,) or empty that undoes it."""
        if self.omega == 0:
            return w, w.new_empty(0)
        largest = w.abs().amax(dim=1) if self.columnwise else w.abs().max().reshape(1)
        scale = torch.where(largest > 0, largest / self.omega, torch.ones_like(largest))
        return w / scale.reshape(-1, 1), scale


class Crossbar(Record):
    """The hardware of an analog layer: algorithm, device, converters, pulses and layout.

    `device`, `pulses` and `io` take one value, or a mapping by role: devices by array ("P", "W"), pulses by
    "update" and "transfer", converters by "forward", "backward" and "transfer".

    Args:
        algorithm: one of mho.algorithms.
        device: of every array, or {array: Device}; a cell of `mho.cells` in place of a Device.
        io: `IO`, {direction: IO}, or None for perfect converters.
        pulses: `Pulses`, `Expected` or `Exact`, or {"update": ..., "transfer": ...}.
        mapping: sub-tile sizes and digital scales.
        count_cells: keep pulse counters for every cell.
    """

    algorithm: Algorithm = ResidualLearning()
    device: Device | ComposedCell | Map[str, Device | ComposedCell] = Device()
    io: IO | Map[str, IO] | None = IO()
    pulses: PulseScheme | Map[str, PulseScheme] = Pulses()
    mapping: Mapping = Mapping()
    count_cells: bool = False

    def validate(self) -> None:
        rules: tuple[tuple[str, tuple[type, ...]], ...] = (
            ("algorithm", (Algorithm,)),
            ("device", (Device, ComposedCell)),
            ("pulses", (Pulses, Expected, Exact)),
            ("mapping", (Mapping,)),
        )
        for name, kinds in rules:
            value = getattr(self, name)
            by_role = isinstance(value, Map) and name in ("device", "pulses")
            for part in value.values() if by_role else [value]:
                if not isinstance(part, kinds):
                    names = (
                        "a cell of mho.cells" if k is ComposedCell else f"mho.{k.__name__}" for k in kinds
                    )
                    need = "an " + " or ".join(names)
                    raise wrong_type(f"Crossbar({name}=...)", "it", part, need)
        by_direction(self.io)

    def device_of(self, array: str) -> Device | ComposedCell:
        """Return the device of the array with this name."""
        return _by_role(self.device, array, "device")

    def pulses_of(self, role: str) -> PulseScheme:
        """Return the pulses for "update" or "transfer"."""
        return _by_role(self.pulses, role, "pulses")


def _by_role(value, role: str, what: str):
    if not isinstance(value, Map):
        return value
    if role not in value:
        raise complaint(
            f"Crossbar({what}={{...}})",
            f"nothing is given for {role!r}",
            f"It names {', '.join(map(repr, value))}",
            f"add {role!r}, or pass one value for all roles",
        )
    return value[role]
