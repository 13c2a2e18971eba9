"""aihwkit's pulsed devices by their own parameter names and defaults: each function gives the same `mho.Device`.

    device = mho.aihwkit.soft_bounds_reference(dw_min=0.4622, dw_min_dtod=0.7125, dw_min_dtod_log_normal=True)

The code of aihwkit 1.2.0 decides, not its documentation. A parameter that this library cannot follow is an error,
which names the field of aihwkit, its meaning there and what to write here.

    words       domains of aihwkit's fields, its fields that have no counterpart, and the errors about both
    common      the parameters that all of its pulsed devices share
    steps       constant_step, linear_step, exp_step, piecewise_step
    soft        soft_bounds, soft_bounds_reference, soft_bounds_pmax
    powers      pow_step, pow_step_reference

To add a class of aihwkit: a function under `@spoken` that turns its fields into a law and passes the rest to
`pulsed`. A field's domain is written once, in its annotation. `benchmarks/crosscheck/cases.py` draws parameters.

Source: aihwkit 1.2.0, simulator/configs/devices.py and the C++ classes of the same names.
"""

from mho.aihwkit.powers import pow_step, pow_step_reference
from mho.aihwkit.soft import soft_bounds, soft_bounds_pmax, soft_bounds_reference
from mho.aihwkit.steps import constant_step, exp_step, linear_step, piecewise_step

__all__ = [
    "constant_step",
    "exp_step",
    "linear_step",
    "piecewise_step",
    "pow_step",
    "pow_step_reference",
    "soft_bounds",
    "soft_bounds_pmax",
    "soft_bounds_reference",
]
