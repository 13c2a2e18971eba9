"""References of an array: programming one, and the model of a reference that misses the symmetric point."""

from typing import Annotated

import torch

from mho.base.errors import complaint
from mho.base.records import NonNegative, Record
from mho.calibration.symmetric_points import DeviceArray, symmetric_point
from mho.device.device import Device
from mho.numerics.draw import draw_normal


class Offset(Record):
    """The distance of references from the symmetric points: r = w_sp + mu + sigma xi, xi ~ N(0, 1) for each cell.

    Args:
        mu: mean [weight units].
        sigma: standard deviation over the cells [weight units], >= 0.
    Source: arXiv 2602.21321, eq. (105), called reference mean and std in figure 4 and tables 1 and 2 of that paper.
    """

    mu: float = 0.0
    sigma: Annotated[float, NonNegative] = 0.0

    @classmethod
    def of(cls, error: torch.Tensor) -> "Offset":
        """Return the offset of calibrated cells: mean and standard deviation of error = estimate - true point.

        Args:
            error: (out, in) [weight units].
        Raises: MhoError if an error is not finite.
        """
        if not torch.isfinite(error).all():
            raise complaint("Offset.of(error)", "an error is not finite")
        return cls(float(error.double().mean()), float(error.double().std(unbiased=False)))

    def draw(self, tile: DeviceArray) -> torch.Tensor:
        """Draw references (out, in) of a tile's cells, as apparent weights.

        They are a function of this offset and the tile's key.

        Raises: MhoError if a cell has no symmetric point.
        """
        r = symmetric_point(tile) + self.mu
        if self.sigma:
            r = r + self.sigma * draw_normal(tile.shape, tile.key, "offset").to(r.device)
        return r

    def device(self, device: Device) -> Device:
        """Return the device whose cells are read against such references, in place of its own reference."""
        return device.replace(subtract_sp=True, reference_mean=self.mu, reference_std=self.sigma)


def program_reference(tile: DeviceArray, reference: torch.Tensor, write_error: float = 0.0) -> torch.Tensor:
    """Make `reference` the weight zero of a tile: program its reference array, on top of what that array holds.

    Args:
        reference: (out, in) apparent weights, such as `ZeroShift.estimate` [weight units].
        write_error: standard deviation of the error of each cell of the reference array [weight units], >= 0. The
            error is a function of the tile's key.
    Returns: (out, in) the programmed reference.
    Raises: MhoError for a wrong shape, values that are not finite, or write_error < 0; nothing changes then.
    Source: Kim et al. 2019, arXiv 1907.10228 (copy, then subtract); arXiv 2602.21321, section 2.2.
    """
    if not 0 <= write_error < float("inf"):
        raise complaint(f"program_reference(write_error={write_error!r})", "it must be finite, and >= 0")
    programmed = reference
    if write_error:
        noise = draw_normal(tile.shape, tile.key, "reference error").to(reference.device)
        programmed = reference + write_error * noise
    tile.subtract(programmed)
    return programmed
