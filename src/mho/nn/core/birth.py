"""The comparison of new arrays with the weights that they were given, and its warning.

Each block reports the difference while its layer is made. The outermost layer, or `mho.convert_` for all layers of
a model, warns once.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

NOTICED = 0.01  # relative error of a layer's weights that is worth a warning

_CLIPPED = (
    "Weights beyond the bounds of a device are clipped. Fix: Mapping(omega=...) scales them to a largest |w| that "
    "fits, such as 0.6 of the bound."
)
_ONE_SIGN = (
    "The cells hold weights of one sign. Fix: a cell of two devices, such as mho.OneSided(device) or "
    "mho.presets.PCMPair."
)
_NOISY = (
    "Write noise of the device moves them, and no weight was clipped for it. Fix: a smaller "
    "Device(write_noise=...), or Mapping(omega=...), whose digital scale makes the weights of "
    "the cells larger beside the noise."
)


_STUCK = (
    "Cells of the device are stuck, and hold what they hold; no weight was clipped for it. Fix: Device(corrupt=0), "
    "or train from here."
)


class ConversionWarning(UserWarning):
    """The warning that arrays do not hold the weights they were given: these lie beyond the device's bounds, write
    noise moved them, or cells are stuck."""


class Birth:
    """Squares of a layer's given weights, and of their errors: clipped, by write noise, by cells that are stuck."""

    def __init__(self) -> None:
        self.given = self.clipped = self.noise = self.stuck = 0.0
        self.has_one_sign = False  # of the weights that the cells can hold

    def add(
        self,
        given: torch.Tensor,
        clipped: torch.Tensor,
        noise: torch.Tensor | None,
        stuck: torch.Tensor | None,
    ) -> None:
        """Add one block's weights (out, in) and their errors, in one unit.

        clipped: errors without write noise; where `stuck` is true, they are those of cells that are stuck.
        """
        self.given += float(given.square().sum())
        self.noise += 0.0 if noise is None else float(noise.square().sum())
        if stuck is not None:
            self.stuck += float(clipped[stuck].square().sum())
            clipped = clipped.masked_fill(stuck, 0.0)
        self.clipped += float(clipped.square().sum())

    def errors(self) -> tuple[float, float, float]:
        """Return the norms of what was clipped, of noise and of stuck cells, relative to that of the weights."""
        if not self.given:
            return 0.0, 0.0, 0.0
        clipped, noise, stuck = ((e / self.given) ** 0.5 for e in (self.clipped, self.noise, self.stuck))
        return clipped, noise, stuck


_open: ContextVar[Birth | None] = ContextVar("_open", default=None)


def present() -> Birth | None:
    """Return the birth that runs now, to which blocks report."""
    return _open.get()


@contextmanager
def watched() -> Iterator[Birth]:
    """Collect the reports of the blocks that are made inside; within another birth, in that one."""
    outer = _open.get()
    if outer is not None:
        yield outer
        return
    token = _open.set(Birth())
    try:
        birth = _open.get()
        assert birth is not None, "it was set just now"
        yield birth
    finally:
        _open.reset(token)


def warn(where: str, births: dict[str, Birth], level: int = 3) -> None:
    """Warn of layers, by name, whose arrays hold other weights than they were given.

    Args:
        where: the call; level: frames from here to the user's code.
    """
    for n, reason in enumerate((_CLIPPED, _NOISY, _STUCK)):
        errors = {name: birth.errors()[n] for name, birth in births.items()}
        missed = [f"{name} by {error:.0%}" for name, error in errors.items() if error > NOTICED]
        if missed:
            what = "what the arrays hold differs from the weights they were given, layer"
            if reason is _CLIPPED and all(birth.has_one_sign for birth in births.values() if birth.clipped):
                reason = _ONE_SIGN
            text = f"`{where}`: {what} {', '.join(missed)} (norm of the difference). {reason}"
            warnings.warn(text, ConversionWarning, stacklevel=level)
