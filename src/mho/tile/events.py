"""The numbering of noise: each product and each read has a key, a direction and an event.

Noise is a pure function of a `Use` (key, stream, event). This file alone says which use belongs to which read-out:

    direction     stream
    "forward"     FORWARD, or EVALUATE for a call in eval mode
    "backward"    BACKWARD
    "transfer"    READ

The event is an integer that somebody counts. An array that is used by itself counts its own events, one counter a
stream (`next_event`). A layer counts its calls (`mho.nn.core.calls`), and an event of a layer has four parts:

    bits 0 to 31    number of the pass (one forward and backward)
    bits 32 to 55   place of the call, or of a piece of a call, in the pass
    bits 56 to 61   term of the algorithm, if each has a product of its own
    bit 62          the call is in eval mode

These numbers are part of the file format: a checkpoint continues with the same noise.
"""

import operator

from mho.base.errors import complaint, shown, wrong_type
from mho.numerics.rng import Stream, Use

NEXT_CALL = 1 << 32
"""Added to an event for the next call of the same pass, and for the next piece of a call."""
NEXT_TERM = 1 << 56
"""Added to an event for the next product of an algorithm that has one for each array."""
EVALUATION = 1 << 62
"""Added to the event of a call in eval mode, whose noise has a stream of its own."""

STREAM_OF = {"forward": Stream.FORWARD, "backward": Stream.BACKWARD, "transfer": Stream.READ}


def checked_key(key: object, where: str) -> int:
    """Return a key as an integer. Raises: MhoError if it is none of 64 bits."""
    try:
        number = operator.index(key)  # type: ignore[arg-type]
    except TypeError:
        raise wrong_type(f"{where}(key=...)", "the key", key, "an integer from 0 to 2^64 - 1") from None
    if not 0 <= number < 2**64:
        need = "A key has 64 bits, so it is from 0 to 2^64 - 1"
        raise complaint(f"{where}(key=...)", f"the key is {shown(number)}", need, f"use {number % 2**64}")
    return number


def use_of(key: int, direction: str, event: int) -> Use:
    """Return the noise of one read-out; direction: "forward", "backward" or "transfer"."""
    if event & EVALUATION and direction == "forward":
        return Use(key, Stream.EVALUATE, event ^ EVALUATION)
    return Use(key, STREAM_OF[direction], event)


def order(event: int) -> tuple[int, int]:
    """Return the key by which events of a layer are sorted: pass, then place in the pass."""
    return event % NEXT_CALL, event // NEXT_CALL
