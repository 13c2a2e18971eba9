"""Modules that touch single numbers of their buffers without torch, which takes microseconds for each."""

import torch
from torch import nn


class Viewed(nn.Module):
    """A module with views of its buffers, made when they are first asked for and forgotten when the memory may
    have moved: `.to`, `load_state_dict`, copies.

    What else points into that memory is forgotten in `forget`, which a subclass may extend.
    """

    def __init__(self) -> None:
        super().__init__()
        self._views: dict[str, tuple[torch.Tensor, memoryview]] = {}

    def counters(self, name: str) -> memoryview:
        """The int64 buffer of this name: the same memory, flat, read and written as Python integers."""
        buffer: torch.Tensor = self._buffers[name]  # type: ignore[assignment]
        kept = self._views.get(name)
        if kept is None or kept[0] is not buffer:  # the first time, or someone assigned another tensor
            kept = self._views[name] = buffer, memoryview(buffer.numpy().reshape(-1))  # type: ignore[arg-type]
        return kept[1]

    def forget(self) -> None:
        """Drops everything that points into the buffers."""
        self._views = {}

    def _apply(self, fn, recurse=True):
        self.forget()
        counters = {n: b for n, b in self._buffers.items() if b is not None and b.dtype is torch.int64}
        super()._apply(fn, recurse)
        self._buffers.update(counters)  # they stay on the CPU
        return self

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.forget()

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_views": {}}
