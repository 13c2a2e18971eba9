"""The parameters of a tile's cells by name: their planes, and the verbs that get and set them."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch

from mho.base.errors import complaint
from mho.device.cell import Cells
from mho.tile import arithmetic, checks


def stacked(values: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, int], list[torch.Tensor]]:
    """Return the numbers among the cells' parameters, the plane of each other one, and the planes (out, in)."""
    varying = {n: v for n, v in values.items() if isinstance(v, torch.Tensor)}
    # A bound that is a field of the response has no plane of its own.
    planes = list({id(v): v for v in varying.values()}.values())
    where = {id(v): n for n, v in enumerate(planes)}
    numbers = {n: v for n, v in values.items() if n not in varying}
    return numbers, {n: where[id(v)] for n, v in varying.items()}, planes


def names_of(tile: Any) -> tuple[str, ...]:
    """Return the names of the cells' parameters, which `value_of` and `put` take."""
    gains = ("gain", "gain_up", "gain_down")
    return (*tile.parameters_of_cells.fields, *gains, "lower", "upper", "reference")


def value_of(tile: Any, name: str) -> torch.Tensor:
    """Return a parameter of the cells (out, in) float32, as drawn, loaded or set; a copy."""
    cells = tile.parameters_of_cells
    value = cells.fields[name] if name in cells.fields else getattr(cells, name)
    return torch.as_tensor(value, dtype=torch.float32, device=tile.cells.device).expand(tile.shape).clone()


def put(tile: Any, name: str, values: torch.Tensor) -> Callable[[], None]:
    """Return the function that sets a parameter of the cells (out, in), also where it did not vary before.

    Bounds that are the law's follow its fields, and hidden weights are clipped to them. A parameter that
    gets its first plane changes the shape of a checkpoint: set it before loading, too.

    Raises: MhoError for another shape, NaN or infinity, values outside the domain of the law's field, gains
        below 0, or bounds that cross.
    """
    checks.matrix("arrays", name, values, tile.shape)
    for value in (float(values.min()), float(values.max())):
        if name in tile.parameters_of_cells.fields:
            tile.device.response.replace(**{name: value})
        elif name.startswith("gain") and value < 0:
            what = f"{name} is {value:g}: a pulse would move the weight the other way"
            raise complaint("arrays", what, "It must be 0 or more")
    values = values.detach().to(tile.cells).clone()
    changed = tile.parameters_of_cells.with_value(name, values)
    lower, upper = (torch.as_tensor(b, device=tile.cells.device) for b in (changed.lower, changed.upper))
    if (lower > upper).any():
        raise complaint("arrays", f"{name} sets a lower bound above the upper one")
    return functools.partial(_take, tile, changed)


def _take(tile: Any, changed: Cells) -> None:
    numbers, plane_of, planes = stacked(changed.values())
    tile.given = tuple(sorted({*tile.given, *(set(plane_of) - set(tile._plane_of))}))
    tile._scalars, tile._plane_of = numbers, plane_of
    tile.planes = torch.stack(planes) if planes else tile.planes
    if isinstance(changed.reference, torch.Tensor):
        tile.begin_reference()
        tile.reference.copy_(changed.reference)
    tile.cells.copy_(arithmetic.clip(tile.cells, tile.parameters_of_cells))
    tile.forget()
    tile.refresh()
