"""Random numbers: the published words of Philox, the distribution of the normal ones, and their names."""

import itertools

import numpy as np
import pytest
import torch

import mho
from chance import assert_mean, assert_normal
from mho.numerics import rng
from mho.numerics.draw import draw_normal
from mho.numerics.normal import normal_pair, normal_plane
from mho.numerics.philox import call_words, philox
from mho.numerics.rng import STREAMS, Stream, call_key, child_key, join, philox4x32, split

# Salmon et al., Random123's kat_vectors: philox4x32, 10 rounds: (counter, key, words).
ONES = 0xFFFFFFFF
PI = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0)
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (*PI, (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
]


def compiled_philox(key, counter):
    return tuple(int(word) for word in philox(*(np.uint32(v) for v in (*key, *counter))))


@pytest.mark.parametrize("generator", [philox4x32, compiled_philox])
@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_philox_gives_the_published_words(generator, counter, key, words):
    assert generator(key, counter) == words


def test_compiled_philox_equals_the_plain_one():
    words = [w for n in range(100) for w in philox4x32((7, 9), (n, 0, 0, 0))]
    for c in zip(words[0::6], words[1::6], words[2::6], words[3::6], words[4::6], words[5::6], strict=False):
        assert compiled_philox(c[:2], c[2:]) == philox4x32(c[:2], c[2:])


@pytest.mark.parametrize("key", [0, 42, 2**63 + 5])
@pytest.mark.parametrize("event", [0, 1, 2**32 + 3])
@pytest.mark.parametrize("stream", list(Stream))
def test_compiled_call_key_equals_the_plain_one(key, stream, event):
    low, high = (np.uint32(word) for word in split(key))
    words = call_words((low, high), int(stream), np.int64(event))
    assert join(*map(int, words)) == call_key(key, stream, event)


# Names.


def test_every_use_has_its_own_key():
    keys = [call_key(*use) for use in itertools.product((0, 1, 2**40), Stream, (0, 1, 2**32))]
    assert len(set(keys)) == len(keys)
    assert all(0 <= key < 2**64 for key in keys)


def test_streams_keep_their_numbers():
    assert {s.name: s.value for s in Stream} == {
        "D2D": 1, "X_BITS": 2, "D_BITS": 3, "C2C": 4, "READ": 5, "FORWARD": 6, "BACKWARD": 7, "PROGRAM": 8,
        "CHILD": 9, "EVALUATE": 10, "CHOP": 11, "ZERO_SHIFT": 12, "WRITE": 13, "AGE": 14,
    }  # fmt: skip


def test_child_keys_depend_on_names_and_their_order():
    parts = ["fc1", "fc2", "P", "W", "Pa", 0, 1, 2**32]
    paths = [p for n in (1, 2, 3) for p in itertools.permutations(parts, n)]
    keys = {child_key(3, *path) for path in paths}
    assert len(keys) == len(paths)
    assert child_key(3, "fc1", 2, "P") == child_key(child_key(child_key(3, "fc1"), 2), "P")
    assert child_key(3, "ab") != child_key(3, "a", "b")
    assert child_key(3, "ab") != child_key(3, "ba")
    assert child_key(3, "P") != child_key(4, "P")


def test_events_count_up_by_stream():
    events = torch.zeros(STREAMS, dtype=torch.int64)
    assert [rng.next_event(events, Stream.READ) for _ in range(3)] == [0, 1, 2]
    assert rng.next_event(events, Stream.C2C) == 0
    assert events.sum() == 4


# Normal numbers.


def plane(key, shape=(800, 800)):
    out = np.empty(shape, np.float32)
    low, high = split(key)
    normal_plane(out, np.uint32(low), np.uint32(high), np.uint32(0))
    return torch.from_numpy(out)


@pytest.fixture(scope="module")
def z():
    """640,000 numbers in 800 rows, as the kernels and the device-to-device draw make them."""
    return plane(call_key(1, Stream.C2C, 0)).double()


def test_normal_numbers_are_normal(z):
    assert_normal(z, "normal_plane")
    flat = z.flatten()
    for power, moment in ((1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0)):
        assert_mean(flat**power, moment, f"moment {power}")
    assert z.abs().max() < 5.42


def test_both_numbers_of_a_pair_are_normal():
    words = np.array([w for n in range(2000) for w in philox4x32((1, 2), (n, 0, 0, 0))], np.uint32)
    pairs = torch.tensor([normal_pair(word) for word in words])
    for side in (0, 1):
        assert_normal(pairs[:, side], f"number {side} of the pairs")
    assert_mean(pairs.prod(1), 0.0, "correlation of a pair")


def neighbours(z):
    """{name: (one, other)}: numbers that share a word, a Philox call, a row, or a column."""
    flat = z.flatten()
    return {
        "pair": (flat[0::2], flat[1::2]),
        "lag 1": (flat[:-1], flat[1:]),
        "word": (flat[:-2], flat[2:]),
        "call": (flat[:-8], flat[8:]),
        "row": (z[:-1], z[1:]),
    }


@pytest.mark.parametrize("name", ["pair", "lag 1", "word", "call", "row"])
def test_normal_numbers_are_independent(z, name):
    one, other = (part.flatten() for part in neighbours(z)[name])
    assert_mean(one * other, 0.0, f"{name}: correlation")
    assert_mean((one**2 - 1) * (other**2 - 1), 0.0, f"{name}: correlation of squares")
    assert_mean(one * (other**2 - 1), 0.0, f"{name}: correlation with the square")


@pytest.mark.parametrize("other", [(2, Stream.C2C, 0), (1, Stream.READ, 0), (1, Stream.C2C, 1)])
def test_streams_events_and_keys_are_independent(z, other):
    second = plane(call_key(*other)).double()
    assert not torch.equal(z, second)
    assert_mean((z * second).flatten(), 0.0, "correlation")


def test_a_draw_of_cells_is_a_pure_function_of_its_key():
    device = mho.Device(spread={"gain": 0.1, "tau_max": 0.1}, reference_std=0.1)
    first = device.draw((5, 7), 11)
    torch.manual_seed(1)
    device.draw((3, 3), 12)
    again, other = device.draw((5, 7), 11), device.draw((5, 7), 12)
    for a, b, c in (
        (first.gain, again.gain, other.gain),
        (first.fields["tau_max"], again.fields["tau_max"], other.fields["tau_max"]),
        (first.reference, again.reference, other.reference),
    ):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_quantities_of_one_cell_are_drawn_independently():
    draws = [draw_normal((300, 300), 5, name).double() for name in ("gain", "tau_max", "reference")]
    for z in draws:
        assert_normal(z, "a draw of cells")
    for one, other in itertools.combinations(draws, 2):
        assert_mean((one * other).flatten(), 0.0, "correlation between two quantities")
