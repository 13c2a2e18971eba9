"""An array that digital numbers are programmed onto."""

import functools
from types import ModuleType

import torch

from mho.base.signals import uninterrupted
from mho.tile.readout import Visible


class Plane(Visible):
    """A matrix (out, in) float32 that the network sees and that is written digitally, line by line or whole.

    It stands for an array that is programmed. The cost of that, and how well the array keeps its values, are not
    simulated.
    """

    def __init__(self, w: torch.Tensor) -> None:
        super().__init__()
        self.shape = (w.shape[0], w.shape[1])
        self._buffers["w"] = w.clone()  # by hand: torch refuses a buffer with the name of a property
        marks = torch.ones(sum(w.shape), dtype=torch.uint8, device=w.device)
        self.register_buffer("_touched", marks, persistent=False)
        self.adopt()

    @property
    def asked_as(self) -> str:
        """Kind of the stand-in that `mho.requests` has for the plane: "programmed", or "" for none."""
        return "programmed" if type(self) is Plane and self.w.is_cpu else ""

    @property
    def w(self) -> torch.Tensor:
        """The numbers (out, in). Not a copy: write with `program`."""
        return self._buffers["w"]  # type: ignore[return-value]

    def program(self, values: torch.Tensor, *, column: int | None = None, row: int | None = None) -> None:
        """Write one column (out,), one row (in,), or all (out, in)."""
        if column is not None:
            self.w[:, column] = values
            self.touched[len(self.w) + column] = 1
        elif row is not None:
            self.w[row] = values
            self.touched[row] = 1
        elif self.w.is_cpu:
            values = values.to(torch.float32).contiguous()
            places = self.w.data_ptr(), values.data_ptr(), *self.shape, self.touched.data_ptr()
            _compiled().write_changed(*places)
        else:
            self.w.copy_(values)
            self.touched.fill_(1)
        self.wrote()

    def accept(self) -> None:
        """Take what torch code wrote to `w` for a programming."""
        self.touched.fill_(1)
        self.wrote()

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.touched.fill_(1)
        self.wrote()


@functools.cache
def _compiled() -> ModuleType:
    """Load Numba with the first use, not with `import mho`."""
    with uninterrupted():
        import mho.kernels.cpu.assemble

    return mho.kernels.cpu.assemble
