"""What a law of one's own costs in the compiled kernel, beside SoftBounds: `python benchmarks/own_laws.py`.

Nanoseconds a pulse on one thread, trains of 31 slots, cycle-to-cycle noise; medians of 15 repetitions, interleaved.
"""

import statistics
import time

import torch

import mho

SHAPE, SAMPLES, REPETITIONS = (512, 512), 10, 15


class Kinked(mho.Response):
    """Four parameters, each with a spread, an exponential and a case."""

    tau: float = 1.0
    bend: float = 0.5
    knee: float = 0.2
    drop: float = 2.0

    def up(self, w):
        soft = (1 - w / self.tau) * (1 + self.bend * w)
        return torch.where(w > self.knee, soft * torch.exp(self.drop * (self.knee - w)), soft)

    def down(self, w):
        return 1 + w / self.tau

    def bounds(self):
        return -self.tau, self.tau


STEPS = tuple(tuple((1.2 - 0.1 * row) * (0.5 + 0.1 * column) for column in range(9)) for row in range(11))
MEASURED = mho.responses.Table(STEPS, STEPS[::-1])
NOISY = {"dw_min": 1e-3, "sigma_c2c": 0.3, "spread": {"gain": 0.3}}
DEVICES = {
    "SoftBounds": mho.Device(mho.responses.SoftBounds(), **NOISY),
    "four parameters a cell, exp, where": mho.Device(
        Kinked(), **NOISY | {"spread": {name: 0.05 for name in ("tau", "bend", "knee", "drop")}}
    ),
    "Table": mho.Device(MEASURED, c2c="law", dw_min=1e-3, spread={"gain": 0.3}),
}


def main() -> None:
    mho.set_threads(1)
    g = torch.Generator().manual_seed(0)
    x, d = torch.rand(SAMPLES, SHAPE[1], generator=g), 0.05 * torch.randn(SAMPLES, SHAPE[0], generator=g)
    pulses = mho.Pulses(bl_management=False)
    tiles = {
        name: mho.Tile(torch.zeros(SHAPE), device, pulses=pulses, key=1) for name, device in DEVICES.items()
    }
    found: dict[str, list[float]] = {name: [] for name in tiles}
    for tile in tiles.values():
        tile.update(x, d, 0.05)
    for _ in range(REPETITIONS):
        for name, tile in tiles.items():
            start = time.perf_counter()
            info = tile.update(x, d, 0.05)
            found[name].append((time.perf_counter() - start) * 1e9 / (info.up + info.down))
    base = statistics.median(found["SoftBounds"])
    for name, times in found.items():
        t = statistics.median(times)
        print(f"{name:36s} {t:.2f} ns a pulse, {t / base:.2f} times SoftBounds")


if __name__ == "__main__":
    main()
