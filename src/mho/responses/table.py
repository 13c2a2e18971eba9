"""Pulses as they were measured: the distribution of the step at every conductance, in a table."""

import functools
import math
import os
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from mho.base.errors import complaint
from mho.base.records import Negative, Positive
from mho.base.stored import read_text
from mho.responses.base import Response
from mho.responses.lookup import Row, lookup

REACH = 4.0  # the columns of a table stand at z = -REACH, ..., REACH


class Table(Response):
    r"""Step size is drawn from measured distributions, interpolated between evenly spaced weights; hard bounds.

        noisy_up(w, z) = Q_up(w, Phi(z))      up(w) = its mean over z ~ N(0, 1); likewise downwards
        symmetric point: where the two means cross

    Q(w, u) is the quantile function of the step at w: a fraction u of the steps is smaller. Tables hold it at
    evenly spaced w (rows, from tau_min to tau_max) and evenly spaced z from -4 to 4 (columns, u = Phi(z)); between
    them it is interpolated linearly, and beyond them the ends hold.

    Prefer for: a device that no formula fits, with its own cycle-to-cycle noise (Device(c2c="law")). Not for: GPUs,
    and `Pulses(aggregate=...)`, where the noise must be "additive" or "multiplicative".

    Args:
        steps_up, steps_down: rows of steps [dw_min], the same number in each row, at least 2 x 2; single steps may
            point the other way (negative).
        tau_max: upper bound of w [weight units], > 0.
        tau_min: lower bound of w [weight units], < 0.
    Source: the dG-CDF tables of CrossSim (Sandia, cross-sim-data 2.0 and later), and aihwkit 1.2.0,
        PiecewiseStepDevice, for means alone.
    """

    steps_up: tuple[Row, ...] = ((0.8, 1.6, 2.4), (0.2, 1.0, 1.8), (0.0, 0.2, 0.4))
    steps_down: tuple[Row, ...] = ((0.0, 0.2, 0.4), (0.2, 1.0, 1.8), (0.8, 1.6, 2.4))
    tau_max: Annotated[float, Positive] = 1.0
    tau_min: Annotated[float, Negative] = -1.0

    def validate(self) -> None:
        for name in ("steps_up", "steps_down"):
            rows = getattr(self, name)
            if len(rows) < 2 or len(rows[0]) < 2 or len({len(row) for row in rows}) > 1:
                what = f"it has {len(rows)} rows of {sorted({len(row) for row in rows})} steps"
                raise complaint(
                    f"Table({name}=...)", what, "Rows must be equally long, and 2 x 2 is the least"
                )

    @classmethod
    def read(
        cls,
        file_up: str | os.PathLike[str],
        file_down: str | os.PathLike[str],
        dw_min: float = 1.0,
        nodes: tuple[int, int] = (65, 33),
    ) -> "Table":
        """Read the law of a measured device, its weight being the conductance normalised to [-1, 1].

        Args:
            file_up, file_down: dG-CDF tables of increasing and of decreasing pulses: a line of words; then numbers
                between commas: a line of conductances, a line of CDF levels from 0 to 1, and for each level a
                line of changes of conductance, one for each conductance.
            dw_min: of the device that will have this law [weight units]: steps are divided by it.
            nodes: rows and columns of the tables, at most; measured conductances stay nodes if they are as few.
        Raises: MhoError if a file is not of this form, or the two have other conductances.
        """
        if not dw_min > 0:
            raise complaint(f"Table.read(dw_min={dw_min!r})", "dw_min must be positive")
        (g, levels, up), (other, down_levels, down) = _read(file_up), _read(file_down)
        if g.shape != other.shape or not np.allclose(g, other):
            raise complaint(f"Table.read({str(file_down)!r})", f"its conductances are not those of {file_up}")
        scale = 2 / (g[-1] - g[0]) / dw_min
        rows = _resampled(g, levels, scale * up, nodes)
        return cls(rows, _resampled(g, 1 - down_levels[::-1], -scale * down[::-1], nodes))

    def up(self, w: Tensor) -> Tensor:
        return lookup(_means(self.steps_up), self._row(w, self.steps_up))

    def down(self, w: Tensor) -> Tensor:
        return lookup(_means(self.steps_down), self._row(w, self.steps_down))

    def noisy_up(self, w: Tensor, z: Tensor) -> Tensor:
        return lookup(self.steps_up, self._row(w, self.steps_up), _column(z, self.steps_up))

    def noisy_down(self, w: Tensor, z: Tensor) -> Tensor:
        return lookup(self.steps_down, self._row(w, self.steps_down), _column(z, self.steps_down))

    def _row(self, w: Tensor, steps: tuple[Row, ...]) -> Tensor:
        return (w - self.tau_min) * ((len(steps) - 1) / (self.tau_max - self.tau_min))

    def bounds(self) -> tuple[float | Tensor, float | Tensor]:
        return self.tau_min, self.tau_max


def _column(z: Tensor, steps: tuple[Row, ...]) -> Tensor:
    return (z + REACH) * ((len(steps[0]) - 1) / (2 * REACH))


@functools.lru_cache(maxsize=16)
def _means(steps: tuple[Row, ...]) -> Row:
    """Return the exact mean over z ~ N(0, 1) of every row, as it is interpolated."""
    m = len(steps[0])
    z = torch.linspace(-REACH, REACH, m, dtype=torch.float64)
    cdf, density = torch.special.ndtr(z), torch.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    inside = cdf.diff()
    rising = (-density.diff() - z[:-1] * inside) / z.diff()  # integral of the part of the right-hand node
    weights = torch.zeros(m, dtype=torch.float64)
    weights[1:] += rising
    weights[:-1] += inside - rising
    weights[0] += cdf[0]
    weights[-1] += 1 - cdf[-1]
    return tuple((torch.tensor(steps, dtype=torch.float64) @ weights).tolist())


def _read(file: str | os.PathLike[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read conductances (n,), CDF levels (k,) and changes of conductance (k, n)."""
    where = f"Table.read({str(file)!r})"
    lines = read_text(file, where).splitlines()[1:]
    try:
        rows = [[float(v) for v in line.split(",") if v.strip()] for line in lines if line.strip()]
    except ValueError as error:
        raise complaint(where, f"holds something else than numbers ({error})") from None
    if len(rows) < 4 or len(rows[1]) != len(rows) - 2 or {len(rows[0])} != {len(row) for row in rows[2:]}:
        need = "A line of words, n conductances, k levels, and k lines of n changes"
        raise complaint(where, f"has {len(rows)} lines of numbers, which do not fit", need)
    g, levels, changes = np.array(rows[0]), np.array(rows[1]), np.array(rows[2:])
    if len(g) < 2 or not (
        (np.diff(g) > 0).all() and (np.diff(levels) > 0).all() and np.isfinite(changes).all()
    ):
        raise complaint(where, "conductances or levels do not rise, or a change is not finite")
    return g, levels, changes


def _resampled(
    g: np.ndarray, levels: np.ndarray, steps: np.ndarray, nodes: tuple[int, int]
) -> tuple[Row, ...]:
    """Return the rows of quantiles at evenly spaced conductances, columns at evenly spaced z, to 6 digits."""
    even = np.ptp(np.diff(g)) < 1e-3 * np.diff(g).mean()
    places = np.linspace(g[0], g[-1], len(g) if even and len(g) <= nodes[0] else nodes[0])
    at = torch.special.ndtr(torch.linspace(-REACH, REACH, nodes[1], dtype=torch.float64)).numpy()
    quantiles = np.array([np.interp(at, levels, column) for column in np.sort(steps, axis=0).T])
    rows = np.array([np.interp(places, g, column) for column in quantiles.T]).T
    return tuple(tuple(float(f"{step:.6g}") for step in row) for row in rows)
