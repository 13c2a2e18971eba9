"""The arguments of a launch: its options, the keys of its random numbers, and the width of its programs."""

from mho.numerics.rng import Stream, call_key, split

EXACT = {"enable_fp_fusion": False}  # a multiplication and an addition keep a rounding each, as on the CPU


def key_words(key: int, stream: Stream, event: int) -> tuple[int, int]:
    """Return the key of one use of randomness as two int32, as kernels take it."""
    low, high = (word - (word >> 31 << 32) for word in split(call_key(key, stream, event)))
    return low, high


def block_for(n: int, most: int) -> int:
    """Return the smallest power of two that holds n, from 16 to `most`."""
    return min(max(16, 1 << (n - 1).bit_length()), most)
