"""A device: the physics of one cell, and how cells differ from each other and from pulse to pulse."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch

from mho.errors import complaint, did_you_mean, wrong_type
from mho.records import NonNegative, Positive, Record, float_fields
from mho.responses.base import Response
from mho.responses.soft_bounds import SoftBounds
from mho.rng import Stream, call_key, child_key, split


class Cells(NamedTuple):
    """The parameters of the cells of one tile: numbers where all cells agree, (out, in) float32 elsewhere."""

    fields: dict[str, "float | torch.Tensor"]  # of the response, by name
    gain: "float | torch.Tensor"  # factor on dw_min, common to up and down
    lower: "float | torch.Tensor"  # bounds of the hidden weight
    upper: "float | torch.Tensor"
    reference: "float | torch.Tensor"  # subtracted from the hidden weight when it is read


class Absolute(Record):
    """A spread in the parameter's own units: a cell's value is nominal + sigma xi, clipped to [low, high].

    The sign may change, unlike under a relative spread; the limits keep a value inside its law's domain.

    Args:
        sigma: standard deviation before clipping [units of the parameter], >= 0.
        low, high: limits [units of the parameter]; None for no limit.
    """

    sigma: Annotated[float, NonNegative]
    low: float | None = None
    high: float | None = None

    def validate(self) -> None:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise complaint(f"Absolute(low={self.low}, high={self.high})", "low must be less than high")

    def contains(self, value: float) -> bool:
        """Whether a value lies within the limits."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


class Device(Record):
    """What a cell is: a response, its granularity, and its non-idealities.

    One up pulse changes the hidden weight by +gain dw_min (q_up(w) + sigma_c2c xi) (c2c="additive"), or by
    +gain dw_min q_up(w) (1 + sigma_c2c xi) (c2c="multiplicative"), xi ~ N(0, 1) anew each pulse; then it is
    clipped to the cell's bounds. A down pulse likewise with q_down and a minus sign.

    Args:
        response: the law q_up, q_down.
        dw_min: change of the weight by one pulse at q = 1 [weight units], > 0.
        sigma_c2c: cycle-to-cycle noise [relative to dw_min], >= 0.
        c2c: "additive" (arXiv 2502.06309, eq. 26) or "multiplicative" (aihwkit's default).
        spread: device-to-device spread [relative], {field of the response or "gain": standard deviation}:
            a cell's value is nominal |1 + sigma xi|, so it keeps its sign. "gain" is common to up and down.
            An `Absolute` in place of the number: nominal + sigma xi within limits.
        reference_mean, reference_std: offset of the reference from the weight zero [weight units]; a cell's
            apparent weight is its hidden weight less mean + std xi.
        subtract_sp: the reference also contains the cell's own symmetric point (a calibrated device).
    Source: arXiv 2502.06309, section 2 and eq. (26); offsets, arXiv 2602.21321, section 4 and eq. (105).
    aihwkit: PulsedDevice; `spread={"gain": s}` is its dw_min_dtod.
    """

    response: Response = SoftBounds()
    dw_min: Annotated[float, Positive] = 1e-3
    sigma_c2c: Annotated[float, NonNegative] = 0.0
    c2c: Literal["additive", "multiplicative"] = "additive"
    spread: Mapping[str, float | Absolute] = field(default_factory=dict)
    reference_mean: float = 0.0
    reference_std: Annotated[float, NonNegative] = 0.0
    subtract_sp: bool = False

    def validate(self) -> None:
        if not isinstance(self.response, Response):
            raise wrong_type("Device(response=...)", "the response", self.response, "an mho.Response")
        if not isinstance(self.spread, Mapping):
            raise wrong_type(
                "Device(spread=...)", "spread", self.spread, "a mapping, {field: standard deviation}"
            )
        known = {*float_fields(type(self.response)), "gain"}
        for name, sigma in self.spread.items():
            if name not in known:
                where, law = f"Device(spread={{{name!r}: ...}})", type(self.response).__name__
                raise complaint(where, f"{law} has no field {name!r}", fix=did_you_mean(name, known))
            if isinstance(sigma, Absolute):
                nominal = 1.0 if name == "gain" else getattr(self.response, name)
                if not sigma.contains(nominal):
                    where = f"Device(spread={{{name!r}: {sigma!r}}})"
                    raise complaint(where, f"the nominal {name} = {nominal} lies outside of the limits")
            elif not (isinstance(sigma, (int, float)) and 0 <= sigma < float("inf")):
                raise complaint(f"Device(spread={{{name!r}: {sigma!r}}})", "a spread is zero or positive")

    @property
    def varying(self) -> frozenset[str]:
        """Names of the response's fields that differ from cell to cell."""
        return frozenset(n for n, spread in self.spread.items() if _sigma(spread) > 0 and n != "gain")

    def draw(self, shape: tuple[int, int], key: int) -> Cells:
        """The parameters of `shape` = (out, in) cells: a pure function of the device, the shape and the key."""
        fields: dict[str, Any] = {}
        for name in float_fields(type(self.response)):
            fields[name] = _spread(getattr(self.response, name), self.spread.get(name, 0.0), shape, key, name)
        gain = _spread(1.0, self.spread.get("gain", 0.0), shape, key, "gain")
        law = self.response.with_fields(**fields)
        lower, upper = law.bounds()
        reference: float | torch.Tensor = self.reference_mean
        if self.subtract_sp:
            reference = reference + law.central_sp()
        if self.reference_std > 0:
            reference = reference + self.reference_std * draw_normal(shape, key, "reference")
        return Cells(fields, gain, lower, upper, reference)


def draw_normal(shape: tuple[int, int], key: int, name: str) -> torch.Tensor:
    """(out, in) float32 of N(0, 1): the device-to-device draw called `name` of the tile with this key."""
    from mho.kernels.normal import normal_plane  # Numba: loaded on first use

    out = torch.empty(shape, dtype=torch.float32)
    low, high = split(call_key(child_key(key, name), Stream.D2D))
    normal_plane(out.numpy(), np.uint32(low), np.uint32(high), np.uint32(0))
    return out


def _sigma(spread: "float | Absolute") -> float:
    return spread.sigma if isinstance(spread, Absolute) else spread


def _spread(value: float, spread: "float | Absolute", shape, key: int, name: str) -> "float | torch.Tensor":
    if _sigma(spread) == 0:
        return value
    xi = draw_normal(shape, key, name)
    if not isinstance(spread, Absolute):
        return value * (1 + spread * xi).abs()
    values = value + spread.sigma * xi
    if spread.low is None and spread.high is None:
        return values
    return values.clamp(spread.low, spread.high)
