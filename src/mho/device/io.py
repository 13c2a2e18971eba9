"""The converters around a crossbar: DAC, noise, ADC, and the digital scaling that keeps both in range."""

import functools
import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch

from mho.base.errors import complaint, did_you_mean, wrong_type
from mho.base.records import Domain, NonNegative, Record


class Wires(Record, named=False):
    """The wires of an array: their resistance, their leakage, all that lies between a driver and a converter.

    Passive wires with ideal drivers are a linear network: the currents are those of an array without wires that
    holds another matrix. A subclass computes that matrix in `currents`, from what the cells hold:

        class Series(mho.Wires):
            r: Annotated[float, NonNegative] = 0.0  # of a line from end to end [1 / weight units]

            def currents(self, matrix):
                return matrix / (1 + self.r * matrix.abs())

    `IO(wires=...)` takes it, for all directions or for each its own, and every array of every layer is seen
    through it. Each array has wires of its own: the parts of a composed cell and the terms of an algorithm are
    mapped one by one, then added. The result is kept until the array is written again.
    """

    def currents(self, matrix: torch.Tensor) -> torch.Tensor:
        """Return the matrix that the currents add up to, of the same shape, dtype and device, in new memory.

        matrix: (driven, sensed) float32; element (i, j) is the weight between driven line i and sensed line j
            [weight units]. Forward, inputs are driven; backward, and to read a row, outputs are. Drivers are at
            sensed line 0, converters at driven line 0.
        """
        raise NotImplementedError


def _bounded(name: str, value: float) -> str:
    """Return the remedy for a bound that is none: `value` is not positive or not finite."""
    aihwkit = not math.isnan(value) and value != math.inf
    return f"{name}=None for no bound" + (f"; aihwkit writes {value:g} for that" if aihwkit else "")


def _resolved(name: str, value: float) -> str:
    """Return the remedy for a resolution in aihwkit's words."""
    if not value > 1:
        return f"{name}=0 for no steps; aihwkit writes {value:g} for that"
    if value == math.inf:
        return f"{name}=0 for no steps"
    return f"{name}=1/{value:g}; aihwkit writes {value:g} for a range of so many steps"


Bound = Domain("positive, or None for no bound", lambda v: v > 0, _bounded)
Factor = Domain("at least 1", lambda v: v >= 1)
Resolution = Domain(
    "the step as a part of the whole range, from 0 (no steps) to 1 (one step)",
    lambda v: 0 <= v <= 1,
    _resolved,
)


class IO(Record):
    """One direction of a tile's periphery. The defaults are those of both papers' experiments.

    Order: scale by noise management, quantise (DAC), clip, input noise, multiply, output noise, quantise
    (ADC), clip, scale back. With iterative bound management a sample whose output reaches `out_bound` is
    repeated with half the input until it fits. Without `out_bound` every output fits. Without a bound a converter
    has no range, so it has no steps either, whatever its resolution.

    Args:
        inp_bound: largest input [normalised], > 0; None for no bound.
        inp_res: step of the DAC over its full range, in [0, 1]; 0 for no steps, 1/n for n steps.
        sigma_inp: input noise [normalised], >= 0.
        out_bound: largest output [output units], > 0; None for no bound.
        out_res: step of the ADC over its full range, in [0, 1]; 0 for no steps, 1/n for n steps.
        sigma_out: output noise [output units], >= 0.
        noise_management: "abs_max" divides each sample by its largest |x|; "none" does not.
        bound_management: "iterative" or "none".
        max_bm_factor: largest total reduction by bound management, >= 1.
        perfect: ignore everything above; a plain product.
        wires: what lies between cells and converters, perfect ones too; None for wires without resistance.
    Source: arXiv 2602.21321, table 6; arXiv 2502.06309, appendix K, table 4; order of steps as aihwkit 1.2.0.
    """

    synonyms: ClassVar = {
        "inp_noise": "sigma_inp",
        "out_noise": "sigma_out",
        "is_perfect": "perfect",
        "nm_thres": "leave it out, for abs_max scales each sample by its own maximum",
        "out_scale": "leave it out, for scales of outputs are digital: mho.Mapping(out_scale=...)",
    }

    inp_bound: Annotated[float | None, Bound] = 1.0
    inp_res: Annotated[float, Resolution] = 1 / 126
    sigma_inp: Annotated[float, NonNegative] = 0.0
    out_bound: Annotated[float | None, Bound] = 12.0
    out_res: Annotated[float, Resolution] = 1 / 510
    sigma_out: Annotated[float, NonNegative] = 0.06
    noise_management: Literal["abs_max", "none"] = "abs_max"
    bound_management: Literal["iterative", "none"] = "iterative"
    max_bm_factor: Annotated[float, Factor] = 1000.0
    perfect: bool = False
    wires: Wires | None = None

    def validate(self) -> None:
        if not isinstance(self.wires, (Wires, type(None))):
            raise wrong_type("IO(wires=...)", "it", self.wires, "an mho.Wires or None")

    @functools.cached_property
    def unmanaged(self) -> "IO":
        """These converters without bound management."""
        return self.replace(bound_management="none")

    @functools.cached_property
    def retries(self) -> int:
        """The number of times that bound management may halve the input: up to max_bm_factor, while a quarter of
        the DAC's range is still finer than its step (aihwkit's max_bm_res = 0.25)."""
        if self.bound_management == "none" or self.perfect or self.out_bound is None:
            return 0
        limit = self.max_bm_factor if self.inp_step == 0 else min(self.max_bm_factor, 0.25 / self.inp_res)
        return max(int(limit).bit_length() - 1, 0)

    @functools.cached_property
    def inp_step(self) -> float:
        """The step of the DAC [normalised]; 0 for none."""
        return 0.0 if self.inp_bound is None else 2 * self.inp_bound * self.inp_res

    @functools.cached_property
    def out_step(self) -> float:
        """The step of the ADC [output units]; 0 for none."""
        return 0.0 if self.out_bound is None else 2 * self.out_bound * self.out_res

    @functools.cached_property
    def numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """For kernels: (bound, step, sigma, abs_max) of the inputs, (bound, step, sigma) of the outputs.

        A bound that is none is infinite there.
        """
        inp_bound, out_bound = (math.inf if b is None else b for b in (self.inp_bound, self.out_bound))
        inward = inp_bound, self.inp_step, self.sigma_inp, self.noise_management == "abs_max"
        outward = out_bound, self.out_step, self.sigma_out
        return np.array(inward, np.float32), np.array(outward, np.float32)


PERFECT = IO(perfect=True)
DIRECTIONS = ("forward", "backward", "transfer")


def by_direction(io: "IO | Mapping[str, IO] | None") -> dict[str, IO]:
    """Return {"forward", "backward", "transfer"} -> IO.

    None means perfect. One `IO` is used forward; backward it loses bound management, transfers lose both
    managements, as in the papers (arXiv 2602.21321, table 6) and in aihwkit. A mapping is taken as it is,
    its missing directions filled from its "forward", or from the default `IO()`.
    """
    if not (io is None or isinstance(io, (IO, Mapping))):
        raise wrong_type("io=...", "io", io, "an mho.IO, a mapping by direction, or None")
    given = dict(io) if isinstance(io, Mapping) else {}
    for direction, part in given.items():
        if direction not in DIRECTIONS:
            where = f"io={{{direction!r}: ...}}"
            raise complaint(where, "there is no such direction", fix=did_you_mean(direction, DIRECTIONS))
        if not isinstance(part, IO):
            raise wrong_type(f"io={{{direction!r}: ...}}", "it", part, "an mho.IO")
    base = PERFECT if io is None else io if isinstance(io, IO) else given.get("forward", IO())
    derived = {
        "forward": base,
        "backward": base.replace(bound_management="none"),
        "transfer": base.replace(bound_management="none", noise_management="none"),
    }
    return derived | given
