"""An array that digital numbers are programmed onto."""

import torch

from mho.numerics.views import Viewed


class Plane(Viewed):
    """A matrix (out, in) float32 that the network sees and that is written digitally, line by line or whole.

    It stands for an array that is programmed; what that costs, and how well it keeps its values, is not simulated.
    """

    def __init__(self, w: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("w", w.clone())
        self.register_buffer(
            "_touched", torch.ones(sum(w.shape), dtype=torch.uint8, device=w.device), persistent=False
        )

    w: torch.Tensor

    @property
    def touched(self) -> torch.Tensor:
        """(out + in,) uint8: 1 for rows and columns that changed since whoever follows them cleared this."""
        return self._buffers["_touched"]  # type: ignore[return-value]

    def program(self, values: torch.Tensor, *, column: int | None = None, row: int | None = None) -> None:
        """Writes one column (out,), one row (in,), or all (out, in)."""
        if column is not None:
            self.w[:, column] = values
            self.touched[len(self.w) + column] = 1
        elif row is not None:
            self.w[row] = values
            self.touched[row] = 1
        else:
            self.w.copy_(values)
            self.touched.fill_(1)

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.touched.fill_(1)
