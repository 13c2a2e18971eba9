"""Scratch memory of the converters on the CPU: one room for each shape of a product, kept by each thread."""

import threading

import numpy as np
import torch

_KEPT = 1 << 20  # numbers: a larger room is made in no time compared with its product
_MOST = 64  # rooms of one thread
_local = threading.local()


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
        n = max(n_in, n_out) + 8
        self.z, self.words = np.empty(n, np.float32), np.empty(n, np.uint32)


def room_for(samples: int, n_in: int, n_out: int) -> Room:
    """Return the calling thread's room for this shape, so that a small product allocates its result alone."""
    shape = samples, n_in, n_out
    try:
        return _local.rooms[shape]
    except AttributeError:
        _local.rooms = {}
    except KeyError:
        if len(_local.rooms) > _MOST:
            _local.rooms.clear()
    room = Room(*shape)
    if samples * n_in <= _KEPT:
        _local.rooms[shape] = room
    return room
