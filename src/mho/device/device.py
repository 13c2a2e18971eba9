"""A device: the physics of one cell, the spread between cells, and the noise of pulses."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Literal

import torch

from mho.base.errors import complaint, did_you_mean, shown, wrong_type
from mho.base.records import NonNegative, Positive, Probability, Record, Single, float_fields
from mho.device.cell import Cells, Value
from mho.device.retention import Retention
from mho.device.spread import Absolute, LogNormal, Spread, sigma_of, values_of
from mho.numerics.draw import draw_normal, draw_uniform
from mho.responses.base import Response
from mho.responses.soft_bounds import SoftBounds


class Device(Record):
    """The physics of one cell: a response, its granularity, and its non-idealities.

    One up pulse changes the hidden weight by +gain dw_min (q_up(w) + sigma_c2c xi) (c2c="additive"), or by
    +gain dw_min q_up(w) (1 + sigma_c2c xi) (c2c="multiplicative"), xi ~ N(0, 1) anew each pulse; then it is
    clipped to the cell's bounds. A down pulse has q_down and a minus sign. With c2c="law" the change is gain dw_min
    times the law's own random step, `Response.noisy_up` or `noisy_down`.

    Args:
        response: the law q_up, q_down.
        dw_min: change of the weight by one pulse at q = 1 [weight units], > 0.
        sigma_c2c: cycle-to-cycle noise [relative to dw_min], >= 0.
        c2c: "additive" (arXiv 2502.06309, eq. 26), "multiplicative" (aihwkit's default), or "law": the noise that
            the law itself defines; sigma_c2c is 0 then, and pulses cannot be aggregated.
        spread: device-to-device spread [relative], {field of the response or "gain": standard deviation}:
            a cell's value is nominal |1 + sigma xi|, so it keeps its sign. "gain" is common to up and down.
            An `Absolute` in place of the number: nominal + sigma xi within limits; a `LogNormal`: nominal
            exp(sigma xi).
        up_down, up_down_std: difference of up pulses and down pulses [relative to dw_min]; with g the cell's
            gain and r = up_down_std xi, "one-sided": gain_up = |min(up_down, 0) + g + r| and gain_down =
            |-max(up_down, 0) + g - r|; "two-sided": |g + up_down + r| and |g - up_down - r|.
        up_down_rule: "one-sided", the rule that aihwkit computes and that was fitted to its devices, or
            "two-sided", the rule in the documentation of aihwkit.
        write_noise: distance of the apparent weight from the hidden one [dw_min], >= 0: write_noise dw_min xi.
            It is drawn anew whenever an update or a program changes the cell, and kept until then.
        corrupt: probability that a cell is stuck, in [0, 1]: no pulse moves it, and both its bounds are one value,
            uniform within +-corrupt_range [weight units], corrupt_range >= 0.
        reference_mean, reference_std: offset of the reference from the weight zero [weight units]; a cell's
            apparent weight is its hidden weight less mean + std xi.
        subtract_sp: the reference also contains the cell's own symmetric point (a calibrated device).
        retention: decay, diffusion and reset of the hidden weight; None for a cell that keeps its weight.
    Source: arXiv 2502.06309, section 2 and eq. (26); offsets, arXiv 2602.21321, section 4 and eq. (105).
    aihwkit: PulsedDevice (write_noise_std, corrupt_devices_prob, corrupt_devices_range). Its dw_min_dtod = s is
        spread={"gain": s}, exactly so with Absolute(s).
    """

    response: Response = SoftBounds()
    dw_min: Annotated[float, Positive] = 1e-3
    sigma_c2c: Annotated[float, NonNegative] = 0.0
    c2c: Literal["additive", "multiplicative", "law"] = "additive"
    spread: Mapping[str, float | Absolute | LogNormal] = field(default_factory=dict)
    up_down: float = 0.0
    up_down_std: Annotated[float, NonNegative] = 0.0
    up_down_rule: Literal["one-sided", "two-sided"] = "one-sided"
    write_noise: Annotated[float, NonNegative] = 0.0
    corrupt: Annotated[float, Probability] = 0.0
    corrupt_range: Annotated[float, NonNegative] = 0.1
    reference_mean: float = 0.0
    reference_std: Annotated[float, NonNegative] = 0.0
    subtract_sp: bool = False
    retention: Retention | None = None

    def validate(self) -> None:
        if not isinstance(self.response, Response):
            raise wrong_type("Device(response=...)", "the response", self.response, "an mho.Response")
        if not isinstance(self.retention, (Retention, type(None))):
            raise wrong_type("Device(retention=...)", "it", self.retention, "an mho.Retention or None")
        if not isinstance(self.spread, Mapping):
            raise wrong_type(
                "Device(spread=...)", "spread", self.spread, "a mapping, {field: standard deviation}"
            )
        if self.c2c == "law" and not self.response.is_noisy:
            what = f"{type(self.response).__name__} has no noise of its own"
            need = "noisy_up(w, z) and noisy_down(w, z) define it"
            raise complaint('Device(c2c="law")', what, need, 'choose "additive" or "multiplicative"')
        if self.c2c == "law" and self.sigma_c2c != 0:
            where = f'Device(c2c="law", sigma_c2c={self.sigma_c2c})'
            raise complaint(where, "the law defines the noise", "sigma_c2c must be 0")
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
            elif not isinstance(sigma, LogNormal):
                _check_deviation(f"Device(spread={{{name!r}: {shown(sigma)}}})", sigma)

    @property
    def varying(self) -> frozenset[str]:
        """Names of the response's fields that differ from cell to cell."""
        return frozenset(n for n, spread in self.spread.items() if sigma_of(spread) > 0 and n != "gain")

    @property
    def gains(self) -> tuple[float, float]:
        """(gain_up, gain_down) of the nominal cell."""
        up, down = self._gains(1.0)
        return float(up), float(down)

    @property
    def cell(self) -> Cells:
        """The nominal cell: without spread and noise, but with its gains and its reference."""
        cell = Cells.alike(self.response, *self.gains, self.reference_mean)
        return cell._replace(reference=cell.reference + cell.central_sp()) if self.subtract_sp else cell

    def draw(self, shape: tuple[int, int], key: int) -> Cells:
        """Draw `shape` = (out, in) cells: a pure function of the device, the shape and the key, of 64 bits.

        Raises: MhoError for another key, and for bounds that cross.
        """
        if isinstance(key, (bool, float)) or not 0 <= key < 2**64:
            raise complaint(f"Device.draw(key={shown(key)})", "a key is an integer from 0 to 2^64 - 1")
        fields: dict[str, Any] = {}
        for name in float_fields(type(self.response)):
            fields[name] = _spread(getattr(self.response, name), self.spread.get(name, 0.0), shape, key, name)
        gain = _spread(1.0, self.spread.get("gain", 0.0), shape, key, "gain")
        r = self.up_down_std * draw_normal(shape, key, "up_down") if self.up_down_std > 0 else 0.0
        law = self.response.with_fields(**fields)
        up, down = self._gains(gain, r)
        lower, upper = law.bounds()
        self._check_order(lower, upper)
        cells = Cells(law, up, down, lower, upper, self.reference_mean)
        if self.corrupt > 0:
            cells = self._broken(cells, shape, key)
        reference = cells.reference
        if self.subtract_sp:
            reference = reference + cells.central_sp()
        if self.reference_std > 0:
            reference = reference + self.reference_std * draw_normal(shape, key, "reference")
        cells = cells._replace(reference=reference)
        planes = [plane for plane in (*cells.fields.values(), *cells[1:]) if isinstance(plane, torch.Tensor)]
        if not all(torch.isfinite(plane.float()).all() for plane in planes):
            what = "it draws cells whose parameters are beyond what float32 holds"
            raise complaint(
                "Device.draw", what, fix="lower its spreads, its reference_mean or its reference_std"
            )
        return cells

    def _check_order(self, lower: Value, upper: Value) -> None:
        """Check that a weight fits between the bounds of every cell. Raises: MhoError if it does not in one."""
        crossed = ~(torch.as_tensor(lower) <= torch.as_tensor(upper))
        if crossed.any():
            cells = f"{int(crossed.sum())} of {crossed.numel()} cells"
            what = f"the spread draws bounds that are not in rising order for {cells}"
            fix = "give Absolute(sigma, low=..., high=...) limits, or a relative spread, which keeps signs"
            raise complaint(f"Device(spread={self.spread!r})", what, "No weight lies between them", fix)

    def _broken(self, cells: Cells, shape: tuple[int, int], key: int) -> Cells:
        """Return the cells, some of which are stuck."""
        stuck = draw_uniform(shape, key, "corrupt") < self.corrupt
        value = self.corrupt_range * (2 * draw_uniform(shape, key, "corrupt value") - 1)

        def where_stuck(broken: Value, whole: Value) -> torch.Tensor:
            return torch.where(stuck, broken, torch.as_tensor(whole, dtype=torch.float32))

        up = where_stuck(0.0, cells.gain_up)
        down = up if cells.gain_up is cells.gain_down else where_stuck(0.0, cells.gain_down)
        lower, upper = where_stuck(value, cells.lower), where_stuck(value, cells.upper)
        return cells._replace(gain_up=up, gain_down=down, lower=lower, upper=upper)

    def _gains(self, gain: Value, r: Value = 0.0) -> tuple[Value, Value]:
        """Return (gain_up, gain_down) of cells with this gain and deviation r, one object if both are equal."""
        if self.up_down == 0 and self.up_down_std == 0:
            both = _size(gain)
            return both, both
        one = self.up_down_rule == "one-sided"
        up = min(self.up_down, 0.0) if one else self.up_down
        down = max(self.up_down, 0.0) if one else self.up_down
        return _size(gain + up + r), _size(gain - down - r)


def _check_deviation(where: str, sigma: Any) -> None:
    """Check a standard deviation. Raises: MhoError if it is none, or one that float32 does not hold."""
    if isinstance(sigma, bool) or not isinstance(sigma, (int, float)) or not 0 <= sigma < float("inf"):
        raise complaint(where, "a spread is zero or positive")
    if not Single.accepts(sigma):
        raise complaint(where, f"a spread must be {Single.words}")


def _size(value: Value) -> Value:
    return value.abs() if isinstance(value, torch.Tensor) else abs(value)


def _spread(value: float, spread: Spread, shape: tuple[int, int], key: int, name: str) -> Value:
    return values_of(spread, value, draw_normal(shape, key, name)) if sigma_of(spread) > 0 else value
