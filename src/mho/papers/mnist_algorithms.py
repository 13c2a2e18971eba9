"""All algorithms on one network and one good device, and again with the symmetric points 0.4 off.

784-256-128-10, sigmoid, MNIST, 3 epochs, batch 10, lr 0.1. Soft bounds +-2 in 1200 states, multiplicative
cycle-to-cycle noise 30 %, gain spread 30 %, the converters of the papers, no learned output scale. Pace and
thresholds are set for so short a training; they are the same with and without the offset.
"""

from collections.abc import Mapping
from typing import Any

from mho.algorithms.agad import AGAD
from mho.algorithms.analog_sgd import AnalogSGD
from mho.algorithms.chopped_tiki_taka import ChoppedTikiTaka
from mho.algorithms.digital_sgd import DigitalSGD
from mho.algorithms.erider import ERIDER
from mho.algorithms.mixed_precision import MixedPrecision
from mho.algorithms.multi_tile_residual import MultiTileResidual
from mho.algorithms.residual_learning import ResidualLearning
from mho.algorithms.residual_learning_v2 import ResidualLearningV2
from mho.algorithms.rider import RIDER
from mho.algorithms.tiki_taka import TikiTaka
from mho.algorithms.tiki_taka_v2 import TikiTakaV2
from mho.algorithms.two_stage import TwoStage
from mho.base.config import from_dict, to_dict
from mho.base.registry import kebab
from mho.crossbar import Crossbar
from mho.crossbar import Mapping as Layout
from mho.data import load
from mho.device.device import Device
from mho.experiments.experiment import Experiment, Pair, Tick
from mho.responses.soft_bounds import SoftBounds
from mho.training.session import Session
from mho.training.spec import RunSpec

OFFSET = 0.4
DEVICE = Device(
    SoftBounds(tau_max=2.0, tau_min=-2.0),
    dw_min=4.0 / 1200,
    sigma_c2c=0.3,
    c2c="multiplicative",
    spread={"gain": 0.3},
)
FAST: dict[str, Any] = {"fast_lr": 0.1, "scale_fast_lr": False}
BUFFER: dict[str, Any] = FAST | {"transfer_lr": 1.0, "scale_transfer_lr": False, "max_pulses": 31}
CHOP: dict[str, Any] = {"chop_prob": 0.2}
ALGORITHMS = [
    DigitalSGD(),
    AnalogSGD(),
    TikiTaka(**FAST),
    TikiTakaV2(**BUFFER),
    ChoppedTikiTaka(**BUFFER, **CHOP),
    AGAD(**BUFFER, **CHOP),
    ResidualLearning(**FAST),
    ResidualLearningV2(**FAST, max_pulses=31),
    TwoStage(**FAST, n_pulses=4000),
    RIDER(**FAST),
    ERIDER(**BUFFER, **CHOP),
    MultiTileResidual(tiles=3, **FAST),
    MixedPrecision(),
]
CELLS = {
    kebab(type(algorithm).__name__) + ("-offset" if offset else ""): {
        "algorithm": to_dict(algorithm),
        "offset": offset,
        "steps": 3 * 6000,
    }
    for offset in (0.0, OFFSET)
    for algorithm in ALGORITHMS
}


def run(settings: Mapping[str, Any], seed: int, tick: Tick) -> dict[str, Pair]:
    """Return {"test accuracy": [%], with the standard error of 10,000 test images}."""
    device = DEVICE.replace(reference_mean=settings["offset"])
    hardware = Crossbar(from_dict(settings["algorithm"]), device, mapping=Layout(out_scale="none"))
    shape: dict[str, Any] = {"hidden": (256, 128), "activation": "sigmoid", "lr": 0.1, "lr_step": 0}
    spec = RunSpec(data="mnist", epochs=3, seed=seed, hardware=hardware, **shape)
    session = Session(spec, load(spec.data))
    for k in range(settings["steps"]):
        session.step()
        if session.batch == session.batches:
            session.end_epoch()
        if k % 100 == 0:
            tick(k, settings["steps"])
    accuracy = session.test()[1]
    return {
        "test accuracy": (100 * accuracy, (accuracy * (1 - accuracy) / len(session.data.y_test)) ** 0.5 * 100)
    }


EXPERIMENT = Experiment(
    id="mnist-algorithms",
    title="All algorithms: a fully connected network on MNIST, 3 epochs; test accuracy [%]",
    source="no paper",
    cells=CELLS,
    run=run,
)
