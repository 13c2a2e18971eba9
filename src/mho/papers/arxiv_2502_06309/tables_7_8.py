"""Tables 7 and 8 and Fig. 4 of arXiv 2502.06309: Analog SGD and Residual Learning on MNIST, general responses.

FCN 784-256-128-10, sigmoid, batch 10, 30 epochs, lr 0.05 (digital 0.1) halved after 15; LeNet, batch 8. Devices:
power or exponential response with 1200 states (dw_min = 2 tau / 1200), cycle-to-cycle noise 30 % (multiplicative)
and gain spread 30 %, as the authors' script has them from aihwkit's defaults. Residual Learning: gamma 0.4, fast_lr
0.01, transfer_lr 1 (scaled), a column of P each mini-batch. Trains of 31 slots, the papers' converters, a learned
factor.

Open in the paper:

* Table 7 does not say its tau: 0.7 here, with gamma_res 0.5, as its text has for Fig. 4. LeNet is trained for 30
  epochs there and for 10 here, on tau 0.7, with 32 patches an update (docs/aggregated.md).
* The column "TT/RL" does not say whether gamma is 0: the cells here have 0.4, those called "tiki-taka" 0.
* The script builds its power device with aihwkit. Steps are dw_min ((1 - w/tau)/2)^gamma_res, and lr is converted
  to pulses by their size at w = 0, dw_min 0.5^gamma_res. That is the law of the text with 2^gamma_res times as many
  states: the cells "pow-step".
"""

from typing import Any

from mho.algorithms.analog_sgd import AnalogSGD
from mho.algorithms.residual_learning import ResidualLearning
from mho.crossbar import Crossbar
from mho.device.device import Device
from mho.device.pulses import Pulses
from mho.experiments.experiment import Experiment, Published, Settings, printed, training
from mho.responses.exponential import Exponential
from mho.responses.power import Power
from mho.training.spec import RunSpec

ALGORITHMS = {"analog-sgd": AnalogSGD(), "residual-learning": ResidualLearning()}
OTHERS = {
    "tiki-taka": ResidualLearning(gamma=0.0),
    "residual-learning-scaled": ResidualLearning(scale_fast_lr=True),
}
LAWS = {"power": Power, "exponential": Exponential}
TAUS, GAMMAS, NOISES = (0.6, 0.7, 0.8), (0.5, 1.0, 2.0), (0.1, 0.3, 0.6, 0.9, 1.2)
STUCK = 11.35  # accuracy [%] of a network that calls every image a 1; the paper prints "< 15"
CONTROLS = (  # law, gamma_res, algorithm; tau is 0.6
    ("pow-step", 0.5, "analog-sgd"),
    ("pow-step", 0.5, "residual-learning"),
    ("pow-step", 1.0, "residual-learning"),
    ("pow-step", 2.0, "residual-learning"),
    ("pow-step", 2.0, "residual-learning-scaled"),
    ("power", 2.0, "residual-learning-scaled"),
    ("power", 2.0, "tiki-taka"),
)


def _device(law: str, gamma_res: float, tau: float, noise: float = 0.3) -> Device:
    dw_min, up_down_std = 2 * tau / 1200, 0.0
    if law == "pow-step":
        law, dw_min, up_down_std = "power", dw_min * 0.5**gamma_res, 0.01
    response = LAWS[law](tau=tau, gamma_res=gamma_res)
    look: dict[str, Any] = {"sigma_c2c": noise, "c2c": "multiplicative", "up_down_std": up_down_std}
    return Device(response, dw_min, spread={"gain": 0.3}, **look)


def _fcn(algorithm: str, device: Device | None) -> Settings:
    spec = RunSpec(
        data="mnist",
        hidden=(256, 128),
        activation="sigmoid",
        hardware=None if device is None else Crossbar((ALGORITHMS | OTHERS)[algorithm], device),
        epochs=30,
        batch_size=10,
        lr=0.1 if device is None else 0.05,
        lr_step=15,
    )
    return training(spec)


def _lenet(algorithm: str, device: Device | None) -> Settings:
    hardware = None
    if device is not None:
        hardware = Crossbar(ALGORITHMS[algorithm], device, pulses=Pulses(aggregate=32))
    spec = RunSpec(
        data="mnist",
        network="lenet",
        hardware=hardware,
        epochs=10,
        batch_size=8,
        lr=0.1 if device is None else 0.05,
        lr_step=35,
        lr_decay=0.1,
    )
    return training(spec)


def _table_8() -> tuple[dict[str, Settings], Published]:
    """Return cells law-gamma_res-tau-algorithm, and "digital", with their published numbers."""
    rows = {
        ("power", 0.5): ["96.01±0.26 97.40±0.15 97.38±0.10", "96.92±0.19 97.05±0.05 96.82±0.17"],
        ("power", 1.0): ["< < <", "97.39±0.05 97.33±0.05 97.34±0.09"],
        ("power", 2.0): ["< < <", "96.93±0.15 97.27±0.02 97.18±0.04"],
        ("exponential", 0.5): ["< < 94.00±0.63", "97.27±0.07 97.39±0.15 97.16±0.16"],
        ("exponential", 1.0): ["< < <", "97.46±0.08 97.49±0.04 97.25±0.16"],
        ("exponential", 2.0): ["< < <", "97.19±0.16 97.72±0.07 97.06±0.10"],
    }
    cells, published = (
        {"digital": _fcn("digital", None)},
        Published({("digital", "test accuracy"): (98.17, 0.05)}),
    )
    for (law, gamma_res), values in rows.items():
        for algorithm, row in zip(ALGORITHMS, values, strict=True):
            for tau, value in zip(TAUS, row.split(), strict=True):
                name = f"{law}-{gamma_res:g}-{tau}-{algorithm}"
                cells[name] = _fcn(algorithm, _device(law, gamma_res, tau))
                published[name, "test accuracy"] = (STUCK, 0.0) if value == "<" else printed(value)
    return cells, published


def _controls() -> tuple[dict[str, Settings], Published]:
    """Return cells law-gamma_res-0.6-algorithm, each with the number of the table that it may explain."""
    cells, published = dict[str, Settings](), Published()
    for law, gamma_res, algorithm in CONTROLS:
        name = f"{law}-{gamma_res:g}-0.6-{algorithm}"
        row = algorithm if algorithm in ALGORITHMS else "residual-learning"
        cells[name] = _fcn(algorithm, _device(law, gamma_res, 0.6))
        published[name, "test accuracy"] = PUBLISHED_8[f"power-{gamma_res:g}-0.6-{row}", "test accuracy"]
    return cells, published


def _table_7() -> tuple[dict[str, Settings], Published]:
    """Return cells network-noise-algorithm, the noise in percent, with their published numbers."""
    rows = {
        ("fcn", "analog-sgd"): "97.22±0.21 96.97±0.12 96.33±0.21 95.99±0.15 96.19±0.20",
        ("fcn", "residual-learning"): "97.66±0.04 97.07±0.12 97.70±0.09 97.44±0.15 96.97±0.20",
        ("cnn", "analog-sgd"): "92.68±0.45 93.36±0.55 93.07±0.53 91.87±0.48 91.57±0.58",
        ("cnn", "residual-learning"): "98.74±0.07 98.89±0.05 98.68±0.09 98.92±0.02 98.85±0.04",
    }
    cells: dict[str, Settings] = {"cnn-digital": _lenet("digital", None)}
    published: Published = {("cnn-digital", "test accuracy"): (99.09, 0.04)}
    for (network, algorithm), row in rows.items():
        for noise, value in zip(NOISES, row.split(), strict=True):
            name, make = f"{network}-{100 * noise:g}-{algorithm}", _fcn if network == "fcn" else _lenet
            cells[name] = make(algorithm, _device("power", 0.5, 0.7, noise))
            published[name, "test accuracy"] = printed(value)
    return cells, published


CELLS_8, PUBLISHED_8 = _table_8()
CELLS_C, PUBLISHED_C = _controls()
CELLS_7, PUBLISHED_7 = _table_7()
TABLE_8 = Experiment(
    id="a-table-8",
    title="arXiv 2502.06309, Table 8: FCN on MNIST, power and exponential responses; test accuracy [%]",
    source="arXiv 2502.06309, Table 8; settings: its authors' script",
    cells=CELLS_8,
    published=PUBLISHED_8,
    causes={"exponential-0.5-0.8-analog-sgd": "here the plateau lasts all 30 epochs"}
    | {f"power-2-{tau}-residual-learning": "not known; see the controls" for tau in TAUS},
    notes='Names: law-gamma_res-tau-algorithm. Where the paper prints "< 15" stands 11.35: every image called a 1. '
    "Analog SGD begins on a plateau there. It lasts the longer, the stronger the device pulls to zero. Without the "
    "learned output scale Analog SGD had left it after 2 epochs at (power, 1, 0.8) in an earlier build, one seed "
    "(results/mnist_fcn_power.json). At (exponential, 0.5, 0.8) it lasts all 30 epochs with each of three seeds. "
    "Of the 31 numbers that were run 23 agree. One of the others is that plateau; the rest is off by 1.1 points at "
    "most, mostly above the paper. With three seeds Residual Learning at (power, 0.5, 0.7) has a spread of 0.29 "
    "here, where the paper prints 0.05. The distances of cells with one seed are counted in the paper's spread.",
)
CONTROLS_8 = Experiment(
    id="a-table-8-controls",
    title="arXiv 2502.06309, controls for Table 8: other settings beside its numbers; test accuracy [%]",
    source="arXiv 2502.06309, Table 8; settings that its authors' script, or aihwkit, may have had instead",
    cells=CELLS_C,
    published=PUBLISHED_C,
    causes={"*": "this setting is not, or not alone, the cause of the paper's number"},
    notes="pow-step: the device and the conversion of learning rates of aihwkit. residual-learning-scaled: fast_lr "
    "is a factor on lr, the default since aihwkit 1.2.0. tiki-taka: gamma 0. Runs of aihwkit: docs/errata.md.",
)
TABLE_7 = Experiment(
    id="a-table-7",
    title="arXiv 2502.06309, Table 7 and Fig. 4: MNIST against cycle-to-cycle noise; test accuracy [%]",
    source="arXiv 2502.06309, Table 7 and Fig. 4; settings: its authors' script",
    cells=CELLS_7,
    published=PUBLISHED_7,
    causes={"*": "not known; the table does not say its tau"}
    | {name: "not known; 10 epochs in place of 30, and tau" for name in CELLS_7 if name.startswith("cnn")},
    notes="Names: network-noise in percent-algorithm. The cells of the CNN have 10 epochs, the paper's 30; Analog "
    "SGD's accuracy jumps by up to 2 points from one to the next.",
    curves={"a-fig-4": ("cnn-digital", *(f"cnn-{n}-{name}" for name in ALGORITHMS for n in (10, 120)))},
)
EXPERIMENTS = (TABLE_7, TABLE_8, CONTROLS_8)
