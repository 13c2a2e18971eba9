"""Laws that are linear in w: a pulse is w -> a w + b, and millions of alternating pulses are one such map."""

from typing import NamedTuple

import torch
from torch import Tensor, fx

from mho.device.cell import Cells, plane
from mho.device.device import Device
from mho.kernels.law.trace import operation_name, trace
from mho.responses.base import DOUBLE, Response

SLACK = 1e-9  # a map that leaves the bounds by this part of their distance only does so by rounding


class PulseMap(NamedTuple):
    """Some pulses in a row: w becomes a w + b, and the weights behind each pulse sum up to c w + d.

    All four are (out, in) float64.
    """

    a: Tensor
    b: Tensor
    c: Tensor
    d: Tensor

    def then(self, other: "PulseMap") -> "PulseMap":
        """Return the map of these pulses, followed by the other ones."""
        return PulseMap(
            other.a * self.a,
            other.a * self.b + other.b,
            self.c + other.c * self.a,
            self.d + other.c * self.b + other.d,
        )

    def times(self, n: int) -> "PulseMap":
        """Return the map of n repetitions, n >= 1, by squaring."""
        power, rest = None, self
        while n:
            if n % 2:
                power = rest if power is None else power.then(rest)
            n //= 2
            if n:
                rest = rest.then(rest)
        assert power is not None
        return power


class PulsePair(NamedTuple):
    """One up pulse and one down pulse."""

    up: PulseMap
    down: PulseMap

    def pulses(self, first: int, n: int) -> PulseMap:
        """Return the map of pulses first <= p < first + n, n >= 1: even numbers up, odd numbers down."""
        pair = (self.up, self.down) if first % 2 == 0 else (self.down, self.up)
        cycles = pair[0].then(pair[1]).times(n // 2) if n > 1 else None
        if n % 2 == 0:
            assert cycles is not None
            return cycles
        return pair[0] if cycles is None else cycles.then(pair[0])


def lines(device: Device, cells: Cells, shape: tuple[int, int]) -> PulsePair | None:
    """Return the two pulses of a tile's cells, None if they are no maps.

    They are none if the law is not linear, if it is noisy, or if a pulse may end at a bound.
    """
    noisy = device.sigma_c2c > 0 or device.c2c == "law"
    if noisy or not all(is_linear(device.response, method) for method in ("up", "down")):
        return None
    law, low, high = cells.to(DOUBLE).law, plane(cells.lower, shape), plane(cells.upper, shape)
    pulses = []
    for step, gain, sign in ((law.q_up, cells.gain_up, 1.0), (law.q_down, cells.gain_down, -1.0)):
        size = sign * device.dw_min * plane(gain, shape)
        zero, one = torch.zeros(shape, dtype=DOUBLE), torch.ones(shape, dtype=DOUBLE)
        at_zero = step(zero)
        a, b = 1 + size * (step(one) - at_zero), size * at_zero
        slack = SLACK * (high - low).clamp(max=1e30)
        for end in (low, high):
            new = torch.where(end.isfinite(), a * end + b, end)
            if not ((new >= low - slack) & (new <= high + slack)).all():
                return None
        pulses.append(PulseMap(a, b, a, b))
    return PulsePair(*pulses)


def is_linear(law: Response, method: str) -> bool:
    """Say if `up` or `down` is a polynomial of degree 1 in w at most, by its operations."""
    degrees: dict[fx.Node, float] = {}

    def degree(argument: object) -> float:
        return degrees[argument] if isinstance(argument, fx.Node) else 0.0

    for node in trace(law, method).nodes:
        if node.op == "placeholder":
            degrees[node] = 1.0 if node.target == "w" else 0.0
            continue
        if node.op == "output":
            return degree(node.args[0]) <= 1
        parts = [degree(argument) for argument in (*node.args, *node.kwargs.values())]
        degrees[node] = _degree(operation_name(node), parts)
    return False


def _degree(name: str, parts: list[float]) -> float:
    """Return the degree of an operation's result; infinity for a result that is no polynomial."""
    if name in ("ones_like", "zeros_like") or not any(parts):
        return 0.0
    if name in ("add", "sub", "radd", "rsub", "neg", "pos"):
        return max(parts)
    if name in ("mul", "rmul"):
        return sum(parts)
    if name == "div" and parts[1] == 0:
        return parts[0]
    return float("inf")
