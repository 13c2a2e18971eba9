"""The parameters that all of aihwkit's pulsed devices share, and the domains of its fields."""

import math
from typing import Annotated, NamedTuple

from mho.base.errors import complaint
from mho.base.records import Domain, NonNegative, Positive, Probability
from mho.device.device import Device
from mho.device.retention import Retention
from mho.device.spread import Absolute, LogNormal, Spread
from mho.responses.base import Response

NO_BOUND = 1e30  # [weight units]; no weight of float32 networks comes near


def _bound(name: str, value: float) -> str:
    """Return the remedy for a bound outside of its domain."""
    if math.isinf(value):
        return f"{name}={math.copysign(NO_BOUND, value):g} for no bound"
    mirrored = "mirror a cell that is only lowered: w_min=0 and w_max=-w_min, with up and down exchanged"
    return "" if value else mirrored


Upper = Annotated[float, Domain("positive", lambda v: v > 0, _bound)]
Lower = Annotated[float, Domain("zero or negative, as in aihwkit", lambda v: v <= 0, _bound)]
Width = Annotated[float, NonNegative]  # of a spread or a noise, whose sign says nothing
Step = Annotated[float, Positive]
Lifetime = Annotated[float, Domain("0 (no decay), or 1 step or more", lambda v: v == 0 or v >= 1)]


class Subtracted(NamedTuple):
    """The reference that is subtracted when a cell is read: its mean and spread, and whether it holds the sp."""

    mean: float
    std: float
    subtract_sp: bool


def pulsed(
    response: Response,
    spread: dict[str, Spread] | None = None,
    c2c: str = "multiplicative",
    offset: Subtracted = Subtracted(0.0, 0.0, False),  # noqa: B008  it is frozen
    *,
    dw_min: Step = 0.001,
    dw_min_dtod: Width = 0.3,
    dw_min_dtod_log_normal: bool = False,
    dw_min_std: Width = 0.3,
    up_down: float = 0.0,
    up_down_dtod: Width = 0.01,
    w_max_dtod: Width = 0.3,
    w_min_dtod: Width = 0.3,
    corrupt_devices_prob: Annotated[float, Probability] = 0.0,
    corrupt_devices_range: Width = 0.1,
    lifetime: Lifetime = 0.0,
    lifetime_dtod: Width = 0.0,
    diffusion: Width = 0.0,
    diffusion_dtod: Width = 0.0,
    reset: float = 0.0,
    reset_dtod: Width = 0.0,
    reset_std: Width = 0.01,
    write_noise_std: Width = 0.0,
) -> Device:
    """Return a device from the fields of aihwkit's PulsedDevice; its bounds are those of the response.

    A device with aihwkit's defaults for decay, diffusion and resets has no `Retention`.
    """
    low, high = (abs(float(bound)) for bound in response.bounds())
    if corrupt_devices_prob > 0 and corrupt_devices_range > min(low, high):
        where = f"corrupt_devices_range={corrupt_devices_range}"
        what = (
            "aihwkit keeps stuck cells between their own bounds, and here they may lie anywhere in the range"
        )
        raise complaint(where, what, fix=f"corrupt_devices_range={min(low, high):g} at most")
    aims = lifetime > 0 or reset != 0 or reset_dtod > 0 or reset_std != 0.01
    if aims and (offset.std > 0 or offset.subtract_sp):
        where = f"lifetime={lifetime}, reset={reset}, reset_dtod={reset_dtod}, reset_std={reset_std}"
        what = (
            "aihwkit counts the aim of decay and reset from each cell's reference, here it is a hidden weight"
        )
        raise complaint(where, what, fix="replace(retention=mho.Retention(...)) says it in hidden weights")
    retention = Retention(
        lifetime=lifetime,
        lifetime_std=lifetime_dtod,
        diffusion=diffusion,
        diffusion_std=diffusion_dtod,
        reset=reset + offset.mean if aims else 0.0,
        reset_std=reset_dtod,
        reset_noise=reset_std,
    )
    gain: Spread = LogNormal(dw_min_dtod) if dw_min_dtod_log_normal else Absolute(dw_min_dtod)
    return Device(
        response,
        dw_min=dw_min,
        sigma_c2c=0.0 if c2c == "law" else dw_min_std,
        c2c=c2c,  # type: ignore[arg-type]
        spread={"gain": gain, "tau_max": w_max_dtod, "tau_min": w_min_dtod} | (spread or {}),
        up_down=up_down,
        up_down_std=up_down_dtod,
        corrupt=corrupt_devices_prob,
        corrupt_range=corrupt_devices_range,
        reference_mean=offset.mean,
        reference_std=offset.std,
        subtract_sp=offset.subtract_sp,
        write_noise=write_noise_std,
        retention=retention if aims or diffusion > 0 else None,
    )


def c2c_of(mult_noise: bool) -> str:
    """Return the field `c2c` of `Device`."""
    return "multiplicative" if mult_noise else "additive"
