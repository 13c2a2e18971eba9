"""Tables 1 and 2 of arXiv 2602.21321: LeNet and an FCN on MNIST, with HfO2 cells whose references are off.

Devices: ReRamArrayHfO2, about 4 states, reference off by mean + std xi from each cell's symmetric point. 40
epochs. Trains of 5 slots, of 1 slot in transfers; omega 0.3, a learned factor, the papers' converters.
Hyper-parameters: its tables 3 (LeNet, batch 8) and 5 (FCN 784-256-128-10, sigmoid, batch 10). LeNet aggregates 32
patches an update. Rows of the tables are read as means of the offset, columns as standard deviations.

Open in the paper: the schedule, for which the released scripts have StepLR(15, 0.5) for the FCN and StepLR(30, 0.1)
for LeNet; and the learning rate of the FCN, 0.05 here, as table 3 has for AGAD and E-RIDER.

Cells "-script" have settings of the released script in place of table 5's: Tiki-Taka v2 with fast_lr 0.01,
transfer_lr 0.5, thres_scale 1, lr 0.1; AGAD with a residual, gamma 0.01, in the weight that the network sees. The
script switches that residual on for every algorithm.
"""

from collections.abc import Callable
from typing import Any

from mho.algorithms.agad import AGAD
from mho.algorithms.base import Algorithm
from mho.algorithms.erider import ERIDER
from mho.algorithms.tiki_taka_v2 import TikiTakaV2
from mho.crossbar import Crossbar, Mapping
from mho.device.pulses import Pulses
from mho.experiments.experiment import Experiment, Published, Settings, printed, training
from mho.presets import ReRamArrayHfO2
from mho.training.spec import RunSpec

BUFFER: dict[str, Any] = {"auto_granularity": 0.0, "thres_scale": 0.8, "momentum": 0.1}
FCN = {
    "tiki-taka-v2": TikiTakaV2(fast_lr=0.03, transfer_lr=0.01, **BUFFER),
    "tiki-taka-v2-script": TikiTakaV2(fast_lr=0.01, transfer_lr=0.5, auto_granularity=0.0, momentum=0.1),
    "agad": AGAD(fast_lr=0.05, transfer_lr=0.3, chop_prob=0.1),
    "agad-script": ERIDER(gamma=0.01, fast_lr=0.05, transfer_lr=0.3, scale_transfer_lr=True, chop_prob=0.1),
    "e-rider": ERIDER(fast_lr=0.5, transfer_lr=0.05, chop_prob=0.05),
}
LENET = {
    "tiki-taka-v2": TikiTakaV2(fast_lr=0.005, transfer_lr=0.005, **BUFFER),
    "agad": AGAD(fast_lr=0.01, transfer_lr=0.2, chop_prob=0.1),
    "e-rider": ERIDER(fast_lr=0.5, transfer_lr=0.05, chop_prob=0.05),
}
STDS = ("0.05", "0.2", "0.3", "0.4", "0.7", "1.0")


def _published(rows: str) -> Published:
    """Return the numbers of a printed table: method, mean offset, accuracy±deviation [%] for each of STDS."""
    found: Published = {}
    for row in rows.strip().splitlines():
        method, mean, *values = row.split()
        for std, value in zip(STDS, values, strict=True):
            found[f"{method}-{mean}-{std}", "test accuracy"] = printed(value)
    return found


PUBLISHED_1 = _published("""
    tiki-taka-v2 0   75.19±1.0 72.62±0.9 72.39±1.1 71.50±0.6 68.55±0.9 66.96±1.3
    agad         0   90.81±0.2 90.69±1.1 91.02±0.7 90.42±0.7 90.15±0.3 88.11±0.3
    e-rider      0   93.75±0.1 93.71±0.2 94.15±0.6 93.26±1.3 91.67±0.3 89.02±0.3
    tiki-taka-v2 0.2 75.01±1.4 72.60±2.1 71.68±2.2 70.70±1.1 66.54±2.9 66.43±1.3
    agad         0.2 91.14±0.8 90.66±0.9 91.61±0.1 90.61±0.9 88.59±0.6 87.73±1.1
    e-rider      0.2 93.90±0.6 93.06±1.0 93.33±0.8 93.15±0.5 91.99±0.1 89.41±0.8
    tiki-taka-v2 0.3 73.64±0.5 72.50±1.1 72.66±0.3 70.70±1.7 65.43±2.5 66.78±1.6
    agad         0.3 90.86±0.4 89.87±0.4 90.37±1.2 89.42±0.8 89.43±1.2 86.76±0.4
    e-rider      0.3 92.45±1.9 92.15±1.5 92.27±0.6 91.45±1.1 89.74±0.7 90.26±1.2
    tiki-taka-v2 0.4 71.71±1.8 71.89±3.3 70.83±3.1 71.01±2.8 66.63±1.2 67.08±1.6
    agad         0.4 89.63±1.3 89.79±1.1 89.99±1.9 90.16±0.8 87.32±1.2 86.54±1.1
    e-rider      0.4 91.72±0.4 91.76±0.4 91.29±1.1 91.54±1.5 91.17±0.5 88.02±0.3
""")
PUBLISHED_2 = _published("""
    tiki-taka-v2 0   90.26±0.4 88.75±0.6 87.40±0.7 85.98±0.2 82.85±2.4 79.20±3.2
    agad         0   92.59±0.2 91.96±0.8 92.11±0.9 92.48±0.1 92.19±0.4 91.37±0.4
    e-rider      0   95.45±0.2 95.48±0.1 95.39±0.1 95.34±0.4 95.42±0.3 93.86±0.2
    tiki-taka-v2 0.2 73.37±0.3 73.99±0.7 71.88±0.4 70.40±0.8 68.63±1.1 62.35±0.6
    agad         0.2 92.86±1.3 91.95±0.4 92.63±0.7 92.80±0.2 92.22±0.3 90.77±0.3
    e-rider      0.2 95.78±0.1 95.63±0.1 95.84±0.3 95.82±0.3 95.82±0.3 95.18±0.3
    tiki-taka-v2 0.3 72.86±1.3 72.65±0.5 69.70±1.6 69.96±1.5 66.44±2.0 61.45±1.0
    agad         0.3 92.31±0.4 92.52±0.4 92.47±0.5 92.88±0.3 91.68±0.5 91.35±0.4
    e-rider      0.3 95.76±0.1 95.81±0.5 95.91±0.6 95.88±0.1 95.79±0.2 94.84±0.2
    tiki-taka-v2 0.4 72.00±2.8 68.08±2.1 68.80±1.9 67.85±1.4 66.15±0.9 57.79±0.8
    agad         0.4 92.55±0.2 92.42±0.6 92.42±0.8 92.06±0.4 90.62±0.3 90.43±0.3
    e-rider      0.4 96.07±0.2 96.21±0.1 96.20±0.1 96.23±0.3 95.87±0.3 95.14±0.3
""")
PUBLISHED_2 |= {
    (f"{method}-script-{offset}", "test accuracy"): PUBLISHED_2[f"{method}-{offset}", "test accuracy"]
    for method in ("tiki-taka-v2", "agad")
    for offset in ("0-0.05", "0-1.0", "0.4-0.05", "0.4-0.4", "0.4-1.0")
}


def _hardware(algorithm: Algorithm, mean: float, std: float, aggregate: int = 0) -> Crossbar:
    return Crossbar(
        algorithm,
        ReRamArrayHfO2.replace(reference_mean=mean, reference_std=std),
        pulses={"update": Pulses(bl=5, aggregate=aggregate), "transfer": Pulses(bl=1)},
        mapping=Mapping(omega=0.3, columnwise=True),
    )


def _fcn(name: str, mean: float, std: float) -> RunSpec:
    return RunSpec(
        data="mnist",
        hidden=(256, 128),
        activation="sigmoid",
        hardware=_hardware(FCN[name], mean, std),
        epochs=40,
        batch_size=10,
        lr=0.1 if name == "tiki-taka-v2-script" else 0.05,
        lr_step=15,
        lr_decay=0.5,
    )


def _lenet(name: str, mean: float, std: float) -> RunSpec:
    return RunSpec(
        data="mnist",
        network="lenet",
        hardware=_hardware(LENET[name], mean, std, aggregate=32),
        epochs=40,
        batch_size=8,
        lr=0.005 if name == "tiki-taka-v2" else 0.05,
        lr_step=30,
        lr_decay=0.1,
    )


def _cells(run: Callable[[str, float, float], RunSpec], published: Published) -> dict[str, Settings]:
    """Return a cell for each published number, method-mean-std."""
    names = [name for name, _ in published]
    parts = {name: name.rsplit("-", 2) for name in names}
    return {name: training(run(method, float(m), float(s))) for name, (method, m, s) in parts.items()}


TABLE_1 = Experiment(
    id="b-table-1",
    title="arXiv 2602.21321, Table 1: LeNet on MNIST, HfO2 cells, references off by mean, std; test accuracy [%]",
    source="arXiv 2602.21321, Table 1; hyper-parameters: its table 3",
    cells=_cells(_lenet, PUBLISHED_1),
    published=PUBLISHED_1,
    notes="Names: method-mean-std. At the offset that was run the order is the paper's. AGAD and E-RIDER are "
    "within 0.9 points of the paper, and Tiki-Taka v2 is 2 points below. In 40 epochs the 80,016 cells of W got 3 "
    "pulses together with Tiki-Taka v2, 0.02 each with AGAD and 1.8 each with E-RIDER: see the notes of Table 2.",
)
TABLE_2 = Experiment(
    id="b-table-2",
    title="arXiv 2602.21321, Table 2: FCN on MNIST, HfO2 cells, references off by mean, std; test accuracy [%]",
    source="arXiv 2602.21321, Table 2; hyper-parameters: its table 5",
    cells=_cells(_fcn, PUBLISHED_2),
    published=PUBLISHED_2,
    causes={
        f"tiki-taka-v2-{mean}-{std}": "with table 5's rates W gets next to no pulses (docs/errata.md)"
        for mean in ("0", "0.2", "0.3", "0.4")
        for std in STDS
    }
    | {"agad-0-0.05": "perhaps the residual that the released script adds to every algorithm: agad-script"},
    notes="Names: method-mean-std. At the five offsets that were run the order is the paper's, and AGAD and "
    "E-RIDER are within 1.4 points of the paper. In 40 epochs a cell of W gets at most 0.1 pulses with Tiki-Taka "
    "v2, 0.06 to 0.10 with AGAD and 2.3 to 2.6 with E-RIDER. So the networks of the first two rows learn with "
    "biases and scales; their analog weights nearly stay as they were programmed.",
)
EXPERIMENTS = (TABLE_1, TABLE_2)
