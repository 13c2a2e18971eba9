"""A device that has the measured steps themselves as its law."""

import numpy as np

from mho.base.errors import MhoError
from mho.device.device import Device
from mho.fit.measured import Array, Bins, Measured, Range
from mho.fit.noise import noise_of_bins
from mho.responses.piecewise import Piecewise
from mho.responses.table import Table

NODES = 17  # of the polygon, at most
LEAST = 1e-3  # of the mean step: a law's steps are positive


def tabulated(
    raw: Measured, measured: Measured, span: Range, bins: tuple[Bins, Bins], pulse: float
) -> tuple[Device, str]:
    """Return the device of the data, and the name of its law: "table" for tables, "piecewise" for ramps.

    Args:
        raw: the data in the units of the files.
        measured: the data as weights.
        span: the values that w = -1 and w = +1 stand for.
        bins: mean up and down steps.
        pulse: standard deviation of a pulse of the ramps [weight units].
    """
    if measured.ramps:
        return polygon(measured, bins, pulse), "piecewise"
    up, down = raw.steps
    # Half the mean of an up and a down step in the middle of the range, as for other laws.
    scale = sum(float(np.interp(0.0, b.w, b.step)) for b in bins) / 2
    share = (span.high - span.low) / float(up.w[-1] - up.w[0])
    try:
        table = Table.read(up.name, down.name, dw_min=scale * share)
    except MhoError:  # of another form than that class reads
        return polygon(measured, bins, pulse), "piecewise"
    low, high = np.round(span.w(up.w[[0, -1]]), 12)
    return Device(table.replace(tau_min=float(low), tau_max=float(high)), dw_min=scale, c2c="law"), "table"


def polygon(measured: Measured, bins: tuple[Bins, Bins], pulse: float) -> Device:
    """Fit a `Piecewise` through the mean steps: least squares, no node below a thousandth of a mean step."""
    n = min(NODES, *(len(b.w) * 2 // 3 for b in bins)) if measured.ramps else NODES
    at = np.linspace(-1, 1, max(2, n))
    nodes = [_nodes(b, at) for b in bins]
    scale = float((nodes[0] + nodes[1])[len(at) // 2]) / 2
    up, down = (tuple(float(q) for q in np.round(v / scale, 6)) for v in nodes)
    law = Piecewise(nodes_up=up, nodes_down=down)
    if measured.ramps:
        return Device(law, dw_min=scale, sigma_c2c=pulse / scale)
    sizes = np.concatenate([np.interp(b.w, at, v) for b, v in zip(bins, nodes, strict=True)])
    noise = noise_of_bins(sizes, scale, bins)
    return Device(law, dw_min=scale, sigma_c2c=noise.sigma_c2c, c2c=noise.c2c)


def _nodes(bins: Bins, at: Array) -> Array:
    """Return the sizes at the nodes; between scarce bins, the straight line between neighbours wins."""
    hats = np.stack([np.interp(bins.w, at, row) for row in np.eye(len(at))], axis=1)
    bend = np.diff(np.eye(len(at)), 2, axis=0)
    error = np.maximum(bins.error, 0.01 * np.abs(bins.step).mean())
    a = np.concatenate([hats / error[:, None], 0.1 * bend / error.mean()])
    b = np.concatenate([bins.step / error, np.zeros(len(bend))])
    return np.maximum(np.linalg.lstsq(a, b, rcond=None)[0], LEAST * np.abs(bins.step).mean())
