"""The calibration of a whole model before its training: the first of two stages, for any algorithm."""

from typing import Any

from torch import nn

from mho.base.errors import complaint
from mho.base.roles import roles_of
from mho.calibration.offset import program_reference
from mho.calibration.zero_shift import ZeroShift, zero_shift


def calibrate_(
    model: nn.Module, n_pulses: int = 4000, array: str | None = None, **rules: Any
) -> dict[str, ZeroShift]:
    """Zero-shift one array of every layer of a converted model in place, and program its reference with the result.

    The apparent weights of these arrays are then zero.

    Args:
        model: a module with analog layers.
        n_pulses: pulses to each cell; **rules: further arguments of `zero_shift`.
        array: name of the array; None: the one that gets the gradient while another holds the weights, which the
            algorithm declares (P in Tiki-Taka's family).
    Returns: {name of the layer's block: result}.
    Raises: MhoError if no layer has such an array, and as `zero_shift`.
    Source: arXiv 2602.21321, Algorithm 4 (its first stage).
    """
    found = {}
    for name, block in model.named_modules():
        for state in block.children():
            roles = roles_of(state)
            chosen = array or (roles.gradient if roles and roles.has_residual else None)
            tiles = state.tiles() if roles and chosen else {}  # type: ignore[operator]
            if chosen in tiles:
                found[name] = zero_shift(tiles[chosen], n_pulses, **rules)
                program_reference(tiles[chosen], found[name].estimate)
                block.refresh()  # type: ignore[operator]
    if not found:
        what = f"calibrate_(array={array!r})"
        fix = "convert the model with an algorithm of Tiki-Taka's family"
        raise complaint(what, "no layer has such an array", fix=fix)
    return found
