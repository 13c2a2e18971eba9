"""The factors that a block has to learn: recorded since the last step, in order, and their sum on request."""

import bisect
import warnings
import weakref
from collections.abc import Callable

import torch

from mho.algorithms.base import Factors
from mho.base.errors import complaint
from mho.tile.events import order
from mho.tile.patches import Patches, concatenated
from mho.tile.readout import is_finite

_LONG = 1000
"""Backward passes without a step that are worth a warning."""
_FEW = 2**18
"""Numbers in factors that are kept in any case."""
Place = tuple[int, int]
"""The place of a call among the others: its pass and its number there, see `mho.tile.events.order`."""


class Learning:
    """The factors of one block between two steps.

    They are kept in the order of their calls (micro-batch, time step, sample), not in the order of the backward.
    """

    def __init__(self) -> None:
        self.factors: list[Factors] = []
        self._order: list[Place] = []
        self._versions: list[int] = []  # of the inputs, when they were recorded
        self._dense: torch.Tensor | None = None  # `weight.grad`, once it was asked for
        self._computed: torch.Tensor | None = None  # its value then
        self._asked: torch.Tensor | None = None  # the last `weight.grad` that was asked for, after its step
        self.is_shared = False
        self.is_checked = False  # all factors are known to be finite
        self.mark: Callable[[torch.Tensor], torch.Tensor] | None = (
            None  # see `mho.nn.core.first_order.second`
        )
        self.owner: weakref.ref | None = None  # the optimizer whose step will take the factors
        self._is_warned = False
        self._size = 0  # numbers in the factors, if nobody owns them
        self._rest: torch.Tensor | None = None  # the gradient of factors that nobody owned and are gone

    def record(self, factors: Factors, event: int) -> None:
        """Add the factors of one call. Raises: MhoError if those of all processes are here already."""
        if self.is_shared:
            raise complaint(
                "loss.backward",
                "the factors of all ranks have been gathered already",
                "A step begins with them",
                "call backward for all micro-batches of a step, then gather, then step",
            )
        if self._dense is not None:
            self.settle()
        self._asked = None
        self.is_checked = False
        place = order(event)
        if self._order and not self._is_warned and place[0] - self._order[0][0] > _LONG:
            self._is_warned = True
            text = (
                f"an analog layer keeps what {_LONG} backward passes gave it to learn, and no step has taken it. "
                "Call optimizer.step or optimizer.zero_grad, or freeze the layer: layer.requires_grad_(False)"
            )
            warnings.warn(text, stacklevel=2)
        at = bisect.bisect_right(self._order, place) if self._order else 0
        self._order.insert(at, place)
        self.factors.insert(at, factors)
        self._versions.insert(at, _versions(factors))
        if self.owner is None or self.owner() is None:
            self._fold_large(factors)

    def _fold_large(self, last: Factors) -> None:
        """Replace the factors by their sum once they take more memory: no optimizer will ask for them."""
        d = last.d
        self._size += d.numel() + d.shape[0] * last.x.shape[1]
        if self._size > max(_FEW, d.shape[1] * last.x.shape[1]):
            with torch.inference_mode(False):
                self._rest = self._sum()
            self._forget()

    def calls(self) -> list[tuple[Place, Factors]]:
        """Return the factors of each call and its place among the calls, in order."""
        self.settle()
        return list(zip(self._order, self.factors, strict=True))

    def share(self, calls: list[tuple[Place, Factors]]) -> None:
        """Replace the calls of this process by those of all processes, sorted."""
        calls = sorted(calls, key=lambda call: call[0])
        self.clear()
        self._order, self.factors = [place for place, _ in calls], [factors for _, factors in calls]
        self._versions = [_versions(factors) for factors in self.factors]
        self.is_shared = True

    def keep_inputs(self, written: set[int]) -> None:
        """Copy the inputs in memory that is about to be written to, such as that of learned queries.

        written: addresses of storages.
        """
        for n, factors in enumerate(self.factors):
            x = factors.x
            images = x.images if isinstance(x, Patches) else [x]
            if any(image.untyped_storage().data_ptr() in written for image in images):
                copies = [image.clone() for image in images]
                x = Patches(copies, x.geometry, x.cut, x.signs) if isinstance(x, Patches) else copies[0]
                self.factors[n] = factors._replace(x=x)
                self._versions[n] = _versions(self.factors[n])

    def take(self) -> Factors | None:
        """Return all factors as one, or None; none are left. `settle` comes before."""
        self._check_kept()
        factors, asked = self.factors, self._asked
        self.clear()
        self._asked = asked
        if not factors:
            return None
        if len(factors) == 1:
            return factors[0]
        return Factors(concatenated([f.x for f in factors]), torch.cat([f.d for f in factors]))

    def check(self) -> None:
        """Check that the recorded errors are finite; their inputs passed through a product, which checked them.

        Raises: MhoError if an error is not finite, or if factors were given up because no optimizer owned them.
        """
        self._check_kept()
        for f in self.factors:
            if not is_finite(f.d):
                raise complaint(
                    "AnalogOptimizer.step",
                    "a gradient at the output of an analog layer holds NaN or infinity",
                    "Nothing has been changed",
                    "lower the learning rate or the scale of the loss; call zero_grad to go on without this batch",
                )
        self.is_checked = True

    def _check_kept(self) -> None:
        if self._rest is not None:
            raise complaint(
                "AnalogOptimizer.step",
                "gradients of an analog layer were collected before any optimizer had its weight",
                "Of so many only their sum was kept, and pulses are made of the factors",
                "make the AnalogOptimizer first, or call zero_grad",
            )

    def clear(self) -> None:
        """Forget everything."""
        self._forget()
        self._rest = None
        self._dense = self._computed = self._asked = self.mark = None
        self.is_shared = self.is_checked = False

    def _forget(self) -> None:
        self.factors, self._order, self._versions = [], [], []
        self._size = 0

    def gradient(self) -> torch.Tensor | None:
        """Return dL/dW (out, in), see `AnalogParameter`; None if nothing was recorded.

        Raises: MhoError if an input was overwritten since.
        """
        if self._dense is None and (self.factors or self._rest is not None):
            self._check_inputs()
            with torch.inference_mode(False):
                self._dense = self._sum()
                self._computed = self._dense.clone()
                self._dense = self._dense if self.mark is None else self.mark(self._dense)
        return self._asked if self._dense is None else self._dense

    def replace(self, gradient: torch.Tensor) -> None:
        """Take another matrix for the gradient."""
        self._asked = None
        if self.gradient() is None:
            self._computed = torch.zeros_like(gradient, dtype=torch.float32)
        self._dense = gradient

    def settle(self) -> None:
        """Multiply d by the factor by which the gradient was multiplied since; a factor of zero drops all factors.

        Raises: MhoError if the gradient was changed in any other way, or the inputs were.
        """
        self._check_inputs()
        now, was = self._dense, self._computed
        if now is None or was is None:
            return
        factor = _factor(now, was)
        if factor == 0:
            self._forget()
            self._rest = None
        elif factor != 1:
            self.is_checked = False
            self.factors = [Factors(f.x, f.d * factor) for f in self.factors]
            self._rest = None if self._rest is None else self._rest * factor
        self._dense, self._computed, self._asked = None, None, now

    def _check_inputs(self) -> None:
        if self._versions != [_versions(f) for f in self.factors]:
            raise complaint(
                "AnalogOptimizer.step",
                "an input of an analog layer was changed in place after the backward pass",
                "It is a factor of the update, which is still to come",
                "pass a copy to the layer: layer(x.clone())",
            )

    def _sum(self) -> torch.Tensor:
        if not self.factors:
            assert self._rest is not None, "there is a gradient"
            return self._rest.clone()
        total = self.factors[0].outer()
        for f in self.factors[1:]:
            total = total + f.outer()
        return total.neg_() if self._rest is None else self._rest - total


def _factor(now: torch.Tensor, was: torch.Tensor) -> float:
    """Return the number that a gradient was multiplied by. Raises: MhoError if that was not one number."""
    now = now.detach().to(was)
    if torch.equal(now.view(torch.int32), was.view(torch.int32)):  # also where it holds NaN
        return 1.0
    if not now.isfinite().all():
        raise complaint(
            "weight.grad",
            "the gradient of an analog weight was made NaN or infinite, such as by clipping with such a norm",
            "Nothing has been changed",
            "call zero_grad to go on without this batch",
        )
    at = was.abs().argmax()
    top = was.flatten()[at]
    factor = float(now.flatten()[at] / top) if top else 1.0
    if not torch.allclose(now, factor * was, rtol=1e-4, atol=1e-6 * abs(factor * float(top))):
        raise complaint(
            "weight.grad",
            "the gradient of an analog weight was changed by more than one common factor",
            "Pulses are made of x and d, whose sum of d x^T it no longer is",
            "clip by norm, or change the gradients of digital parameters only",
        )
    return factor


def _versions(factors: Factors) -> int:
    """Return the number of times that torch has written to the inputs."""
    x = factors.x
    return sum(image._version for image in x.images) if isinstance(x, Patches) else x._version
