"""The check of DistributedDataParallel: it knows no arrays, so the ranks must be connected before."""

import functools

from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook
from torch.nn.parallel import DistributedDataParallel

from mho.base.errors import complaint
from mho.nn.core.parameter import AnalogParameter


@functools.cache
def watch() -> None:
    """Have every model checked from now on that is wrapped."""
    register_module_module_registration_hook(_check)


def _check(wrapper: nn.Module, name: str, model: nn.Module | None) -> None:
    """Check that DistributedDataParallel leaves the analog weights of a model alone, as `mho.parallel` tells it to.

    Raises: MhoError if it does not: each rank would program its own arrays.
    """
    if not isinstance(wrapper, DistributedDataParallel) or model is None:
        return
    ignored = vars(model).get("_ddp_params_and_buffers_to_ignore", ())
    for place, p in model.named_parameters():
        if isinstance(p, AnalogParameter) and p.requires_grad and place not in ignored:
            raise complaint(
                "DistributedDataParallel(model)",
                f"it would average the gradient of {place}, which leaves the backward pass as factors",
                "Each rank would send its arrays pulses of its own",
                "before, call mho.parallel.connect(model, optimizer, digital=False) with its mho.AnalogOptimizer, "
                "see docs/parallel.md",
            )
