"""The laws that can be fitted: which of their fields the data determine, and where a search starts."""

import functools
import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

import mho.responses
from mho.base.errors import complaint, did_you_mean
from mho.base.records import field_rules, float_fields
from mho.base.registry import find, kebab
from mho.device.device import Device
from mho.fit.measured import Array
from mho.responses.base import Response

LARGE = 100.0  # no fitted number is larger [its own units]


class Family(NamedTuple):
    """A law with some fields to be fitted.

    Args:
        law: the class.
        starts: {field: values that the search starts from}; these fields are fitted.
        fixed: {field: value} of the others.
        offset: also fit `Device.reference_mean`. Laws whose symmetric point is pinned to 0 need it: where the
            range has its middle is a choice of the user, where up and down are equal is a fact.
        hard: w stops dead at -1 and 1, as the law does not vanish there.
        caps: {field: (low, high)} narrower than the field's domain.
    """

    law: Any  # type[Response]; mypy finds no hash in a type of dataclasses
    starts: Mapping[str, tuple[float, ...]]
    fixed: Mapping[str, float] = {}
    offset: bool = False
    hard: bool = False
    caps: Mapping[str, tuple[float, float]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The fitted numbers, in order: dw_min, fields of the law, reference_mean."""
        return ("dw_min", *self.starts, *(["reference_mean"] if self.offset else []))

    def bounds(self) -> tuple[Array, Array]:
        """Lowest and highest values of the fitted numbers."""
        limits = [(1e-9, LARGE)]
        for name in self.starts:
            low, high = domain(self.law, name)
            cap = self.caps.get(name, (-LARGE, LARGE))
            limits.append((max(low, cap[0]), min(high, cap[1])))
        limits += [(-3.0, 3.0)] if self.offset else []
        low, high = np.array(limits).T
        return low, high

    def grid(self, size: float) -> list[Array]:
        """Points to start from; `size`: a typical step [weight units]."""
        ends = [self.starts[name] for name in self.starts]
        offsets = (-0.3, 0.3) if self.offset else (None,)
        return [
            np.array([size, *values, *([] if offset is None else [offset])])
            for *values, offset in itertools.product(*ends, offsets)
        ]

    def steps(self, x: Array, w: Array) -> Array:
        """Sizes of an up and of a down pulse at w [weight units], shape (2, len(w))."""
        values = dict(zip(self.names, x, strict=True))
        scale, shift = values.pop("dw_min"), values.pop("reference_mean", 0.0)
        numbers = {**_nominal(self.law, *self.fixed.items()), **values}
        # up and down take tensors; making them here, all at once, is three times as fast as q_up and q_down
        tensors = torch.tensor(list(numbers.values()), dtype=torch.float64).unbind()
        law = _blank(self.law).with_fields(**dict(zip(numbers, tensors, strict=True)))
        hidden = torch.from_numpy(w + shift)
        q = torch.stack([law.up(hidden), law.down(hidden)])
        return scale * torch.nan_to_num(q, nan=0.0, posinf=1e6, neginf=-1e6).numpy()

    def device(self, x: Array) -> Device:
        """The device with these numbers, without noise."""
        values = {name: float(v) for name, v in zip(self.names, x, strict=True)}
        scale, shift = values.pop("dw_min"), values.pop("reference_mean", 0.0)
        return Device(self.law(**self.fixed, **values), dw_min=scale, reference_mean=shift)


@functools.cache
def _blank(law: Any) -> Response:
    return law()


@functools.cache
def _nominal(law: Any, *fixed: tuple[str, float]) -> dict[str, float]:
    """All float fields of a law, in order."""
    made = law(**dict(fixed))
    return {name: getattr(made, name) for name in float_fields(law)}


@functools.cache
def domain(law: Any, name: str) -> tuple[float, float]:
    """The interval of a field that its declared domains accept, within +-LARGE."""
    domains = field_rules(law)[name][1]
    inside = getattr(law(), name)

    def limit(outside: float) -> float:
        if all(d.accepts(outside) for d in domains):
            return outside
        good, bad = inside, outside
        for _ in range(60):
            middle = (good + bad) / 2
            good, bad = (middle, bad) if all(d.accepts(middle) for d in domains) else (good, middle)
        return good + 1e-9 * (inside - good)

    return limit(-LARGE), limit(LARGE)


EDGES = {"tau_max": 1.0, "tau_min": -1.0}
HIGH, LOW, GAMMA = (1.05, 1.6), (-1.05, -1.6), (0.6, 1.5)
_FAMILIES = {
    "constant": Family(mho.responses.Constant, {}, EDGES, hard=True),
    "linear": Family(mho.responses.Linear, {"c_lin": (-0.3, 0.3), "tau": (1.05, 1.6)}),
    "soft-bounds": Family(mho.responses.SoftBounds, {"tau_max": HIGH, "tau_min": LOW}, offset=True),
    "power": Family(
        mho.responses.Power, {"tau": HIGH, "gamma_res": GAMMA}, offset=True, caps={"gamma_res": (0.02, 20.0)}
    ),
    "exponential": Family(
        mho.responses.Exponential, {"tau": HIGH, "gamma_res": (0.5, 3.0)}, offset=True,
        caps={"gamma_res": (1e-3, 50.0)},
    ),
    # b shifts w, a scales gamma: with z = w they add nothing to A and gamma.
    "exp-step": Family(
        mho.responses.ExpStep,
        {"A_up": (0.1, 0.6), "A_down": (0.1, 0.6), "gamma_up": (0.7, 3.0), "gamma_down": (0.7, 3.0)},
        EDGES | {"a": 1.0, "b": 0.0},
        hard=True,
        caps={"gamma_up": (0.05, 30.0), "gamma_down": (0.05, 30.0), "A_up": (-20, 20), "A_down": (-20, 20)},
    ),
    "linear-step": Family(
        mho.responses.LinearStep, {"slope_up": (-0.5, 0.5), "slope_down": (-0.5, 0.5)}, EDGES, hard=True,
        caps={"slope_up": (-1.0, 1.0), "slope_down": (-1.0, 1.0)},
    ),
    "pow-step": Family(
        mho.responses.PowStep,
        {"tau_max": HIGH, "tau_min": LOW, "gamma_up": GAMMA, "gamma_down": GAMMA},
        caps={"gamma_up": (0.02, 20.0), "gamma_down": (0.02, 20.0)},
    ),
    # The same curves as soft-bounds with an offset: for those who ask for it by name.
    "skewed-soft-bounds": Family(
        mho.responses.SkewedSoftBounds, {"alpha_down": (0.5, 1.5), "tau_max": HIGH, "tau_min": LOW},
        {"alpha_up": 1.0},
    ),
}  # fmt: skip
TWINS = ("skewed-soft-bounds",)  # laws that `auto` leaves out


def families() -> dict[str, Family]:
    """{name as --law takes it: family} of the laws that can be fitted."""
    return dict(_FAMILIES)


def family(name: str) -> Family:
    """The family of this name, in any spelling."""
    law = find(f"--law {name}", name, Response)
    for known in families().values():
        if known.law is law:
            return known
    raise complaint(f"--law {name}", did_you_mean(kebab(name), [*families(), "auto", "table"]))
