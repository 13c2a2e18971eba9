"""A calibration in progress: hidden weights in float64, some thousand or million pulses at a time."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch

from mho.base.signals import uninterrupted
from mho.calibration.linear_laws import PulsePair, lines
from mho.calibration.symmetric_points import DeviceArray, as_double, is_of_devices
from mho.device.cell import Cells
from mho.device.pulses import Exact, Expected, Pulses
from mho.numerics.rng import Stream, call_key, next_event, split
from mho.numerics.threads import over_rows
from mho.responses.base import DOUBLE
from mho.tile import checks, write_noise
from mho.tile.tally import Tally

Schedule = Literal["cyclic", "stochastic"]
EPSILON = 2.0**-52
WORTH_IT = 1 << 16  # pulses from which threads pay


class ZeroShiftRun:
    """Zero-shifting of a tile in progress. `send` pulses, look at `w`, `send` more; `finish` writes the cells back.

    The state is float64. A float32 weight of 0.5 has steps of 6e-8, and a pulse of 1e-5 is rounded by up to 0.3
    % of its size. The rounding is the same in each cycle, so that float32 cells settle beside their symmetric
    points.

    Cells whose law is linear, without noise and with cyclic pulses, take all pulses in one step, by the map of a
    cycle. All other cells take them pulse by pulse. Tiles of composed cells, and tiles that add exactly
    (`Exact`), go through `Tile.pulse`, in float32.

    Args:
        tile: a `Tile`, or a tile of composed cells; only `finish` changes it.
        schedule: "cyclic" or "stochastic", see `zero_shift`.
    """

    def __init__(self, tile: Any, schedule: Schedule = "cyclic") -> None:
        self.tile, self.schedule = tile, schedule
        self.pulses = self.averaged = 0
        self._event = next_event(tile.counters("events"), Stream.ZERO_SHIFT)
        self._ups = torch.zeros(tile.shape, dtype=torch.int32)
        self._total = torch.zeros(tile.shape, dtype=DOUBLE)
        self._by_verbs = not is_of_devices(tile) or isinstance(tile.pulses, Exact)
        self._pair: PulsePair | None = None
        self._kernel: Callable[..., int] | None = None
        if not self._by_verbs:
            self._load(tile)

    def _load(self, tile: DeviceArray) -> None:
        p, device = tile.parameters_of_cells, tile.device
        values = {n: v.cpu() if isinstance(v, torch.Tensor) else v for n, v in p.values().items()}
        cells = Cells.of(device.response, values, 0.0)
        if isinstance(tile.pulses, Expected):  # the mean change: no noise
            device = device.replace(sigma_c2c=0.0, c2c="additive")
        self._reference = as_double(torch.as_tensor(p.reference))
        self._hidden = as_double(tile.cells)
        if self.schedule == "cyclic":
            self._pair = lines(device, cells, tile.shape)
        if self._pair is not None:
            return
        with uninterrupted():
            from mho.kernels.law.build import kernels_of
        from mho.kernels.law.dialect import FLOAT64
        from mho.kernels.law.plan import KernelPlan

        plan = KernelPlan.of(device, cells.values())
        planes = [np.broadcast_to(as_double(values[n]).numpy(), tile.shape) for n in plan.planes]  # type: ignore[arg-type]
        self._par = np.stack(planes) if planes else np.zeros((0, *tile.shape))
        self._numbers = np.array(plan.numbers, np.float64)
        bounds = [float(torch.as_tensor(v).abs().max()) for v in (cells.lower, cells.upper)]
        self._still = EPSILON * min(max(bounds), 1e3)
        self._kernel = kernels_of(plan, "shift", FLOAT64).shift_rows
        c2c = next_event(tile.counters("events"), Stream.C2C) if plan.noise != "none" else 0
        keys = call_key(tile.key, Stream.ZERO_SHIFT, self._event), call_key(tile.key, Stream.C2C, c2c)
        self._keys = [tuple(np.uint32(word) for word in split(key)) for key in keys]

    @property
    def w(self) -> torch.Tensor:
        """(out, in) float64: apparent weights after the last pulse, without write noise [weight units]."""
        return as_double(self.tile.w) if self._by_verbs else self._hidden - self._reference

    @property
    def average(self) -> torch.Tensor:
        """(out, in) float64: the mean apparent weight behind the averaged pulses [weight units]."""
        if not self.averaged:
            return torch.full_like(self._total, float("nan"))
        mean = self._total / self.averaged
        return mean if self._by_verbs else mean - self._reference

    @property
    def wear(self) -> torch.Tensor:
        """(2, out, in) int64: pulses up and pulses down that each cell got so far."""
        ups = self._ups.long()
        if self.schedule == "cyclic":
            ups = torch.full_like(ups, (self.pulses + 1) // 2)
        return torch.stack([ups, self.pulses - ups])

    def send(self, n: int, average: bool = False) -> None:
        """Send n more pulses to each cell, n >= 1; with `average` the weights behind them count in `average`."""
        if self._by_verbs:
            self._pulse(n, average)
        elif self._pair is not None:
            line = self._pair.pulses(self.pulses, n)
            if average:
                self._total += line.c * self._hidden + line.d
            self._hidden = line.a * self._hidden + line.b
        else:
            self._run(n, average)
        self.pulses += n
        self.averaged += n * average

    def forget(self) -> None:
        """Begin the average anew."""
        self._total.zero_()
        self.averaged = 0

    def _run(self, n: int, average: bool) -> None:
        kernel, (signs, noise) = self._kernel, self._keys
        assert kernel is not None
        w, total, ups = self._hidden.numpy(), self._total.numpy(), self._ups.numpy()
        tail = self.pulses if average else self.pulses + n
        rest = n, self.pulses, tail, self.schedule == "stochastic", self._still, signs, noise

        def rows(block: tuple[int, int]) -> object:
            return kernel(*block, w, total, ups, self._par, self._numbers, *rest)

        over_rows(rows, w.shape[0], worth_it=w.size * n > WORTH_IT)
        if not np.isfinite(w).all():
            raise checks.runaway(self._hidden, self.tile.device.response)

    def _pulse(self, n: int, average: bool) -> None:
        ones = torch.ones_like(self.tile.w)
        for p in range(self.pulses, self.pulses + n):
            signs = ones if p % 2 == 0 else -ones
            if self.schedule == "stochastic":
                signs = self._signs(p)
            self.tile.pulse(signs)
            self._ups += (signs > 0).cpu()
            if average:
                self._total += as_double(self.tile.w)

    def _signs(self, p: int) -> torch.Tensor:
        """Draw (out, in) signs, +1 and -1, for pulse p."""
        with uninterrupted():
            from mho.numerics.uniform import random_signs  # Numba: loaded with the first draw

        signs = torch.empty(self.tile.shape, dtype=torch.float32)
        key = call_key(call_key(self.tile.key, Stream.ZERO_SHIFT, self._event), Stream.ZERO_SHIFT, p)
        random_signs(signs.data_ptr(), signs.numel(), *split(key))
        return signs.to(self.tile.w.device)

    def finish(self) -> torch.Tensor:
        """Write cells and counters of the tile.

        Returns: (out, in) its apparent weights as a read would give them, write noise included; float64, or float32
            if the state is.
        """
        tile = self.tile
        if self._by_verbs:
            return tile.w.clone()
        before = tile.cells.clone() if tile.device.write_noise > 0 else None
        tile.cells.copy_(self._hidden)
        tile.refresh()
        up, down = self.wear
        if self._counts():
            tile.tally[Tally.UP] += int(up.sum())
            tile.tally[Tally.DOWN] += int(down.sum())
            if tile.counts.numel():
                tile.counts += torch.stack([up, down]).to(tile.counts)
        if before is None:
            return self.w
        write_noise.rewrite(tile, before)
        return self.w + as_double(tile.noise)

    def _counts(self) -> bool:
        """Say if the tile counts what it is sent: `Expected` changes are no pulses."""
        return isinstance(self.tile.pulses, Pulses)
