"""Keys: the names of random streams. Numbers themselves are drawn inside the kernels (numerics/philox.py).

A tile has one 64-bit key. Each use of randomness has a stream (its purpose) and an event (a counter of the uses of
that stream). `call_key` mixes the three into the key of one kernel call. Nothing here has state.
"""

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch

M0, M1 = 0xD2511F53, 0xCD9E8D57  # multipliers and key increments of Philox4x32 (Salmon et al. 2011, table 2)
W0, W1 = 0x9E3779B9, 0xBB67AE85
ROUNDS = 10
_WORD = 0xFFFFFFFF


class Stream(IntEnum):
    """The purposes of random numbers. Numbers are part of the file format: append, never renumber."""

    D2D = 1
    X_BITS = 2
    D_BITS = 3
    C2C = 4
    READ = 5
    FORWARD = 6
    BACKWARD = 7
    PROGRAM = 8
    CHILD = 9
    EVALUATE = 10
    CHOP = 11
    ZERO_SHIFT = 12
    WRITE = 13
    AGE = 14


STREAMS = 32  # room for their counters, so that a new stream does not change the shape of a checkpoint


def philox4x32(key: tuple[int, int], counter: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Return four 32-bit words, in plain integers: the oracle of the compiled version, and the mixer of keys."""
    k0, k1 = key
    c0, c1, c2, c3 = counter
    for _ in range(ROUNDS):
        p0, p1 = M0 * c0, M1 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & _WORD, (p0 >> 32) ^ c3 ^ k1, p0 & _WORD
        k0, k1 = (k0 + W0) & _WORD, (k1 + W1) & _WORD
    return c0, c1, c2, c3


def split(key: int) -> tuple[int, int]:
    """Return a 64-bit key as two 32-bit words, low first."""
    return key & _WORD, (key >> 32) & _WORD


def join(low: int, high: int) -> int:
    """Return two 32-bit words as one key."""
    return low | high << 32


def call_key(key: int, stream: Stream, event: int = 0) -> int:
    """Return the key of one use: a pure function of the tile's key, the stream and the event (both 64-bit)."""
    low, high, _, _ = philox4x32(split(key), (event & _WORD, (event >> 32) & _WORD, int(stream), 0))
    return join(low, high)


class Use(NamedTuple):
    """One use of randomness, before it is made a key: kernels do that themselves (numerics/philox.py)."""

    key: int
    stream: Stream
    event: int


def next_event(events: "memoryview | torch.Tensor", stream: Stream) -> int:
    """Return the event of the next use of a stream; `events` holds one int64 counter a stream."""
    event = int(events[stream])
    events[stream] = event + 1
    return event


def child_key(key: int, *names: int | str) -> int:
    """Return the key of a named part, such as layer "fc1", sub-tile 3, array "P"; order matters."""
    for name in names:
        words = [name] if isinstance(name, int) else list(name.encode())
        for position, word in enumerate(words):
            low, high, _, _ = philox4x32(
                split(key), (word & _WORD, word >> 32 & _WORD, Stream.CHILD, position)
            )
            key = join(low, high)
    return key


def signed(key: int) -> int:
    """Return a 64-bit key as Numba takes integers: without a second compilation for those beyond 2^63."""
    return key - (1 << 64) if key >> 63 else key
