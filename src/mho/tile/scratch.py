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
