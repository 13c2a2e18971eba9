"""The cell that a device is meant to be, without anything random, and its way from bound to bound."""

import math

import torch

from mho.device.device import Device

__all__ = ["NEAR", "nominal", "traverse"]

NEAR = 0.99  # part of the range after which the other bound counts as reached; many laws never get there


def nominal(device: Device) -> Device:
    """Return the device without anything random, and without a reference."""
    return device.replace(
        sigma_c2c=0.0, c2c="additive", spread={}, up_down_std=0.0, write_noise=0.0, corrupt=0.0,
        reference_mean=0.0, reference_std=0.0, subtract_sp=False, retention=None,
    )  # fmt: skip


def traverse(device: Device, start: float, stop: float) -> float:
    """Return the noise-free pulses of one sign that bring the nominal cell from `start` to `stop`.

    The number is the integral of 1/step over the way, corrected to first order in dw_min, as steps are
    finite. It is infinite if a pulse on the way does nothing, NaN if the way is infinite.
    """
    if not (math.isfinite(start) and math.isfinite(stop)):
        return math.nan
    w = torch.linspace(start, stop, 20001, dtype=torch.float64)
    q = device.cell.up(w) if stop > start else device.cell.down(w)
    if not (q > 0).all():
        return math.inf
    area = torch.trapezoid(1 / q, w).abs() / device.dw_min
    return (area + (q[-1] / q[0]).log() / 2).item()
