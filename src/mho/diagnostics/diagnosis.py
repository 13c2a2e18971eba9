"""The diagnosis of a training that fails, from the arrays of a model, the pending factors and the curve of a
run."""

import os

from torch import nn

from mho.base.errors import complaint, wrong_type
from mho.diagnostics.arrays import arrays_of
from mho.diagnostics.context import Context
from mho.diagnostics.curve import from_curve, rows_of
from mho.diagnostics.finding import Diagnosis
from mho.diagnostics.pending import asked_of
from mho.diagnostics.rules import RULES
from mho.optim import AnalogOptimizer


def diagnose(
    model: nn.Module,
    run: str | os.PathLike[str] | None = None,
    *,
    optimizer: AnalogOptimizer | None = None,
) -> Diagnosis:
    """Look for causes of a training that fails; nothing is changed.

    The weights and counters of the arrays tell of saturated cells, clipped bit lines, updates below the
    granularity, arrays without pulses, weights of a few steps of dw_min, symmetric points off the reference,
    asymmetric pulses, and converters that clip or are too noisy. Between `backward` and `step` the factors that
    wait for the step are measured too, which says more about the size of updates than counters do.

    Args:
        model: a module with analog layers.
        run: folder of a run of `mho train`, whose curve is examined too.
        optimizer: source of the learning rates. Without it, the rate is that of the run's last epoch. Without both,
            updates of algorithms that go by `lr` are judged by their pulses.
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
