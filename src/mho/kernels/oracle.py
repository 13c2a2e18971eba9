"""The oracle: the pulsed update as plain loops over samples, slots, rows and columns, one pulse at a time.

It shares with the fast kernels only the scalar functions: the law's `step_up`, `step_down` and `flow`, Philox, the
normal pair, and the train's three numbers. The fast kernels must equal it bit for bit, for the same key.
It is slow (about a microsecond a cell and slot) and meant for tests.
"""

import functools
from types import ModuleType

import numpy as np

from mho.kernels.cpu.lines import SLICED_FROM, train
from mho.numerics.normal import normal_pair
from mho.numerics.rng import Stream, call_key, philox4x32, split


class RowNoise:
    """The normal numbers of one row, in the order of its pulses."""

    def __init__(self, key: tuple[int, int], row: int) -> None:
        self.key, self.row, self.number = key, row, 0

    def next(self) -> np.float32:
        """Return N(0, 1) for the row's next pulse."""
        words = philox4x32(self.key, (self.number // 8, self.row, 0, 0))
        pair = normal_pair(np.uint32(words[self.number % 8 // 2]))
        self.number += 1
        return np.float32(pair[(self.number - 1) % 2])


_words = functools.lru_cache(maxsize=1 << 16)(philox4x32)


def fires(key: tuple[int, int], line: int, slot: int, sample: int, probability: float, length: int) -> bool:
    """Return whether a bit line fires in one slot of one sample's train of this length."""
    threshold = min(probability * 2.0**32, 2.0**32) // 1
    if length < SLICED_FROM:
        number = _words(key, (line // 4, slot, sample, 0))[line % 4]
    else:
        number = 0
        for bit in range(32):
            word = _words(key, (line // 4, 32 * (slot // 32) + bit, sample, 1))[line % 4]
            number = 2 * number + ((word >> slot % 32) & 1)
    return number < threshold


def in_order(x, d, lr: float, granularity: float, pulses, key: int, event: int):
    """Yield (sample, row, column, is down) of every pulse of an update's stochastic trains, as they are sent."""
    x_key, d_key = (split(call_key(key, stream, event)) for stream in (Stream.X_BITS, Stream.D_BITS))
    for s in range(len(x)):
        length, px, pd = train(
            float(np.abs(x[s]).max()), float(np.abs(d[s]).max()), abs(lr), granularity, pulses.bl,
            pulses.update_management, pulses.bl_management,
        )  # fmt: skip
        for k in range(length):
            firing = [j for j in range(x.shape[1]) if fires(x_key, j, k, s, abs(float(x[s, j])) * px, length)]
            columns = [j for j in firing if x[s, j] > 0] + [j for j in firing if x[s, j] < 0]
            for i in range(d.shape[1]):
                if columns and fires(d_key, i, k, s, abs(float(d[s, i])) * pd, length):
                    for j in columns:
                        yield s, i, j, bool((x[s, j] < 0) ^ (d[s, i] < 0) ^ (lr < 0))


def trains(
    module: ModuleType, cells, planes, scal, x, d, lr: float, granularity: float, pulses, key: int, event: int
) -> tuple[int, int]:
    """Send the stochastic trains of an update to `cells` (out, in), in place; return (up, down)."""
    noise_key = split(call_key(key, Stream.C2C, event))
    rows = [RowNoise(noise_key, i) for i in range(d.shape[1])]
    sent = [0, 0]
    for _, i, j, down in in_order(x, d, lr, granularity, pulses, key, event):
        pulse(module, cells, planes, scal, i, j, down, rows[i])
        sent[down] += 1
    return sent[0], sent[1]


def aggregated(
    module: ModuleType, cells, planes, scal, x, d, lr: float, granularity: float, pulses, key: int, event: int
) -> tuple[int, int]:
    """Send the same pulses, those of `pulses.aggregate` samples together by the law's flow."""
    groups = -(-len(x) // pulses.aggregate)
    counts = np.zeros((groups, 2, *cells.shape), np.int32)
    for s, i, j, down in in_order(x, d, lr, granularity, pulses, key, event):
        counts[s // pulses.aggregate, int(down), i, j] += 1
    noise_key = split(call_key(key, Stream.C2C, event))
    for i in range(len(cells)):
        noise = RowNoise(noise_key, i)
        for ups, downs in counts[:, :, i]:
            steps = -(-int((ups + downs).max()) // module.PULSES_A_STEP)
            for _ in range(steps):
                share = np.float32(1.0) / np.float32(steps)
                for j in range(cells.shape[1]):
                    up, down = np.float32(ups[j]) * share, np.float32(downs[j]) * share
                    z = noise.next() if module.NOISY else np.float32(0)
                    cells[i, j] = module.flow(cells[i, j], up, down, z, planes, i, j, scal)
                noise.number = -(-noise.number // 8) * 8
    return int(counts[:, 0].sum()), int(counts[:, 1].sum())


def rounded(
    module: ModuleType, cells, planes, scal, x, d, lr: float, granularity: float, pulses, key: int, event: int
) -> tuple[int, int]:
    """Send |lr x d| / dw_min pulses a cell, stochastically rounded; otherwise as `trains`."""
    round_key, c2c_key = (split(call_key(key, stream, event)) for stream in (Stream.X_BITS, Stream.C2C))
    sent = [0, 0]
    for i in range(d.shape[1]):
        noise = RowNoise(c2c_key, i)
        for s in range(len(x)):
            scale = abs(lr) * abs(float(d[s, i])) / granularity
            numbers = []
            for j in range(x.shape[1]):
                want = min(scale * abs(float(x[s, j])), float(pulses.bl))
                word = philox4x32(round_key, (j // 4, i, s, 0))[j % 4]
                numbers.append(int(want) + (word < (want - int(want)) * 2.0**32))
            for k in range(max(numbers)):
                for negative in (False, True):
                    for j in range(x.shape[1]):
                        if numbers[j] > k and x[s, j] != 0 and (x[s, j] < 0) == negative:
                            down = bool(negative ^ (d[s, i] < 0) ^ (lr < 0))
                            pulse(module, cells, planes, scal, i, j, down, noise)
                            sent[down] += 1
    return sent[0], sent[1]


def counted(
    module: ModuleType, cells, planes, scal, n, row: int, column: int, key: int, event: int
) -> tuple[int, int]:
    """Send |n| pulses, down where n < 0, to the cells of a rectangle whose first one is (row, column)."""
    c2c_key = split(call_key(key, Stream.C2C, event))
    sent = [0, 0]
    for i, numbers in enumerate(n, row):
        noise = RowNoise(c2c_key, i)
        for k in range(int(np.abs(numbers).max())):
            for down in (False, True):
                for j, number in enumerate(numbers, column):
                    if abs(number) > k and (number < 0) == down:
                        pulse(module, cells, planes, scal, i, j, down, noise)
                        sent[down] += 1
    return sent[0], sent[1]


def rewritten(noise, before, after, sigma: np.float32, key: int, event: int) -> None:
    """Write noise, in place: sigma xi for the cells (out, in) that an update changed from `before` to `after`."""
    for i in range(len(noise)):
        numbers = RowNoise(split(call_key(key, Stream.WRITE, event)), i)
        for j in range(noise.shape[1]):
            z = numbers.next()
            if after[i, j] != before[i, j]:
                noise[i, j] = sigma * z


def pulse(module: ModuleType, cells, planes, scal, i: int, j: int, down: bool, noise: RowNoise) -> None:
    """Send one pulse to cell (i, j), with its own parameters and noise, by the law's step functions."""
    step = module.step_down if down else module.step_up
    z = noise.next() if module.NOISY else np.float32(0)
    cells[i, j] = step(cells[i, j], z, planes, i, j, scal)
