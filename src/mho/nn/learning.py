"""What a block has to learn: the factors recorded since the last step, in order, and their sum on request."""

import bisect

import torch

from mho.algorithms.base import Factors
from mho.checks import is_finite
from mho.errors import complaint
from mho.nn.calls import order
from mho.patches import concatenated

Place = tuple[int, int]
"""Of a call among the others: its pass and its number there, see `mho.nn.calls.order`."""


class Learning:
    """The factors of one block between two steps.

    They are kept in the order of their calls (micro-batch, time step, sample), whatever the order in which backward
    comes by.
    """

    def __init__(self) -> None:
        self.factors: list[Factors] = []
        self._order: list[Place] = []
        self._dense: torch.Tensor | None = None
        self._version = 0
        self.is_shared = False

    def record(self, factors: Factors, event: int) -> None:
        """Adds the factors of one call. Raises: MhoError if those of all processes are here already."""
        if self.is_shared:
            raise complaint(
                "loss.backward",
                "the factors of all ranks have been gathered already",
                "A step begins with them",
                "call backward for all micro-batches of a step, then gather, then step",
            )
        if self._dense is not None:
            self.settle()
        place = order(event)
        at = bisect.bisect_right(self._order, place)
        self._order.insert(at, place)
        self.factors.insert(at, factors)

    def calls(self) -> list[tuple[Place, Factors]]:
        """The factors of each call and its place among the calls, in order."""
        self.settle()
        return list(zip(self._order, self.factors, strict=True))

    def share(self, calls: list[tuple[Place, Factors]]) -> None:
        """Puts the calls of all processes, which it orders, in the place of those of this one."""
        calls = sorted(calls, key=lambda call: call[0])
        self.clear()
        self._order, self.factors = [place for place, _ in calls], [factors for _, factors in calls]
        self.is_shared = True

    def take(self) -> Factors | None:
        """All factors as one, or None; none are left."""
        self.settle()
        factors = self.factors
        self.clear()
        if not factors:
            return None
        if len(factors) == 1:
            return factors[0]
        return Factors(concatenated([f.x for f in factors]), torch.cat([f.d for f in factors]))

    def check(self) -> None:
        """Raises an MhoError if a recorded error is not finite."""
        for f in self.factors:
            if not is_finite(f.d):
                raise complaint(
                    "AnalogOptimizer.step",
                    "a gradient at the output of an analog layer holds NaN or infinity",
                    "Nothing has been changed",
                    "lower the learning rate or the scale of the loss; call zero_grad to go on without this batch",
                )

    def clear(self) -> None:
        """Forgets everything."""
        self.factors, self._order, self._dense, self.is_shared = [], [], None, False

    def gradient(self) -> torch.Tensor | None:
        """dL/dW (out, in), see `AnalogParameter`; None if nothing was recorded."""
        if self._dense is None and self.factors:
            self._dense = self._sum()
            self._version = self._dense._version
        return self._dense

    def replace(self, gradient: torch.Tensor) -> None:
        """Takes another matrix for the gradient."""
        self.gradient()
        self._dense, self._version = gradient, -1

    def settle(self) -> None:
        """Multiplies d by what someone has multiplied the gradient by.

        Raises: MhoError if it was changed in any other way.
        """
        now, self._dense = self._dense, None
        if now is None or now._version == self._version:
            return
        was = self._sum() if self.factors else torch.zeros_like(now)
        top = was.abs().argmax()
        factor = 1.0 if was.view(-1)[top] == 0 else float(now.reshape(-1)[top] / was.view(-1)[top])
        if not torch.allclose(
            now.to(was), factor * was, rtol=1e-4, atol=1e-6 * abs(factor) * float(was.abs().max())
        ):
            raise complaint(
                "weight.grad",
                "the gradient of an analog weight was changed by more than one common factor",
                "Pulses are made of x and d, whose sum of d x^T it no longer is",
                "clip by norm, or change the gradients of digital parameters only",
            )
        self.factors = [Factors(f.x, f.d * factor) for f in self.factors]

    def _sum(self) -> torch.Tensor:
        total = self.factors[0].outer()
        for f in self.factors[1:]:
            total = total + f.outer()
        return total.neg_()
