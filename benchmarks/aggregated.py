"""How far the aggregated update is from the exact one: `python benchmarks/aggregated.py`; docs/aggregated.md.

The same tile, key and inputs, so the same pulses; only their order within `aggregate` samples differs. First
without cycle-to-cycle noise, where nothing else differs, then with it, where the spread of the weights is
compared. x uniform in [0, 1], d normal with standard deviation 0.05: errors of both signs, in random order, as
late in a training; and the same d with its mean raised by one standard deviation, as early in one.
"""

import itertools

import torch

import mho

OUT, IN, SAMPLES, LR, DW_MIN = 64, 576, 2048, 0.05, 1e-3
GROUPS = (8, 32, 128, 512, 2048)
LAWS = [
    mho.responses.Constant(tau_max=0.6, tau_min=-0.6),
    mho.responses.SoftBounds(tau_max=0.6, tau_min=-0.6),
    mho.responses.Power(tau=0.6),
    mho.responses.ExpStep(tau_max=0.6, tau_min=-0.6),
]


def weights(law: mho.Response, sigma: float, shift: float, aggregate: int) -> torch.Tensor:
    """(OUT, IN) after one update of a tile of zeros."""
    device = mho.Device(law, DW_MIN, sigma_c2c=sigma, c2c="multiplicative", spread={"gain": 0.3})
    pulses = mho.Pulses(bl_management=False, aggregate=aggregate)
    tile = mho.Tile(torch.zeros(OUT, IN), device, pulses=pulses, key=1)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(SAMPLES, IN, generator=generator)
    d = 0.05 * (torch.randn(SAMPLES, OUT, generator=generator) + shift)
    tile.update(x, d, LR)
    return tile.w.clone()


def main() -> None:
    print("| law | d | aggregate | mean difference | rms difference | spread, c2c 0 | spread, c2c .3 |")
    print("|---|---|---|---|---|---|---|")
    for law, shift in itertools.product(LAWS, (0.0, 1.0)):
        exact, noisy = weights(law, 0.0, shift, 0), weights(law, 0.3, shift, 0)
        for aggregate in GROUPS:
            w, w_noisy = weights(law, 0.0, shift, aggregate), weights(law, 0.3, shift, aggregate)
            off = (w - exact) / DW_MIN
            kind = "both signs" if shift == 0 else "mostly up"
            cells = [f"{off.mean():+.2f}", f"{off.square().mean().sqrt():.2f}"]
            cells += [f"{w.std() / exact.std():.3f}", f"{w_noisy.std() / noisy.std():.3f}"]
            print("|", " | ".join([type(law).__name__, kind, str(aggregate), *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
