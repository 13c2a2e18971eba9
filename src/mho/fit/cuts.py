"""Rows of a file as ramps: by cycle, device, counter and block, by polarity, and where a series turns."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter1d

from mho.base.errors import complaint
from mho.fit.measured import Array

TURN = 0.3  # of the range: a way back that is longer is a turning point


def groups_of(
    file: Path, columns: Sequence[tuple[str, Array]], blocks: Array, lines: Sequence[int], cycle: int | None
) -> tuple[list[Array], bool]:
    """Return the rows that belong together, and whether these are cycles of one device.

    Raises: MhoError if a counter goes back or leaves numbers out, or if there is no such cycle.
    """
    keys = [blocks.astype(float)]
    for role, values in columns:
        if role in ("cycle", "device"):
            if not np.isfinite(values).all():
                raise complaint(str(file), f"the {role} is missing in a line")
            if role == "cycle" and cycle is not None:
                if cycle not in values:
                    raise complaint(
                        f"fit(cycle={cycle})", "there is none", f"Known: {np.unique(values).astype(int)}"
                    )
                values = np.where(values == cycle, values, np.nan)
            keys.append(values)
    if cycle is not None and not any(r == "cycle" for r, _ in columns):
        raise complaint(f"fit(cycle={cycle})", f"{file} has no column of cycles")
    counter = next((v for r, v in columns if r == "counter"), None)
    if counter is not None:
        steps = np.diff(counter)
        changed = np.zeros(len(steps), dtype=bool)
        for k in keys:
            changed |= np.diff(k) != 0
        anew = (counter[1:] == counter[0]) & (steps <= 0)
        wrong = np.flatnonzero((steps != 1) & ~anew & ~changed & np.isfinite(steps))
        if len(wrong):
            at = int(wrong[0])
            raise complaint(
                f"{file}, line {lines[at + 1]}",
                f"the counter goes from {counter[at]:g} to {counter[at + 1]:g}",
                "Each line is one pulse, in order",
                "sort the lines, or drop that column if it is no counter",
            )
        keys.append(np.r_[0.0, np.cumsum(anew)])
    table = np.array(keys).T
    order: dict[tuple[float, ...], list[int]] = {}
    for i, row in enumerate(table):
        if np.isfinite(row).all():
            order.setdefault(tuple(row), []).append(i)
    rows = [np.array(v) for v in order.values()]
    for r in rows:
        if (np.diff(r) != 1).any():
            raise complaint(
                f"{file}, line {lines[int(r[0])]}", "rows of one cycle lie apart", fix="sort the lines"
            )
    devices = any(r == "device" and len(np.unique(v)) > 1 for r, v in columns)
    return rows, len(rows) > 1 and not devices


def legs(where: str, v: Array, signs: Array | None, role: str) -> list[Array]:
    """Return the ramps in a series: as the polarity says, or cut where it turns if it holds both directions."""
    if signs is not None:
        s = signs[: len(v)]
        at = np.flatnonzero(np.diff(s)) + 1
        ends = [0, *at.tolist(), len(v)]
        parts = [v[max(0, a - 1) : b] for a, b in itertools.pairwise(ends)]
        for part, sign in zip(parts, s[ends[:-1]], strict=True):
            if len(part) > 10 and (part[-1] - part[0]) * (sign if sign else -1) < 0:
                raise complaint(where, f"goes from {part[0]:.4g} to {part[-1]:.4g} at polarity {sign:g}")
        return parts
    turns = _turns(v)
    if role != "both":
        if len(turns) > 1:
            raise complaint(where, f"turns round at value {turns[0] + 1}", f"Its heading says {role} only",
                            "columns={NAME: 'both'}, or a column that counts cycles")  # fmt: skip
        return [v]
    if not turns or (len(turns) == 1 and min(turns[0], len(v) - 1 - turns[0]) < 3):
        return [v]
    parts, ends = [], [0, *turns, len(v) - 1]
    for a, b in itertools.pairwise(ends):
        if b - a < 3:  # a jump: the cycle begins anew
            continue
        parts.append(v[a : b + 1])
    return parts


def _turns(v: Array) -> list[int]:
    """Return the turning points: extremes from which the series comes back by `TURN` of its range."""
    if len(v) < 8:
        return []
    step, span = float(np.median(np.abs(np.diff(v)))), float(np.ptp(v))
    if step > 0.02 * span and len(v) > 60:  # noise would turn the series: look at its running mean
        v = uniform_filter1d(v, len(v) // 15, mode="nearest")
        span, step = float(np.ptp(v)), 0.0
    back = max(TURN * span, 12 * step)
    found: list[int] = []
    way, best = 0, 0
    low = high = 0
    for i, x in enumerate(v):
        if way == 0:
            low, high = (i if x < v[low] else low), (i if x > v[high] else high)
            if v[high] - v[low] > back:
                way, best = (1, high) if high > low else (-1, low)
                if abs(v[min(low, high)] - v[0]) > back / 3:
                    found.append(min(low, high))
        elif (x - v[best]) * way > 0:
            best = i
        elif (v[best] - x) * way > back:
            found.append(best)
            way, best = -way, i
    return found
