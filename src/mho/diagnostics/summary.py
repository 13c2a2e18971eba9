"""The summary of a model: a line for each analog layer and each digital module, as data and as a table."""

import dataclasses
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from mho.crossbar import Crossbar
from mho.device.composed import ComposedCell, alike
from mho.device.device import Device
from mho.nn.conversion.selection import Analog, walk
from mho.nn.core.block import Block
from mho.nn.core.layer import ANALOG_OF
from mho.nn.core.matrix import AnalogMatrix
from mho.requests.ways import reason

WHOLE = (Analog, AnalogMatrix, Block)


class LayerSummary(NamedTuple):
    """An analog layer of a model, or a digital module with parameters of its own.

    Args:
        name: in the model, "" for the model itself; kind: its class.
        shapes: (out, in) of each matrix of an analog layer, an analog bias being the last column; of a digital
            module the shapes of its parameters.
        tiles: sub-tiles of all matrices; arrays: names of the arrays of each sub-tile, such as ("W", "P").
        cells: devices in all arrays.
        hardware: the crossbar of the layer; None for a digital module.
        memory: bytes of its tensors, without those of earlier lines; saved: bytes of these in a checkpoint.
        parameters: digital numbers that can be trained: biases, output scales, a digital module's weights.
        place: device of the tensors, such as "cpu".
        slow: why steps on a CPU are not remembered, see `mho.Algorithm.repeats`; "" if they are.
    """

    name: str
    kind: str
    shapes: tuple[tuple[int, ...], ...]
    tiles: int
    arrays: tuple[str, ...]
    cells: int
    hardware: Crossbar | None
    memory: int
    saved: int
    parameters: int
    place: str
    slow: str = ""

    @property
    def algorithm(self) -> str:
        """The name of the algorithm, "" for a digital module."""
        return "" if self.hardware is None else type(self.hardware.algorithm).__name__

    @property
    def device(self) -> str:
        """The law and dw_min, for each array if they differ; "digital" without arrays of devices."""
        if self.hardware is None or self.hardware.algorithm.roles().digital:
            return "digital"
        if not isinstance(self.hardware.device, Mapping):
            return _in_short(self.hardware.device)
        return ", ".join(
            f"{array}: {_in_short(self.hardware.device[array])}"
            for array in self.arrays
            if array in self.hardware.device
        )


class Summary(Sequence[LayerSummary]):
    """The lines that `mho.summary` gives; printed, it is a table.

    Args:
        lines: analog layers and digital modules in the order of the model.
        left: {name: class} of subclasses of convertible layers, which `convert_` leaves digital.
    """

    def __init__(self, lines: Sequence[LayerSummary], left: Mapping[str, str]) -> None:
        self.lines, self.left = list(lines), dict(left)

    @property
    def total(self) -> LayerSummary:
        """The sums of all lines, under the name "total"."""
        tiles, cells, memory, saved, parameters = (
            sum(getattr(line, name) for line in self.lines)
            for name in ("tiles", "cells", "memory", "saved", "parameters")
        )
        places = ", ".join(sorted({line.place for line in self.lines}))
        return LayerSummary("total", "", (), tiles, (), cells, None, memory, saved, parameters, places)

    def __getitem__(self, at: Any) -> Any:
        return self.lines[at]

    def __len__(self) -> int:
        return len(self.lines)

    def __repr__(self) -> str:
        return _as_text(self)


def summary(model: nn.Module) -> Summary:
    """List layers, sub-tiles, arrays, cells, devices, algorithms, and bytes in memory and in a checkpoint.

    A module or memory that is used in several places counts once. Bytes are those of tensors; the factors and the
    workspace of a step are not counted.

    Args:
        model: any module.
    """
    lines: list[LayerSummary] = []
    seen: set[nn.Module] = set()
    storages: tuple[set[tuple], set[tuple]] = (set(), set())
    kinds, left, counted = tuple(ANALOG_OF), {}, set[nn.Module]()
    for name, module in walk(model, WHOLE):
        if module in seen:
            continue
        seen.add(module)
        line = _line(name, module, *storages, counted)
        if line is not None:
            lines.append(line)
        if isinstance(module, kinds) and type(module) not in kinds:
            left[name] = type(module).__name__
    return Summary(lines, left)


def _line(
    name: str, module: nn.Module, in_memory: set[tuple], in_file: set[tuple], counted: set[nn.Module]
) -> LayerSummary | None:
    """Return the line of a module; `counted`: the sub-tiles of earlier lines, whose arrays this one may share."""
    blocks = [part for part in module.modules() if isinstance(part, Block)]
    whole = isinstance(module, WHOLE) and bool(blocks)
    parameters = dict(module.named_parameters(recurse=whole))
    buffers = dict(module.named_buffers(recurse=whole))
    shapes: tuple[tuple[int, ...], ...]
    if whole:
        saved = {n: t for n, t in module.state_dict().items() if isinstance(t, torch.Tensor)}
        matrices = [part for part in module.modules() if isinstance(part, AnalogMatrix)]
        shapes = tuple((m.rows[-1][1], m.columns[-1][1]) for m in matrices) or (blocks[0].shape,)
        analog = {id(block.weight) for block in blocks}
    elif parameters or buffers:
        saved = parameters | {n: t for n, t in buffers.items() if n not in module._non_persistent_buffers_set}
        shapes, analog = tuple(tuple(p.shape) for p in parameters.values()), set()
    else:
        return None
    tensors = [*parameters.values(), *buffers.values()]
    memory = _bytes(tensors, in_memory)
    blocks = blocks if whole else []
    own = [block for block in blocks if block not in counted]
    tiles = [tile for block in own for tile in block.state.tiles().values()]
    analog |= {id(p) for block in counted.intersection(blocks) for p in block.parameters()}
    counted.update(blocks)
    return LayerSummary(
        name,
        type(module).__name__,
        shapes,
        len(own),
        tuple(blocks[0].state.tiles()) if whole else (),
        sum(tile.cells.numel() for tile in tiles),
        blocks[0].hardware if whole else None,
        memory,
        _bytes(saved.values(), in_file, in_memory),
        sum(p.numel() for p in parameters.values() if id(p) not in analog),
        ", ".join(sorted({str(p.device) for p in parameters.values()})) or str(tensors[0].device),
        reason(blocks[0].hardware.algorithm, blocks[0].state) if whole else "",
    )


def _bytes(tensors: Iterable[torch.Tensor], seen: set[tuple], kept: set[tuple] | None = None) -> int:
    """Count the bytes of memory behind the tensors that are not in `seen`, and add that memory to it.

    kept: memory that stays at its address; other memory is made for a checkpoint, and its addresses are used again.
    """
    sizes = {}
    for t in tensors:
        storage = t.untyped_storage()
        sizes[str(t.device), storage.data_ptr() or id(t)] = storage.nbytes()
    total = sum(n for where, n in sizes.items() if where not in seen)
    seen.update(where for where in sizes if kept is None or where in kept)
    return total


def _in_short(device: Device | ComposedCell) -> str:
    if isinstance(device, Device):
        return f"{type(device.response).__name__}, dw_min {device.dw_min:g}"
    rules = ", ".join(f"{n}={v!r}" for n, v in _rules(device).items())
    parts = "; ".join(
        f"{', '.join(leaf.name for leaf in leaves)}: {_in_short(inner)}"
        for inner, leaves in alike(device.leaves())
    )
    head = type(device).__name__ + (f"({rules})" if rules else "")
    return f"{head} of {parts}" if parts else head


def _rules(cell: ComposedCell) -> dict[str, Any]:
    """Return the fields of a cell that are plain values and no defaults."""
    plain = {f.name: (getattr(cell, f.name), f.default) for f in dataclasses.fields(cell)}  # type: ignore[arg-type]
    return {n: v for n, (v, default) in plain.items() if isinstance(v, (int, float, str)) and v != default}


def _shapes(line: LayerSummary) -> str:
    counts = Counter("x".join(map(str, shape)) for shape in line.shapes)
    return ", ".join(shape if n == 1 else f"{n} of {shape}" for shape, n in counts.items())


def _size(n: int) -> str:
    size, units = float(n), ["B", "kB", "MB", "GB", "TB"]
    while size >= 999.5 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.3g} {units[0]}"


def _as_text(of: Summary) -> str:
    from rich.console import Console

    from mho.base.tables import add_rows, table

    counts, memory = (">tiles", ">arrays", ">cells"), (">memory", ">checkpoint", ">digital")
    view = table("layer", "type", "shape", *counts, "device", "algorithm", *memory)
    for line in [*of.lines, of.total]:
        if line.name == "total" and not line.kind:
            view.add_section()
        cells = f"{line.cells:,}" if line.cells else "", line.device if line.kind else "", line.algorithm
        head = line.name or "(model)", line.kind, _shapes(line), str(line.tiles or ""), " ".join(line.arrays)
        numbers = _size(line.memory), _size(line.saved), f"{line.parameters:,}"
        add_rows(view, [(*head, *cells, *numbers)])
    out = io.StringIO()
    Console(file=out, width=200).print(view)
    text = "\n".join(row.rstrip() for row in out.getvalue().splitlines()).strip("\n")
    if of.total.cells:
        text += f"\n{of.total.memory / of.total.cells:.3g} bytes a cell in memory"
        text += f", {of.total.saved / of.total.cells:.3g} in a checkpoint; on {of.total.place}"
    for name, kind in of.left.items():
        text += f"\n{name!r} is a {kind}: convert_ leaves subclasses of torch's layers digital"
    for slow in sorted({line.slow for line in of.lines if line.slow}):
        names = ", ".join(line.name or "(model)" for line in of.lines if line.slow == slow)
        text += f"\n{names}: each step is written down anew, {slow}"
    return text
