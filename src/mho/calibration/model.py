"""The calibration of all arrays of a model before it is trained: the first stage of two, for any algorithm."""

from typing import Any

from torch import nn

from mho.base.errors import complaint
from mho.calibration.offset import program_reference
from mho.calibration.zero_shift import ZeroShift, zero_shift
from mho.tile.array import Pulsed


def calibrate_(
    model: nn.Module, n_pulses: int = 4000, array: str = "P", **rules: Any
) -> dict[str, ZeroShift]:
    """Zero-shift every array of this name in a converted model, in place, and program its reference.

    The reference becomes the estimate that was found, so that the apparent weights are zero.

    Args:
        model: holds analog layers whose algorithm has such an array (P in Tiki-Taka's family).
        n_pulses: to each cell; **rules: further arguments of `zero_shift`.
    Returns: {name of the layer's block: the result}.
    Raises: MhoError if there is no such array, and as `zero_shift`.
    Source: arXiv 2602.21321, Algorithm 4 (its first stage).
    """
    found = {}
    for name, block in model.named_modules():
        tile: Any = getattr(getattr(block, "state", None), array, None)
        is_array = isinstance(tile, Pulsed)
        if is_array:
            found[name] = zero_shift(tile, n_pulses, **rules)
            program_reference(tile, found[name].estimate)
            block.refresh()  # type: ignore[operator]
    if not found:
        fix = "convert the model with an algorithm of Tiki-Taka's family"
        raise complaint(f"calibrate_(array={array!r})", "no layer has such an array", fix=fix)
    return found
