"""Scratch memory of the converters on the CPU: one room for each shape of a product, kept by each thread."""

import numpy as np
import torch

from mho.numerics.rooms import Rooms

_NOISE = 2048  # numbers of noise that are made in one loop
_LARGE = 5 << 20  # bytes: a larger room is made in no time compared with its product
_rooms = Rooms(4 * _LARGE)


class Room:
    """Scratch memory for products of one shape.

    Args:
        samples, n_in, n_out: rows of the inputs, lines that are driven, lines that are sensed.
    """

    def __init__(self, samples: int, n_in: int, n_out: int) -> None:
        self.encoded = torch.empty(samples, n_in, dtype=torch.float32)
        self.inputs = self.encoded.numpy()
        self.scale = np.empty(samples, np.float32)
        self.rows, self.over = np.arange(samples), np.empty(samples, np.int64)
        n = max(n_in + 8, n_out + 8, min(_NOISE, samples * (n_out + 8)))
        self.z, self.words = np.empty(n, np.float32), np.empty(n, np.uint32)


def room_for(samples: int, n_in: int, n_out: int) -> Room:
    """Return the calling thread's room for this shape, so that a small product allocates its result alone."""
    shape = samples, n_in, n_out
    room = _rooms.kept.get(shape)
    if room is None:
        room = Room(*shape)
        size = 4 * samples * (n_in + 5) + 8 * len(room.z)
        if size <= _LARGE:
            _rooms.keep(shape, room, size)
    return room


_calls = Rooms(4 * _LARGE)


class CallRoom:
    """Scratch memory for the calls of a layer, see `mho.kernels.cpu.calls`; `address` is that of its list.

    Args:
        samples: rows of the inputs; n_in: of the matrix; columns: of blocks; wide, high: largest in and out of a
            block; gemm: address of the matrix product.
    """

    def __init__(self, samples: int, n_in: int, columns: int, wide: int, high: int, gemm: int) -> None:
        most = max(wide, high)
        n_noise = max(most + 8, min(_NOISE, samples * (most + 8)))
        encoded = max(samples * n_in + 32 * columns, samples * high)
        floats = encoded, samples * columns, samples * most, samples * 2 * most + 16, samples, samples * wide
        integers = samples, 2 * samples, 4
        sizes = [4 * n for n in floats] + [8 * n for n in integers] + [4 * n_noise, 4 * n_noise, 2]
        starts = [0]
        for size in sizes:
            starts.append(starts[-1] + (size + 63) // 64 * 64)
        self.memory = torch.empty(starts[-1], dtype=torch.uint8)
        begin, self.size = self.memory.data_ptr(), starts[-1]
        self.list = np.array([*(begin + start for start in starts[:-1]), n_noise, gemm], np.int64)
        self.address = self.list.ctypes.data
        memory = self.memory.numpy()
        memory[starts[6] :][: 8 * samples].view(np.int64)[:] = np.arange(samples)
        memory[starts[8] + 24 :][:8].view(np.float32)[:] = 1.0, 0.0
        memory[starts[11] :][:2] = np.frombuffer(b"tn", np.uint8)


def call_room(*shape: int) -> CallRoom:
    """Return the calling thread's room for calls of this shape, see `CallRoom`."""
    room = _calls.kept.get(shape)
    if room is None:
        room = CallRoom(*shape)
        if room.size <= _LARGE:
            _calls.keep(shape, room, room.size)
    return room
