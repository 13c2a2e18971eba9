"""Simulated measurements for the tests of mho.fit: ramps of known devices, written as a file."""

import numpy as np
import torch

import mho

SPAN = (-1.0, 1.0)  # so that fitted numbers can be compared with the device's


def ramp(device, sign, start, pulses, read, rng, gain=1.0):
    """Reads before and after each of some pulses of one direction, at apparent weights."""
    w = torch.linspace(-1.5, 1.5, 3001, dtype=torch.float64)
    q = (device.response.q_up(w) if sign > 0 else device.response.q_down(w)).numpy()
    low, high = (float(b) for b in device.response.bounds())
    h, values = start + device.reference_mean, []
    for _ in range(pulses):
        values.append(h)
        size, xi = np.interp(h, w.numpy(), q), rng.normal()
        noise = device.sigma_c2c * xi * (size if device.c2c == "multiplicative" else 1.0)
        h = min(max(h + sign * gain * device.dw_min * (size + noise), low), high)
    return np.array([*values, h]) - device.reference_mean + read * rng.normal(size=pulses + 1)


def ramps(device, key, pulses=250, read=0.005, repeats=1, start=0.75, gains=None):
    """Columns: `repeats` up ramps from -start, then as many down ramps from +start."""
    rng = np.random.default_rng(key)
    gains = np.ones(repeats) if gains is None else gains
    return [ramp(device, sign, -sign * start, pulses, read, rng, gain) for sign in (1, -1) for gain in gains]


def write(path, columns, header=None, separator=","):
    """The columns as a file."""
    lines = [separator.join(header)] if header else []
    lines += [separator.join(f"{v:.8g}" for v in row) for row in zip(*columns, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


def soft(**changes):
    """A device with soft bounds, as the other tests vary it."""
    law = mho.responses.SoftBounds(tau_max=1.1, tau_min=-0.9)
    return mho.Device(law, dw_min=0.01, sigma_c2c=0.3, **changes)
