"""The part of a law that measured data can determine: which of its fields a fit varies, and from where."""

from collections.abc import Mapping
from typing import NamedTuple

HIGH, LOW, GAMMA = (
    (1.05, 1.6),
    (-1.05, -1.6),
    (0.6, 1.5),
)  # starts of an upper bound, a lower bound, an exponent
EDGES = {"tau_max": 1.0, "tau_min": -1.0}  # of a law with hard bounds: the range of the data
SHARES = (0.02, 20.0)  # limits of an exponent


class Fitting(NamedTuple):
    """The fields of a law that `mho.fit` determines; w is normalised so that the data run from -1 to 1.

    A law declares itself, as the class attribute `fitting`; that is all a new law needs to be fitted:

        class MyLaw(Response):
            tau: Annotated[float, Positive] = 1.0
            fitting = Fitting({"tau": HIGH})

    Args:
        starts: {field: values that the search starts from}; these fields are fitted.
        fixed: {field: value} of the others, if it is not the default.
        offset: fit `Device.reference_mean` too. Laws whose symmetric point is pinned to 0 need it: the user chooses
            the middle of the range, but the device decides at which weight up and down are equal.
        hard: w stops dead at -1 and 1, as the law does not vanish there.
        caps: {field: (low, high)} narrower than the field's domain.
        twin: the law has the same curves as another one, so that only its name asks for it.
    """

    starts: Mapping[str, tuple[float, ...]]
    fixed: Mapping[str, float] = {}
    offset: bool = False
    hard: bool = False
    caps: Mapping[str, tuple[float, float]] = {}
    twin: bool = False
