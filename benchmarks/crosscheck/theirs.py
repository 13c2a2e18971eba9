"""aihwkit's side: `python theirs.py job.json found.npz`, in aihwkit's own environment.

A job has "updates" and "draws", lists of cases, "side" and a number of "tiles" (see `collect.py`).
"""

import contextlib
import json
import re
import sys
from typing import Any

import aihwkit
import aihwkit.simulator.configs as configs
import numpy as np
import torch
from aihwkit.nn import AnalogLinear
from aihwkit.simulator.presets import devices
from cases import HORIZONS, IN, OUT, inputs


def tile_of(device: Any, shape: tuple[int, int], update: dict[str, Any]) -> Any:
    config = configs.SingleRPUConfig(
        device=device,
        update=configs.UpdateParameters(**update),
        mapping=configs.MappingParameter(max_input_size=0, max_output_size=0),
    )
    [tile] = AnalogLinear(shape[1], shape[0], bias=False, rpu_config=config).analog_tiles()
    return tile


def new_tile(case: dict[str, Any], seed: int) -> Any:
    """A tile of the case: the seed decides its cells; the noise of its updates is different in each new tile."""
    device = getattr(configs, case["theirs"] + "Device")(construction_seed=seed, **case["fields"])
    tile = tile_of(device, (OUT, IN), case["update"])
    tile.tile.set_learning_rate(case["k"] * granularity(tile))
    return tile


def granularity(tile: Any) -> float:
    """What aihwkit divides the learning rate by."""
    return float(re.search(r"granularity.*?:\s*([\d.e+-]+)", str(tile.tile))[1])


def hidden(tile: Any) -> dict[str, np.ndarray]:
    return {name: plane.numpy().astype(np.float64) for name, plane in tile.get_hidden_parameters().items()}


def change(tile: Any, start: torch.Tensor, x: torch.Tensor, d: torch.Tensor) -> np.ndarray:
    tile.tile.set_weights(start)
    tile.tile.update(x, d, False)
    return (tile.tile.get_weights() - start).numpy()


def updates(case: dict[str, Any], repetitions: dict[str, int], tiles: int) -> dict[str, np.ndarray]:
    """Changes of the same cells in new tiles ("same/<horizon>") and of new cells ("new/<horizon>")."""
    x, d, _, positions = inputs()
    x, minus_d = torch.from_numpy(x), torch.from_numpy(-d)
    found: dict[str, list] = {f"{kind}/{h}": [] for kind in ("same", "new") for h in HORIZONS}
    cells = hidden(new_tile(case, 1))
    reference = cells.get("reference", 0.0)
    # set_weights clips to the bounds without the reference, updates do with it: the start lies inside of both
    low = cells["min_bound"] - np.minimum(reference, 0)
    high = cells["max_bound"] - np.maximum(reference, 0)
    start = torch.from_numpy((low + positions * (high - low)).astype(np.float32))
    for repetition in range(max(repetitions.values())):
        tile = new_tile(case, 1)
        for h in HORIZONS:
            if repetition < repetitions[str(h)]:
                found[f"same/{h}"].append(change(tile, start, x[:h], minus_d[:h]))
    again = hidden(tile)
    assert all(np.array_equal(cells[n], again[n]) for n in cells if n != "persistent_weights")
    for repetition in range(tiles):
        tile = new_tile(case, 2 + repetition)
        for h in HORIZONS:
            found[f"new/{h}"].append(change(tile, torch.zeros(OUT, IN), x[:h], minus_d[:h]))
    planes = {f"cells/{name}": plane for name, plane in cells.items()}
    numbers = {"start": start.numpy(), "granularity": np.float64(granularity(tile))}
    return planes | numbers | {name: np.stack(changes) for name, changes in found.items()}


def draws(case: dict[str, Any], side: int, seed: int) -> dict[str, np.ndarray]:
    kind = case["theirs"] + "Device"
    device = getattr(configs, kind, None) or getattr(devices, kind)
    return hidden(tile_of(device(construction_seed=seed, **case["fields"]), (side, side), {}))


def main(job: str, out: str) -> None:
    torch.set_num_threads(1)
    with open(job) as text:
        asked = json.load(text)
    found = {"versions": np.array(f"aihwkit {aihwkit.__version__}, torch {torch.__version__}")}
    for number, case in enumerate(asked["updates"]):
        parts = updates(case, asked["repetitions"], asked["tiles"])
        found |= {f"updates/{number}/{name}": value for name, value in parts.items()}
    for number, case in enumerate(asked["draws"]):
        found |= {f"draws/{number}/{n}": v for n, v in draws(case, asked["side"], 3 + number).items()}
    np.savez(out, **found)


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        main(*sys.argv[1:])
