"""Laws that are linear in w: a pulse is w -> a w + b, and millions of alternating ones are one such map."""

from typing import NamedTuple

import torch
from torch import Tensor, fx

from mho.device.device import Cells, Device
from mho.kernels.law.trace import operation_name, trace
from mho.responses.base import DOUBLE, Response

SLACK = 1e-9  # a map that leaves the bounds by this part of their distance only does so by rounding


class Line(NamedTuple):
    """Some pulses in a row: w becomes a w + b, and the weights behind each of them sum up to c w + d; all four are
    (out, in) float64."""

    a: Tensor
    b: Tensor
    c: Tensor
    d: Tensor

    def then(self, other: "Line") -> "Line":
        """These pulses first, the other ones after them."""
        return Line(
            other.a * self.a,
            other.a * self.b + other.b,
            self.c + other.c * self.a,
            self.d + other.c * self.b + other.d,
        )

    def times(self, n: int) -> "Line":
        """All of it n times, n >= 1, by squaring."""
        power, rest = None, self
        while n:
            if n % 2:
                power = rest if power is None else power.then(rest)
            n //= 2
            if n:
                rest = rest.then(rest)
        assert power is not None
        return power


class Pair(NamedTuple):
    """One up pulse and one down pulse."""

    up: Line
    down: Line

    def pulses(self, first: int, n: int) -> Line:
        """Pulses number first <= p < first + n, n >= 1, even ones up and odd ones down."""
        pair = (self.up, self.down) if first % 2 == 0 else (self.down, self.up)
        cycles = pair[0].then(pair[1]).times(n // 2) if n > 1 else None
        if n % 2 == 0:
            assert cycles is not None
            return cycles
        return pair[0] if cycles is None else cycles.then(pair[0])


def lines(device: Device, cells: Cells, shape: tuple[int, int]) -> Pair | None:
    """The two pulses of a tile's cells; None if the law is not linear, or noisy, or a pulse may end at a bound."""
    noisy = device.sigma_c2c > 0 or device.c2c == "law"
    if noisy or not all(is_linear(device.response, method) for method in ("up", "down")):
        return None
    fields = {n: v.to(DOUBLE) if isinstance(v, Tensor) else v for n, v in cells.fields.items()}
    law = device.response.with_fields(**fields)
    low, high = (_plane(v, shape) for v in (cells.lower, cells.upper))
    pulses = []
    for step, gain, sign in ((law.q_up, cells.gain_up, 1.0), (law.q_down, cells.gain_down, -1.0)):
        size = sign * device.dw_min * _plane(gain, shape)
        zero, one = torch.zeros(shape, dtype=DOUBLE), torch.ones(shape, dtype=DOUBLE)
        at_zero = step(zero)
        a, b = 1 + size * (step(one) - at_zero), size * at_zero
        slack = SLACK * (high - low).clamp(max=1e30)
        for end in (low, high):
            new = torch.where(end.isfinite(), a * end + b, end)
            if not ((new >= low - slack) & (new <= high + slack)).all():
                return None
        pulses.append(Line(a, b, a, b))
    return Pair(*pulses)


def is_linear(law: Response, method: str) -> bool:
    """Whether `up` or `down` is a polynomial of degree 1 in w at most, by the operations it is made of."""
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
    """Degree of an operation's result; infinity for what is no polynomial."""
    if name in ("ones_like", "zeros_like") or not any(parts):
        return 0.0
    if name in ("add", "sub", "radd", "rsub", "neg", "pos"):
        return max(parts)
    if name in ("mul", "rmul"):
        return sum(parts)
    if name == "div" and parts[1] == 0:
        return parts[0]
    return float("inf")


def _plane(value: "float | Tensor", shape: tuple[int, int]) -> Tensor:
    return torch.as_tensor(value, dtype=DOUBLE).expand(shape)
