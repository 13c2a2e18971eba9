"""The laws that can be fitted, each with the fields that data determine; see `Response.fitting`."""

import functools
import itertools
from typing import Any, NamedTuple

import numpy as np
import torch

import mho.responses  # noqa: F401  registers the laws
from mho.base.errors import complaint, did_you_mean
from mho.base.records import field_rules, float_fields
from mho.base.registry import find, kebab, names
from mho.device.device import Device
from mho.fit.measured import Array
from mho.responses.base import Response
from mho.responses.fitting import Fitting

AUTO, TABLE = "auto", "table"  # in place of a law: choose one; take the data themselves
LARGE = 100.0  # no fitted number is larger [its own units]


class Family(NamedTuple):
    """A law with the fields that are fitted: the curves that a search chooses from.

    Args:
        law: the class.
        how: its `Response.fitting`.
    """

    law: Any  # type[Response]; mypy finds no hash in a type of dataclasses
    how: Fitting

    @property
    def names(self) -> tuple[str, ...]:
        """The fitted numbers, in order: dw_min, fields of the law, reference_mean."""
        return ("dw_min", *self.how.starts, *(["reference_mean"] if self.how.offset else []))

    def bounds(self) -> tuple[Array, Array]:
        """Return the lowest and the highest values of the fitted numbers."""
        limits = [(1e-9, LARGE)]
        for name in self.how.starts:
            low, high = domain(self.law, name)
            cap = self.how.caps.get(name, (-LARGE, LARGE))
            limits.append((max(low, cap[0]), min(high, cap[1])))
        limits += [(-3.0, 3.0)] if self.how.offset else []
        low, high = np.array(limits).T
        return low, high

    def grid(self, size: float) -> list[Array]:
        """Return the points to start from; `size`: a typical step [weight units]."""
        ends = [self.how.starts[name] for name in self.how.starts]
        offsets = (-0.3, 0.3) if self.how.offset else (None,)
        return [
            np.array([size, *values, *([] if offset is None else [offset])])
            for *values, offset in itertools.product(*ends, offsets)
        ]

    def steps(self, x: Array, w: Array) -> Array:
        """Return the sizes of an up and of a down pulse at w [weight units], shape (2, len(w))."""
        values = dict(zip(self.names, x, strict=True))
        scale, shift = values.pop("dw_min"), values.pop("reference_mean", 0.0)
        numbers = {**_nominal(self.law, *self.how.fixed.items()), **values}
        # `up` and `down` take tensors. Making all at once is three times as fast as `q_up` and `q_down`.
        tensors = torch.tensor(list(numbers.values()), dtype=torch.float64).unbind()
        law = _blank(self.law).with_fields(**dict(zip(numbers, tensors, strict=True)))
        hidden = torch.from_numpy(w + shift)
        q = torch.stack([law.up(hidden), law.down(hidden)])
        return scale * torch.nan_to_num(q, nan=0.0, posinf=1e6, neginf=-1e6).numpy()

    def device(self, x: Array) -> Device:
        """Return the device with these numbers, without noise."""
        values = {name: float(v) for name, v in zip(self.names, x, strict=True)}
        scale, shift = values.pop("dw_min"), values.pop("reference_mean", 0.0)
        return Device(self.law(**self.how.fixed, **values), dw_min=scale, reference_mean=shift)


@functools.cache
def _blank(law: Any) -> Response:
    return law()


@functools.cache
def _nominal(law: Any, *fixed: tuple[str, float]) -> dict[str, float]:
    """Return all float fields of a law, in order."""
    made = law(**dict(fixed))
    return {name: getattr(made, name) for name in float_fields(law)}


@functools.cache
def domain(law: Any, name: str) -> tuple[float, float]:
    """Return the interval of a field that its declared domains accept, within +-LARGE."""
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


def families() -> dict[str, Family]:
    """Return {name in kebab-case: family} of the laws that can be fitted."""
    return {
        name: Family(law, law.fitting) for name, law in names(Response).items() if law.fitting is not None
    }


def chosen(law: str) -> dict[str, Family]:
    """Return the families to try: those that `auto` and `table` compare, or the one of a name in any spelling.

    Raises: MhoError for a name that is no law's, or that of a law that does not say how it is fitted.
    """
    known = families()
    if law in (AUTO, TABLE):
        return {name: one for name, one in known.items() if not one.how.twin}
    where = f"fit(law={law!r})"
    found = find(where, law, Response)
    name = kebab(law if found is None else found.__name__)
    if name not in known:
        what = "there is no such law" if found is None else f"{found.__name__} does not say how it is fitted"
        raise complaint(where, what, fix=did_you_mean(name, [*known, AUTO, TABLE]))
    return {name: known[name]}
