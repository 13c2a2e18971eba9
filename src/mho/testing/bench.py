"""The tile updates that are timed, by `mho bench` and by the comparison with other programs in benchmarks/.

The numbers on which all contenders must agree stand here. Importing this module loads torch and nothing else, so
that a program in another environment can read it too.
"""

import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

if TYPE_CHECKING:
    from mho.tile.tally import UpdateInfo

BL, DW_MIN, TAU, GAIN_SPREAD, LR = 31, 1e-3, 0.6, 0.3, 0.05
SHAPES = ((256, 784, 10), (512, 512, 10), (1024, 1024, 64), (64, 576, 2048))  # out, in, samples
LAWS = ("constant", "soft-bounds", "exp-step", "pow-step")
QUIET = 0.02  # shortest repetition [s]: shorter calls are repeated within one


class Case(NamedTuple):
    """One update: `samples` pairs (x, d) sent to an (out, n_in) tile of cells with this law."""

    law: str
    out: int
    n_in: int
    samples: int
    sigma_c2c: float = 0.3
    bl_management: bool = False
    aggregate: int = 0

    @property
    def shape(self) -> str:
        return f"{self.out}x{self.n_in}, {self.samples}"


def inputs(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw x (samples, in) uniform in [0, 1], and d (samples, out) normal with standard deviation 0.05."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(case.samples, case.n_in, generator=generator)
    return x, 0.05 * torch.randn(case.samples, case.out, generator=generator)


class TileUpdate:
    """A tile of zeros and its inputs. A call sends the update, and `reset` brings the zeros back.

    The learning rate is LR / q(0): aihwkit measures it in steps at w = 0, this library in dw_min. With the
    quotient a law gets the same number of pulses in both.
    """

    def __init__(self, case: Case) -> None:
        from mho.device.device import Device  # here, so that another environment needs torch alone
        from mho.tile.tile import Tile

        law = law_of(case)
        device = Device(
            law, DW_MIN, sigma_c2c=case.sigma_c2c, c2c="multiplicative", spread={"gain": GAIN_SPREAD}
        )
        self.zeros = torch.zeros(case.out, case.n_in)
        self.tile = Tile(self.zeros, device, pulses=pulses_of(case), key=1)
        self.lr = LR / law.F(0.0)
        self.x, self.d = inputs(case)

    def __call__(self) -> "UpdateInfo":
        return self.tile.update(self.x, self.d, self.lr)

    def reset(self) -> None:
        self.tile.program(self.zeros)


def law_of(case: Case) -> Any:
    """Return the response of a case, with aihwkit's default bounds."""
    import mho.responses  # noqa: F401  registers the laws
    from mho.base.registry import names
    from mho.responses.base import Response

    return names(Response)[case.law](tau_max=TAU, tau_min=-TAU)


def pulses_of(case: Case) -> Any:
    """Return the pulse scheme of a case; update management is on, as it is by default in both programs."""
    from mho.device.pulses import Pulses

    return Pulses(bl=BL, bl_management=case.bl_management, aggregate=case.aggregate)


def calls_needed(run: Callable[[], Any], reset: Callable[[], None]) -> int:
    """Warm up, and return the number of calls in a repetition of at least QUIET seconds (50 at most)."""
    took = timed(run, reset, 1)
    if took < 25 * QUIET:
        took = timed(run, reset, 1)
    return max(1, min(50, round(QUIET / took)))


def timed(run: Callable[[], Any], reset: Callable[[], None], calls: int) -> float:
    """Return seconds a call, without resets; a repetition of several calls begins with one that is not timed."""
    if calls > 1:
        reset()
        run()
    total = 0.0
    for _ in range(calls):
        reset()
        start = time.perf_counter()
        run()
        total += time.perf_counter() - start
    return total / calls


class Spread(NamedTuple):
    """The median and the quartiles of repetitions."""

    median: float
    low: float
    high: float
    n: int


def spread(values: list[float]) -> Spread:
    """Return the quartiles of at least one value."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], 1)
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high, len(values))
