"""Why does my training fail: what the arrays of a model, the recorded factors and the curve of a run tell."""

import os

from torch import nn

from mho.base.errors import complaint, wrong_type
from mho.diagnostics.arrays import ArrayState, arrays_of
from mho.diagnostics.context import Context
from mho.diagnostics.curve import from_curve, rows_of
from mho.diagnostics.finding import Diagnosis, Finding
from mho.diagnostics.pending import asked_of
from mho.diagnostics.rules import RULES
from mho.optim import AnalogOptimizer

__all__ = ["ArrayState", "Diagnosis", "Finding", "diagnose"]


def diagnose(
    model: nn.Module,
    run: str | os.PathLike[str] | None = None,
    *,
    optimizer: AnalogOptimizer | None = None,
) -> Diagnosis:
    """Looks for what makes a training fail; changes nothing.

    Saturated cells, clipped bit lines, updates below the granularity, arrays without pulses, weights that are a few
    granules wide, symmetric points off the reference, asymmetric pulses, converters that clip or drown: from what
    the arrays hold and have counted. Called between `backward` and `step`, it also looks at the factors that wait
    for the step, which says more about the size of updates than counters do.

    Args:
        model: holds analog layers.
        run: folder of a run of `mho train`, whose curve is looked at too.
        optimizer: tells the learning rates; without it, that of the run's last epoch; without both, updates
            of algorithms that go by `lr` are judged by their pulses.
    Raises: MhoError if there is no analog layer, or the folder has no curve.
    """
    if not isinstance(model, nn.Module):
        raise wrong_type("diagnose(model)", "the model", model, "a torch.nn.Module")
    if optimizer is not None and not isinstance(optimizer, AnalogOptimizer):
        raise wrong_type("diagnose(optimizer=...)", "it", optimizer, "an mho.AnalogOptimizer")
    rows = None if run is None else rows_of(run)
    found = arrays_of(model)
    if not found:
        raise complaint(
            "diagnose(model)", "the model has no array of devices", fix="convert it: mho.convert_"
        )
    lr = None if rows is None else rows[-1]["lr"]
    rates = (
        {}
        if optimizer is None
        else {id(p): float(group["lr"]) for group in optimizer.param_groups for p in group["params"]}
    )
    trained = any(array.updates for _, array in found)
    contexts = []
    for block, array in found:
        steps = max(other.updates for of, other in found if of is block)
        rate = rates.get(id(block.weight), lr)
        contexts.append(Context(block, array, asked_of(block), rate, steps, trained))
    findings = [finding for c in contexts for rule in RULES for finding in rule(c)]
    return Diagnosis([*findings, *(from_curve(rows) if rows else ())], [array for _, array in found])
