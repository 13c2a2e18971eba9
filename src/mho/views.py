"""Modules that touch their own memory without torch, whose operations take microseconds on a single number."""

import numpy as np
import torch
from torch import nn


class Viewed(nn.Module):
    """A module with numpy views of its buffers, made when they are first asked for and forgotten when the memory
    may have moved: `.to`, `load_state_dict`, copies.

    What else points into that memory is forgotten in `forget`, which a subclass may extend.
    """

    def __init__(self) -> None:
        super().__init__()
        self._views: dict[str, tuple[torch.Tensor, np.ndarray]] = {}

    def view(self, name: str) -> np.ndarray:
        """The buffer of this name as an array: the same memory."""
        buffer: torch.Tensor = self._buffers[name]  # type: ignore[assignment]
        kept = self._views.get(name)
        if kept is None or kept[0] is not buffer:  # the first time, or someone assigned another tensor
            kept = self._views[name] = buffer, buffer.numpy()
        return kept[1]

    def forget(self) -> None:
        """Drops everything that points into the buffers."""
        self._views = {}

    def _apply(self, fn, recurse=True):
        self.forget()
        return super()._apply(fn, recurse)

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.forget()

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_views": {}}
