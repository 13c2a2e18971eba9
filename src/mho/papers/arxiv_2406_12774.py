"""MNIST in arXiv 2406.12774: Analog SGD and Tiki-Taka on soft bounds, against tau.

FCN 784-256-128-10, sigmoid, batch 10, and LeNet, batch 8: 80 epochs, lr 0.05 (digital 0.1), a tenth of it every 35
epochs. Devices: aihwkit's SoftBoundsReferenceDevice with bounds +-tau and its defaults: dw_min 1e-3, cycle-to-cycle
noise 30 %, spreads of the steps and of either bound of 30 %. Tiki-Taka: gamma 0, fast_lr 0.01, transfer_lr 1
(scaled), a column a mini-batch. The layers have a learned factor. The converters are aihwkit's defaults, as in the
later papers, where this text has 8 bits and noise 0.1. LeNet aggregates 32 patches an update (docs/aggregated.md).
The paper prints no spreads.
"""

from typing import Any

from mho.aihwkit import soft_bounds_reference
from mho.algorithms.analog_sgd import AnalogSGD
from mho.algorithms.tiki_taka import TikiTaka
from mho.crossbar import Crossbar
from mho.device.pulses import Pulses
from mho.experiments.experiment import Experiment, training
from mho.training.spec import RunSpec

ALGORITHMS = {"analog-sgd": AnalogSGD(), "tiki-taka": TikiTaka()}
SHAPES: dict[str, dict[str, Any]] = {
    "fcn": {"hidden": (256, 128), "activation": "sigmoid", "batch_size": 10},
    "cnn": {"network": "lenet", "batch_size": 8},
}
PUBLISHED = {
    "fcn-digital": 98.15,
    **{f"fcn-{tau}-analog-sgd": value for tau, value in ((0.7, 11.35), (0.78, 97.71), (0.8, 97.78))},
    **{f"fcn-{tau}-tiki-taka": value for tau, value in ((0.7, 97.64), (0.78, 97.62), (0.8, 97.50))},
    "cnn-digital": 99.16,
    **{f"cnn-{tau}-analog-sgd": value for tau, value in ((0.6, 88.99), (0.7, 92.15), (0.8, 93.45))},
    **{f"cnn-{tau}-tiki-taka": value for tau, value in ((0.6, 98.84), (0.7, 98.87), (0.8, 98.86))},
}


def _cell(name: str) -> dict[str, Any]:
    network, _, rest = name.partition("-")
    tau, _, algorithm = rest.partition("-")
    hardware = None
    if algorithm:
        bound = float(tau)
        device = soft_bounds_reference(
            w_max=bound, w_min=-bound, dw_min_dtod=0.3, w_max_dtod=0.3, w_min_dtod=0.3, up_down_dtod=0.01
        )
        pulses = Pulses(aggregate=32 if network == "cnn" else 0)
        hardware = Crossbar(ALGORITHMS[algorithm], device, pulses=pulses)
    loop: dict[str, Any] = {"epochs": 80, "lr": 0.05 if hardware else 0.1, "lr_step": 35, "lr_decay": 0.1}
    return training(RunSpec(data="mnist", hardware=hardware, **SHAPES[network], **loop))


EXPERIMENT = Experiment(
    id="soft-bounds-2024",
    title="arXiv 2406.12774: MNIST on soft bounds against tau; test accuracy [%]",
    source="arXiv 2406.12774, MNIST table; settings: its authors' script",
    cells={name: _cell(name) for name in PUBLISHED},
    published={(name, "test accuracy"): value for name, value in PUBLISHED.items()},
    notes="Names: network-tau-algorithm.",
)
