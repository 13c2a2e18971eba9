"""Modules whose counters are read and written as Python integers: through torch each access takes microseconds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


def writes(t: torch.Tensor | None) -> int:
    """Return the number of writes to a tensor that torch has counted; 0 if it does not count them."""
    try:
        return t._version  # type: ignore[union-attr]
    except (AttributeError, RuntimeError):  # no tensor; made in inference mode
        return 0


@contextmanager
def in_place() -> Iterator[None]:
    """Have torch write to the memory of parameters and buffers that it converts or loads.

    Settings of `torch.__future__` have it put other tensors into their place, which analog layers would not know.
    """
    settings = torch.__future__
    before = (
        settings.get_swap_module_params_on_conversion(),
        settings.get_overwrite_module_params_on_conversion(),
    )
    try:
        _set(False, False)
        yield
    finally:
        _set(*before)


def _set(swap: bool, overwrite: bool) -> None:
    torch.__future__.set_swap_module_params_on_conversion(swap)
    torch.__future__.set_overwrite_module_params_on_conversion(overwrite)


class Viewed(nn.Module):
    """A module with views of its buffers.

    A view is made when a counter is first asked for, and dropped when the memory may have moved: by `.to`,
    `load_state_dict` or a copy. A subclass that keeps other pointers into that memory drops them in `forget`.

    Compiled code works on float32 arrays and int64 counters. Buffers therefore keep their dtypes (`.half()` changes
    nothing here), and counters stay on the CPU. Empty buffers are no part of a state_dict, because accelerate would
    take them for one tensor under many names.
    """

    def __init__(self) -> None:
        super().__init__()
        self._views: dict[str, tuple[torch.Tensor, int, memoryview]] = {}

    def counters(self, name: str) -> memoryview:
        """Return the int64 buffer of this name as flat Python integers, which share its memory."""
        buffer: torch.Tensor = self._buffers[name]  # type: ignore[assignment]
        kept, address = self._views.get(name), buffer.data_ptr()
        # Valid for the same tensor at the same address: sending a state_dict to another process moves its memory.
        if kept is not None and kept[0] is buffer and kept[1] == address:
            return kept[2]
        view = memoryview(buffer.numpy().reshape(-1))  # type: ignore[arg-type]
        self._views[name] = buffer, address, view
        return view

    def forget(self) -> None:
        """Drop everything that points into the buffers."""
        self._views = {}

    def _apply(self, fn, recurse=True):
        self.forget()
        counters = {n: b for n, b in self._buffers.items() if b is not None and b.dtype is torch.int64}
        super()._apply(lambda t: _keeping_dtype(fn, t), recurse)
        self._buffers.update(counters)
        return self

    def _empty(self) -> list[str]:
        saved = [(n, b) for n, b in self._buffers.items() if n not in self._non_persistent_buffers_set]
        return [name for name, b in saved if b is not None and not b.numel()]

    def _save_to_state_dict(self, destination, prefix, keep_vars) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name in self._empty():
            destination.pop(prefix + name, None)

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        empty = {prefix + name: self._buffers[name] for name in self._empty()}
        kinds = {n: b.dtype for n, b in self._buffers.items() if b is not None}
        super()._load_from_state_dict(empty | state_dict, prefix, *args)
        # With `assign=True` the loaded tensors are where they were, and the others of a meta model nowhere yet.
        loaded = {n: b for n, b in self._buffers.items() if b is not None and not b.is_meta}
        for (
            name,
            buffer,
        ) in loaded.items():  # and of other dtypes and strides, which compiled code cannot tell
            if buffer.dtype is not kinds[name] or not buffer.is_contiguous():
                loaded[name] = self._buffers[name] = buffer.to(kinds[name]).contiguous()
        for name, buffer in loaded.items():
            if buffer.dtype is torch.int64 and not buffer.is_cpu:
                self._buffers[name] = buffer.cpu()
        where = next((b.device for b in loaded.values() if b.dtype is not torch.int64), None)
        for name in [*self._non_persistent_buffers_set, *self._empty()] if where else ():
            if self._buffers[name].is_meta:  # type: ignore[union-attr]
                self._buffers[name] = torch.empty_like(self._buffers[name], device=where)  # type: ignore[arg-type]
        self.forget()

    def __getstate__(self) -> dict:
        self.forget()  # torch moves the memory of a module that is sent to another process
        return self.__dict__.copy()


def _keeping_dtype(fn: Callable[[torch.Tensor], torch.Tensor], t: torch.Tensor) -> torch.Tensor:
    moved = fn(t)
    return moved if moved.dtype is t.dtype else t.to(moved.device)
