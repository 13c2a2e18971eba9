"""The writes to an array: their number, the lines they touched, and those that torch code makes past its verbs."""

import torch

from mho.base.errors import complaint
from mho.numerics.views import Viewed, writes


class Written(Viewed):
    """A module whose followers look at the number of its writes, `version`, before they use what it holds."""

    def __init__(self) -> None:
        super().__init__()
        self._writes = self._own_writes = 0
        self._own: torch.Tensor | None = None  # the buffer that holds the numbers

    @property
    def version(self) -> int:
        """Number of writes to the weights."""
        return self._writes

    @property
    def touched(self) -> torch.Tensor:
        """(out + in,) uint8: 1 for rows and columns that changed since the follower of this array cleared it."""
        return self._buffers.get("_touched")  # type: ignore[return-value]  # none in a block: nobody follows it

    def wrote(self) -> None:
        """Raise the version; every write calls it."""
        own = self.__dict__  # not by attribute, which costs nn.Module a microsecond
        own["_writes"] += 1
        own["_own_writes"] = writes(own["_buffers"].get(self.stored))

    stored = "w"
    """Name of the buffer that holds the numbers."""

    def adopt(self) -> None:
        """Take the numbers as they are for the array's own, as after a copy or a move to other memory."""
        self._own = self._buffers.get(self.stored)
        self._own_writes = writes(self._own)

    @property
    def is_written(self) -> bool:
        """True if torch code has written to the numbers of the array past its verbs.

        Raises: MhoError if another tensor with other numbers is in their place, as `functional_call` puts there.
        """
        own = self.__dict__  # not by attribute, see `wrote`
        stored, mine = own["_buffers"].get(self.stored), own["_own"]
        if stored is not mine and mine is not None:
            _check_same(stored, mine)
            return False
        return writes(stored) != own["_own_writes"]


def _check_same(stored: torch.Tensor | None, own: torch.Tensor) -> None:
    """Check that a tensor in the place of an array's own holds the same. Raises: MhoError if it does not."""
    if stored is None or stored.is_meta or not torch.equal(stored, own):
        what = (
            "another tensor was put in the place of an array's cells, by an assignment or by functional_call"
        )
        fix = "write with layer.arrays()[name].hidden = ..., and pass functional_call no buffers of analog layers"
        raise complaint("tile.cells", what, "An array follows its own cells alone", fix)
