"""Pulse schemes: an update as stochastic pulse trains, as rounded pulse counts, or as an expectation."""

from typing import Annotated, ClassVar, Literal

from mho.base.errors import complaint
from mho.base.records import NonNegative, OneOrMore, Record


class Pulses(Record):
    """Pulses are sent one by one, and each one sees the weight that the one before it left.

    Args:
        bl: length of the pulse train, the most pulses a cell gets from one sample [pulses], 1 to 1024.
        rounding: "trains": rows and columns fire at random and a cell gets a pulse where both do (hardware);
            "stochastic": each cell gets |lr d x| / dw_min pulses, rounded at random (simulations in papers).
        update_management: scale x and d so that both lines fire with the same largest probability.
        bl_management: shorten the train to the length that the largest product needs; implies update_management.
            Both managements concern trains only.
        aggregate: number of successive samples whose pulses are counted, cell by cell, and then applied
            together by the law's flow, as if they had come evenly mixed; 0 sends each pulse in its turn. Faster
            for many samples (a convolution), not exact: docs/aggregated.md measures the difference. 32 is a
            good number. Trains only.
    Source: trains, Gokmen and Vlasov 2016; managements, aihwkit 1.2.0 UpdateParameters (desired_bl,
    update_management, update_bl_management): behaviour and defaults match.
    """

    synonyms: ClassVar = {"desired_bl": "bl", "update_bl_management": "bl_management"}

    bl: Annotated[int, OneOrMore] = 31
    rounding: Literal["trains", "stochastic"] = "trains"
    update_management: bool = True
    bl_management: bool = True
    aggregate: Annotated[int, NonNegative] = 0

    def validate(self) -> None:
        if self.bl > 1024:
            raise complaint(f"Pulses(bl={self.bl})", "a train has at most 1024 slots")
        if self.aggregate and self.rounding != "trains":
            raise complaint(
                f'Pulses(aggregate={self.aggregate}, rounding="stochastic")', "only trains can be aggregated"
            )


class Expected(Record):
    """No pulses: the compact model w + dw F(w) - |dw| G(w), with dw = lr d x^T; deterministic.

    Args:
        per_sample: apply the samples one after another instead of their sum (the mini-batch gradient).
    Source: arXiv 2502.06309, eq. (5); cells' own parameters, bounds and gain included.
    """

    per_sample: bool = False


class Exact(Record):
    """Plain arithmetic, w + lr d x^T: no device at all. The digital reference."""


PulseScheme = Pulses | Expected | Exact
