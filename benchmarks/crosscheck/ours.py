"""This library's side: the same cells, the same inputs, its own randomness."""

import dataclasses
from collections.abc import Iterable

import numpy as np
import torch
from cases import IN, OUT, Case, inputs

from mho import Absolute, Device, Pulses, Tile, aihwkit, presets
from mho.numerics.rng import child_key

DRAWN = Absolute(1e-6)  # any spread: it makes a plane of a number, and the plane is then overwritten


def device_of(case: Case) -> Device:
    return getattr(aihwkit, case.ours)(**case.fields)


def preset(case: Case) -> Device:
    return getattr(presets, case.ours)


def pulses_of(case: Case) -> Pulses:
    names = {
        "desired_bl": "bl",
        "update_bl_management": "bl_management",
        "update_management": "update_management",
    }
    return Pulses(**{names[name]: value for name, value in case.update.items()})


def key_of(case: Case) -> int:
    """Of its own for each case: one key would give all of them the same trains of pulses."""
    return child_key(0, case.name)


def planes_of(case: Case, device: Device, cells: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """aihwkit's hidden parameters as the planes of a tile, by the names of `Cells.values`."""
    up, down = cells["dwmin_up"], cells["dwmin_down"]
    planes = {"gain_up": up / device.dw_min, "gain_down": down / device.dw_min}
    for name, bound in (
        ("lower", "min_bound"),
        ("tau_min", "min_bound"),
        ("upper", "max_bound"),
        ("tau_max", "max_bound"),
    ):
        planes[name] = cells[bound]
    if case.theirs == "LinearStep":
        planes |= {"slope_up": -cells["slope_up"] / up, "slope_down": cells["slope_down"] / down}
    if "gamma_up" in cells:
        planes |= {name: cells[name] for name in ("gamma_up", "gamma_down")}
    return planes


def imported(case: Case, cells: dict[str, np.ndarray], key: int = 0) -> Tile:
    """A tile whose cells have aihwkit's hidden parameters."""
    device = device_of(case)
    planes = planes_of(case, device, cells)
    fields = planes.keys() & {f.name for f in dataclasses.fields(device.response)}
    blank = device.replace(
        spread={name: DRAWN for name in fields},
        up_down_std=1e-6,
        reference_std=1e-6 if "reference" in cells else 0.0,
        reference_mean=0.0,
        subtract_sp=False,
    )
    tile = Tile(torch.zeros(cells["max_bound"].shape), blank, pulses=pulses_of(case), key=key)
    state = tile.state_dict()
    names = [n for n, v in tile.parameters_of_cells.values().items() if isinstance(v, torch.Tensor)]
    assert set(names) == planes.keys(), (sorted(names), sorted(planes))
    held = {n: name for name, n in tile._plane_of.items()}  # a bound that is a field shares its plane
    state["planes"] = torch.from_numpy(np.stack([planes[held[n]] for n in range(len(held))])).float()
    if "reference" in cells:
        state["reference"] = torch.from_numpy(cells["reference"]).float()
    tile.load_state_dict(state)
    return tile


def change(tile: Tile, case: Case, start: torch.Tensor, x: torch.Tensor, d: torch.Tensor) -> np.ndarray:
    tile.program(start)
    tile.update(x, d, case.k * tile.granularity)
    return (tile.w - start).numpy()


def same_cells(
    case: Case, cells: dict[str, np.ndarray], start: np.ndarray, repetitions: dict[int, int]
) -> dict[int, np.ndarray]:
    """{horizon: changes (repetitions, out, in)} of the imported cells."""
    x, d = map(torch.from_numpy, inputs()[:2])
    tile, begin = imported(case, cells, key_of(case)), torch.from_numpy(start)
    return {
        h: np.stack([change(tile, case, begin, x[:h], d[:h]) for _ in range(number)])
        for h, number in repetitions.items()
    }


def new_cells(case: Case, tiles: int, horizons: Iterable[int]) -> dict[int, np.ndarray]:
    """{horizon: changes (tiles, out, in)} of tiles that draw their own cells."""
    x, d = map(torch.from_numpy, inputs()[:2])
    start, device, pulses = torch.zeros(OUT, IN), device_of(case), pulses_of(case)
    new = [Tile(start, device, pulses=pulses, key=child_key(key_of(case), number)) for number in range(tiles)]
    return {h: np.stack([change(tile, case, start, x[:h], d[:h]) for tile in new]) for h in horizons}


def draws(device: Device, side: int, key: int, theirs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The parameters of side x side cells, by aihwkit's names: those that it has too."""
    cells = device.draw((side, side), key)
    up, down = cells.gain_up * device.dw_min, cells.gain_down * device.dw_min
    found = {"max_bound": cells.upper, "min_bound": cells.lower, "dwmin_up": up, "dwmin_down": down}
    if "slope_up" in cells.fields:
        found |= {"slope_up": -up * cells.fields["slope_up"], "slope_down": down * cells.fields["slope_down"]}
    if "gamma_up" in theirs:
        found |= {name: cells.fields[name] for name in ("gamma_up", "gamma_down")}
    if "reference" in theirs:
        found["reference"] = cells.reference
    whole = np.ones((side, side))
    return {name: np.asarray(value, np.float64) * whole for name, value in found.items()}
