"""The factors that wait for the next step, between `backward` and `step`: their size, and how converters treat
them."""

from typing import Any, NamedTuple

import torch

from mho.nn.core.block import Block

SAMPLES = 512  # samples of which outputs are computed


class Asked(NamedTuple):
    """The factors (x, d) of the next step.

    Args:
        samples: their number; x_max, d_max: largest |x| and |d|, infinite if one is not finite.
        largest: largest product |x d| of a sample; mean: of the sum of |x d| over the samples, over the cells.
        inputs_clipped, outputs_clipped: part of the inputs and outputs beyond the bounds of the forward converters;
            None for outputs if bound management repeats their products.
        noise: standard deviation of the output noise relative to the outputs; None with perfect converters.
    """

    samples: int
    x_max: float
    d_max: float
    largest: float
    mean: float
    inputs_clipped: float | None = None
    outputs_clipped: float | None = None
    noise: float | None = None


@torch.no_grad()
def asked_of(block: Block) -> Asked | None:
    """Measure the factors that a block has recorded; None if there are none."""
    x_max = d_max = largest = mean = 0.0
    samples, shown = 0, None
    for factors in block.factors:
        for x, d in factors.parts():
            if not len(x):
                continue
            shown = x[:SAMPLES] if shown is None else shown
            by_x, by_d = x.abs(), d.abs().nan_to_num(nan=torch.inf)
            tops = by_x.amax(1), by_d.amax(1)
            x_max, d_max = max(x_max, float(tops[0].max())), max(d_max, float(tops[1].max()))
            largest = max(largest, float((tops[0] * tops[1]).max()))
            mean += float((by_x.mean(1) * by_d.mean(1)).sum())
            samples += len(x)
    if shown is None:
        return None
    return Asked(samples, x_max, d_max, largest, mean, *_converted(block, shown))


def _converted(block: Block, x: torch.Tensor) -> tuple[Any, Any, Any]:
    io = block.io["forward"]
    if io.perfect:
        return None, None, None
    scale = x.abs().amax(1, keepdim=True) if io.noise_management == "abs_max" else torch.ones_like(x[:, :1])
    x = x / scale.clamp(min=1e-30)
    y = x @ block.weight.mT
    inputs = None if io.inp_bound is None else float((x.abs() > io.inp_bound).float().mean())
    bound = io.out_bound if io.bound_management == "none" else None
    outputs = None if bound is None else float((y.abs() >= bound).float().mean())
    size = float(y.square().mean().sqrt())
    return inputs, outputs, io.sigma_out / size if size > 0 else None
