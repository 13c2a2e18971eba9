"""Table 1 of arXiv 2502.06309 in miniature: a new last layer, on crossbars, of a pretrained network.

The paper takes ImageNet's ResNets to CIFAR, and trains all of the network. Here LeNet is trained digitally on
Fashion-MNIST for 5 epochs (batch 8, lr 0.05) and frozen, and only a new last layer, 128 features to 10 classes,
learns: 20 epochs, batch 128, lr 0.075, a tenth of it after half of them. Devices: power response, gamma_res 3, 1200
states. Algorithms by the authors' script S3-resnet.py: Residual Learning with fast_lr 0.01, gamma 0.4; v2 with
fast_lr 0.01, transfer_lr 1 (scaled), auto_granularity 1000; Residual Learning v2 with momentum 0.9, fast_lr 1
(scaled), transfer_lr 0.1, gamma 0.4.

"published": tau 0.1, and v2 with its omega of 0.3, which is beyond tau, and at most one pulse a transfer. "fitted":
omega 0.6 tau and up to 31 pulses, which are ours. All algorithms of a seed see the same features, initial weights
and orders, so that differences are paired. The paper's order is a hypothesis here, no reference.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from mho.algorithms.analog_sgd import AnalogSGD
from mho.algorithms.base import Algorithm
from mho.algorithms.residual_learning import ResidualLearning
from mho.algorithms.residual_learning_v2 import ResidualLearningV2
from mho.algorithms.tiki_taka_v2 import TikiTakaV2
from mho.crossbar import Crossbar
from mho.crossbar import Mapping as Layout
from mho.data import load
from mho.device.device import Device
from mho.device.pulses import Pulses
from mho.experiments.experiment import Experiment, Pair, Settings, Tick
from mho.experiments.statistics import mean_of
from mho.nn.conversion.convert import convert_
from mho.nn.core.birth import ConversionWarning
from mho.numerics.rng import child_key
from mho.optim import AnalogOptimizer
from mho.responses.power import Power
from mho.training.networks import network
from mho.training.spec import RunSpec

BACKBONE = RunSpec(data="fashion_mnist", network="lenet", epochs=5, batch_size=8, lr=0.05, lr_step=0)
EPOCHS, BATCH, LR = 20, 128, 0.075
ALGORITHMS: dict[str, Algorithm | None] = {
    "digital": None,
    "analog-sgd": AnalogSGD(),
    "residual-learning": ResidualLearning(),
    "tiki-taka-v2": TikiTakaV2(),
    "residual-learning-v2": ResidualLearningV2(transfer_lr=0.1, auto_granularity=0.0),
}


def _cell(tau: float, omega: float, most: int) -> Settings:
    shared = {"seeds": 5, "batch": BATCH, "lr": LR, "steps": EPOCHS}
    return {"tau": tau, "omega": omega, "max_pulses": most, **shared}


CELLS = {
    "tau-0.1-published": _cell(0.1, 0.3, 1),
    "tau-0.1-fitted": _cell(0.1, 0.06, 31),
    "tau-0.6-fitted": _cell(0.6, 0.36, 31),
}


def run(settings: Mapping[str, Any], seed: int, tick: Tick) -> dict[str, Pair]:
    """Return means over seeds, standard errors.

    {algorithm: test accuracy [%] after the last epoch; "one - other": their paired difference}.
    """
    data = features(tick)
    found: dict[str, list[float]] = {name: [] for name in ALGORITHMS}
    total = settings["seeds"] * len(ALGORITHMS)
    for k in range(settings["seeds"]):
        for n, name in enumerate(ALGORITHMS):
            found[name].append(_trained(name, settings, data, child_key(seed, "last layer", k) >> 1))
            tick(k * len(ALGORITHMS) + n + 1, total)
    result = {name: mean_of(values) for name, values in found.items()}
    *others, last = ALGORITHMS
    for name in others:
        pairs = zip(found[last], found[name], strict=True)
        result[f"{last} - {name}"] = mean_of([a - b for a, b in pairs])
    return result


def features(tick: Tick) -> tuple[torch.Tensor, ...]:
    """Return x_train, y_train, x_test, y_test; x (images, 128) is the input of the frozen network's last layer."""
    data = load(BACKBONE.data)
    net = network(BACKBONE, data)
    net.load_state_dict(tick.trained(BACKBONE))
    body = net[:-2].eval()  # without the last layer and the log-softmax
    with torch.no_grad():
        x_train, x_test = (
            torch.cat([body(part) for part in x.split(1000)]) for x in (data.x_train, data.x_test)
        )
    return x_train, data.y_train, x_test, data.y_test


def _trained(name: str, settings: Mapping[str, Any], data: tuple[torch.Tensor, ...], key: int) -> float:
    """Return the test accuracy [%] of a new last layer after its training."""
    x_train, y_train, x_test, y_test = data
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key)
        layer: nn.Module = nn.Linear(x_train.shape[1], 10)
        optimizer: torch.optim.Optimizer
        if name == "digital":
            optimizer = torch.optim.SGD(layer.parameters(), lr=settings["lr"])
        else:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore", ConversionWarning
                )  # weights beyond tau are part of the question
                layer = convert_(layer, _hardware(name, settings), key=key)
            optimizer = AnalogOptimizer(layer, lr=settings["lr"])
        half = max(1, settings["steps"] // 2)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, half, 0.1)
        for _ in range(max(1, settings["steps"])):
            for part in torch.randperm(len(x_train)).split(settings["batch"]):
                loss = nn.functional.cross_entropy(layer(x_train[part]), y_train[part])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            schedule.step()
        with torch.no_grad():
            return 100 * float((layer.eval()(x_test).argmax(1) == y_test).double().mean())


def _hardware(name: str, settings: Mapping[str, Any]) -> Crossbar:
    tau, algorithm = settings["tau"], ALGORITHMS[name]
    law = Power(tau=tau, gamma_res=3.0)
    device = Device(law, 2 * tau / 1200, sigma_c2c=0.3, c2c="multiplicative", spread={"gain": 0.3})
    if isinstance(algorithm, TikiTakaV2 | ResidualLearningV2):
        algorithm = algorithm.replace(max_pulses=settings["max_pulses"])
        pulses = {"update": Pulses(bl=5), "transfer": Pulses(bl=settings["max_pulses"])}
        return Crossbar(algorithm, device, pulses=pulses, mapping=Layout(omega=settings["omega"]))
    assert algorithm is not None, "the digital layer has no hardware"
    layout = Layout(out_scale="none" if name == "analog-sgd" else "scalar")
    return Crossbar(algorithm, device, mapping=layout)


EXPERIMENT = Experiment(
    id="a-table-1",
    title="arXiv 2502.06309, Table 1 in miniature: last layer of a frozen LeNet, Fashion-MNIST; test accuracy [%]",
    source="arXiv 2502.06309, Table 1 (ResNets on CIFAR, not repeated here); settings: its authors' script",
    cells=CELLS,
    run=run,
    notes="Nothing of it is published. The hypothesis is the paper's order: TTv2 and RLv2 before TT/RL before "
    "Analog SGD. With the published settings of v2 it does not hold: W gets a pulse of tau/600 in a sweep "
    "of 128 mini-batches, and weights start clipped. Here only this layer learns, in the paper all layers do. With "
    "omega and trains that fit, Residual Learning v2 is first among the analog ones at tau 0.1, and level with "
    "Residual Learning at tau 0.6 (paired: 0.14 ± 0.05 behind). Tiki-Taka v2 is last everywhere.",
)
