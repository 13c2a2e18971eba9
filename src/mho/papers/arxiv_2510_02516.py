"""LeNet in arXiv 2510.02516: weights made of several tiles of coarse cells.

LeNet, batch 8, 200 epochs, lr 0.05, a tenth of it every 50 epochs. Cells: soft bounds +-1 with aihwkit's spreads
and noise (30 %), 10 states (dw_min 0.2) on MNIST and 4 states (dw_min 0.5) on Fashion-MNIST. The settings are those
of the released script, `Mnist_LeNet5.py`.

* Multi-tile: 3, 4 or 6 tiles, gamma 0.5, transfer_lr 0.1 growing by 1.2, one transfer in 2 * 5^n mini-batches.
  Tiles are filled one after another as the loss stops falling. Products have no noise and layers no learned
  factor. The text has a rule for gamma, so the table's gamma may be another one.
* Tiki-Taka v2: fast_lr 0.1, threshold dw_min, trains of 10, products without noise, a learned factor.
* Tiki-Taka (fast_lr 0.1, a learned factor) and mixed precision: cells with references, aihwkit's converters.

Convolutions aggregate 32 patches (docs/aggregated.md). No spread is at hand.
"""

from typing import Any

from mho.aihwkit import soft_bounds, soft_bounds_reference
from mho.algorithms.mixed_precision import MixedPrecision
from mho.algorithms.multi_tile_residual import MultiTileResidual
from mho.algorithms.tiki_taka import TikiTaka
from mho.algorithms.tiki_taka_v2 import TikiTakaV2
from mho.crossbar import Crossbar, Mapping
from mho.device.device import Device
from mho.device.pulses import Pulses
from mho.experiments.experiment import Experiment, training
from mho.training.spec import RunSpec

DATA = {"mnist": ("mnist", 10), "fashion": ("fashion_mnist", 4)}
PUBLISHED = {
    "fashion-tiki-taka": 10.0,
    "fashion-tiki-taka-v2": 47.5,
    "fashion-mixed-precision": 75.6,
    **{f"fashion-{n}-tiles": value for n, value in ((3, 68.1), (4, 73.4), (6, 75.1))},
    "mnist-tiki-taka": 78.7,
    "mnist-tiki-taka-v2": 95.4,
    "mnist-mixed-precision": 99.1,
    **{f"mnist-{n}-tiles": value for n, value in ((3, 95.1), (4, 97.1), (6, 98.5))},
}


def _hardware(method: str, coarse: dict[str, Any]) -> Crossbar:
    plain, referenced = soft_bounds(**coarse), soft_bounds_reference(**coarse)
    long, unscaled = Pulses(aggregate=32), Mapping(out_scale="none")

    def crossbar(algorithm: Any, device: Device, update: Pulses = long, **fields: Any) -> Crossbar:
        return Crossbar(algorithm, device, pulses={"update": update, "transfer": Pulses()}, **fields)

    if method == "tiki-taka":
        return crossbar(TikiTaka(fast_lr=0.1), referenced)
    if method == "tiki-taka-v2":
        buffered = TikiTakaV2(fast_lr=0.1, auto_granularity=0.0, momentum=0.1, max_pulses=31)
        return crossbar(buffered, plain, Pulses(bl=10, aggregate=32), io=None)
    if method == "mixed-precision":
        return crossbar(MixedPrecision(), referenced, mapping=unscaled)
    tiles = MultiTileResidual(tiles=int(method.split("-")[0]), warm_start=True)
    return crossbar(tiles, plain, io=None, mapping=unscaled)


def _cell(name: str) -> dict[str, Any]:
    shown, _, method = name.partition("-")
    data, states = DATA[shown]
    hardware = _hardware(method, {"w_max": 1.0, "w_min": -1.0, "dw_min": 2 / states})
    loop: dict[str, Any] = {"epochs": 200, "batch_size": 8, "lr": 0.05, "lr_step": 50, "lr_decay": 0.1}
    return training(RunSpec(data=data, network="lenet", hardware=hardware, **loop))


EXPERIMENT = Experiment(
    id="multi-tile-2025",
    title="arXiv 2510.02516: LeNet with cells of 10 states (MNIST) and 4 (Fashion-MNIST); test accuracy [%]",
    source="arXiv 2510.02516, LeNet's tables; settings: its authors' script",
    cells={name: _cell(name) for name in PUBLISHED},
    published={(name, "test accuracy"): value for name, value in PUBLISHED.items()},
    notes="Names: data-method. MNIST's columns are assumed to have 3, 4 and 6 tiles, as those of Fashion-MNIST.",
)
