"""What is kept: scratch memory by shape, symmetric points by law, kernels by the values that a law reads."""

import math
import threading
import types

import numpy as np
import pytest
import torch

import mho
from mho.base.outside import changed, outside
from mho.kernels.cpu import update
from mho.kernels.law.build import law_source
from mho.kernels.law.plan import KernelPlan
from mho.numerics.rooms import Rooms
from mho.responses import Piecewise, Response, SoftBounds, search
from mho.tile import scratch

MIB = 1 << 20


def in_a_thread_of_its_own(function):
    """Return what the function returns, called where no room is kept yet."""
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


# Scratch memory.


def bytes_of(rooms):
    """The memory behind the arrays of all rooms, each piece once."""
    arrays = [
        a
        for room in rooms.kept.values()
        for a in (room.arrays if rooms is update._rooms else vars(room).values())
    ]
    arrays = [a.numpy() if isinstance(a, torch.Tensor) else a for a in arrays]
    whole = [a if a.base is None else a.base for a in arrays]
    return sum({a.ctypes.data: a.nbytes for a in whole if isinstance(a, np.ndarray)}.values())


def step(tile, samples, seed=0):
    g = torch.Generator().manual_seed(seed)
    tile.forward(torch.rand(samples, tile.shape[1], generator=g))
    tile.update(
        torch.rand(samples, tile.shape[1], generator=g),
        torch.randn(samples, tile.shape[0], generator=g),
        0.01,
    )


@pytest.mark.parametrize("shape", [(1, 256), (256, 1)])
def test_a_hundred_batch_sizes_keep_little_more_than_the_largest(shape):
    def train():
        tile = mho.Tile(torch.zeros(shape), mho.Device(), mho.IO(), key=1)
        for samples in range(1, 101):
            step(tile, samples)
        return bytes_of(update._rooms), update._rooms.size, bytes_of(scratch._rooms), scratch._rooms.size

    sent, counted, multiplied, counted_too = in_a_thread_of_its_own(train)
    one = sum(a.nbytes for a in update.new_lines(100, 31, *shape[::-1]))
    assert sent < 4 * one + MIB and multiplied < 8 * MIB
    assert sent <= counted and multiplied <= counted_too


def test_batches_that_share_a_room_have_the_bits_of_batches_with_rooms_of_their_own():
    def tile():
        return mho.Tile(torch.zeros(5, 9), mho.Device(sigma_c2c=0.3), key=1)

    sizes = (7, 64, 5, 33, 100, 6, 8)
    shared, own = tile(), tile()
    for seed, samples in enumerate(sizes):
        step(shared, samples, seed)
        in_a_thread_of_its_own(lambda samples=samples, seed=seed: step(own, samples, seed))
    assert torch.equal(shared.cells, own.cells)
    assert shared.pulses_sent == own.pulses_sent != (0, 0)


def test_rooms_are_forgotten_at_their_limit():
    rooms = Rooms(10_000)
    for shape in range(5):
        assert rooms.keep(shape, f"room {shape}", 2000) == f"room {shape}"
    assert [*rooms.kept] == [3, 4] and rooms.size == 2 * 3024
    assert rooms.keep(5, "large", 20_000) == "large"
    assert [*rooms.kept] == [3, 4], "too large to be kept"
    assert in_a_thread_of_its_own(lambda: [*rooms.kept]) == []


# Symmetric points.


class Skewed(Response):
    tau: float = 0.8

    def up(self, w):
        return BASE - w / self.tau

    def down(self, w):
        return 1 + w


BASE, SCALES = 1.0, [1.0]


class Listed(Skewed):
    def up(self, w):
        return SCALES[0] - w / self.tau


@pytest.fixture
def searches(monkeypatch):
    """The arguments of each search for symmetric points."""
    calls, roots = [], search.roots
    monkeypatch.setattr(search, "roots", lambda *arguments: calls.append(arguments) or roots(*arguments))
    return calls


@pytest.mark.parametrize("law", [Skewed(tau=0.7123), Piecewise((2.0, 1.0, 0.5123), (0.3, 1.0, 2.0))])
def test_sub_tiles_of_one_law_search_for_its_symmetric_point_once(law, searches):
    device = mho.Device(law, spread={"gain": 0.1}, subtract_sp=True)
    points = {device.draw((2, 3), key).reference for key in range(67)}
    assert len(searches) == 1
    assert points == {device.cell.reference} == {law.central_sp()}


def test_symmetric_points_follow_what_a_law_reads(monkeypatch):
    assert Skewed().central_sp() == pytest.approx(0.0, abs=1e-12)
    monkeypatch.setitem(globals(), "BASE", 1.5)
    assert Skewed().central_sp() == pytest.approx(0.5 / 2.25)
    assert Listed().central_sp() == pytest.approx(0.0, abs=1e-12)
    SCALES[0] = 1.5
    assert Listed().central_sp() == pytest.approx(0.5 / 2.25)


# Many nodes.


def test_the_code_of_a_law_does_not_grow_with_its_nodes():
    def lines(n):
        law = Piecewise(tuple(2 - k / n for k in range(n)), tuple(1 + k / n for k in range(n)))
        device = mho.Device(law)
        return len(law_source(KernelPlan.of(device, device.draw((1, 1), 0).values())).splitlines())

    assert lines(80) == lines(1000) < lines(32)


@pytest.mark.parametrize("n", [31, 32, 33, 80])
def test_many_nodes_are_interpolated_as_few_are(n):
    nodes = tuple(1 + 0.5 * math.sin(4 * k / n) for k in range(n))
    law = Piecewise(nodes, nodes[::-1], tau_max=0.8, tau_min=-0.5)
    w = torch.linspace(-0.5, 0.8, 1001, dtype=torch.float64)
    for q, expected in ((law.q_up(w), nodes), (law.q_down(w), nodes[::-1])):
        np.testing.assert_allclose(q, np.interp(w, np.linspace(-0.5, 0.8, n), expected), atol=1e-12)
    mho.testing.check_response(law)


# What a law reads besides its fields.

FACTOR = 1.0


def times_factor(x):
    return FACTOR * x


def test_a_pulsed_tile_follows_a_global_of_its_law(monkeypatch):
    """Its kernels are those of a tile that is made now, and so the laws of pulses and of `Expected` agree."""
    tile = mho.Tile(torch.zeros(2, 3), mho.Device(Skewed()), key=1)
    before = tile.kernels()
    assert tile.kernels() is before
    monkeypatch.setitem(globals(), "BASE", 1.25)
    after = tile.kernels()
    assert after.module is not before.module and "1.25" in law_source(after.plan)
    assert after.module is mho.Tile(torch.zeros(2, 3), mho.Device(Skewed()), key=1).kernels().module
    assert tile.kernels() is after


def test_a_law_is_watched_wherever_its_numbers_stand(monkeypatch):
    settings = types.ModuleType("settings")
    settings.offset = 0.25
    monkeypatch.setitem(globals(), "settings", settings)
    slope = 1.0

    class Reader(Skewed):
        CONSTANT = 2.0

        @property
        def shift(self):
            return settings.offset

        def up(self, w):
            return self.CONSTANT + self.shift - times_factor(w) * slope

    def watched(change):
        found = outside(Reader)
        assert not changed(found) and all(read.plain for read in found)
        change()
        return changed(found)

    assert watched(lambda: setattr(settings, "offset", 0.5))
    assert watched(lambda: monkeypatch.setattr(Reader, "CONSTANT", 3.0))
    assert watched(lambda: monkeypatch.setitem(globals(), "FACTOR", 2.0))
    assert watched(lambda: monkeypatch.setitem(globals(), "times_factor", lambda x: x))
    assert not watched(lambda: monkeypatch.setitem(globals(), "FACTOR", float("2.0")))

    def steeper():
        nonlocal slope
        slope = 2.0

    assert watched(steeper)


def test_laws_of_this_package_read_nothing_but_their_fields():
    assert [cls for cls in mho.testing.laws() if outside(cls)] == []
    assert outside(type("Own", (SoftBounds,), {})) == ()
