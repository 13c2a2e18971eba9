"""Fig. 5 of arXiv 2602.21321: accuracy of E-RIDER against the chopper's p on HfO2 cells with 4 to 5 states.

p = 0 is RIDER. The paper trains the fully connected network on MNIST for 50 epochs: `b-fig-5-mnist`, the run of
`b-table-2` with references off by N(0, 0.2^2). The cells "digits-..." have the same settings (its table 5) at the
size of the package's digits, 64-64-10, 50 epochs. A column keeps its sign for 1/p sweeps of its array, so small p
need long runs. With p = 0 (RIDER) W gets at most 5 pulses of its own for transfer_lr (P - Q), with the transfer_lr
of the buffer. The paper does not say how it ran p = 0, and its released code refuses that value.
"""

from collections.abc import Mapping
from typing import Any

from mho.algorithms.base import Algorithm
from mho.algorithms.erider import ERIDER
from mho.algorithms.rider import RIDER
from mho.crossbar import Crossbar
from mho.crossbar import Mapping as Layout
from mho.data import load
from mho.device.pulses import Pulses
from mho.experiments.experiment import Experiment, Numbers, Pair, Tick, training
from mho.experiments.statistics import means_of
from mho.presets import ReRamArrayHfO2
from mho.training.session import Session
from mho.training.spec import RunSpec

CHOPS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
EPOCHS, BATCHES, SEEDS = 50, 142, 3


def _algorithm(p: float) -> Algorithm:
    if p > 0:
        return ERIDER(chop_prob=p)  # the defaults are those of table 5
    return RIDER(gamma=0.1, fast_lr=0.5, transfer_lr=0.04, scale_transfer_lr=False, eta=0.25)


def _spec(p: float, **fields: Any) -> RunSpec:
    pulses = {"update": Pulses(bl=5), "transfer": Pulses(bl=1 if p else 5)}
    device = ReRamArrayHfO2.replace(reference_mean=0.0, reference_std=0.2)
    hardware = Crossbar(_algorithm(p), device, pulses=pulses, mapping=Layout(omega=0.3))
    return RunSpec(activation="sigmoid", hardware=hardware, epochs=EPOCHS, lr=0.05, **fields)


CELLS = {f"digits-p{p:g}": {"p": p, "seeds": SEEDS, "steps": EPOCHS * BATCHES} for p in CHOPS}


def run(settings: Mapping[str, Any], seed: int, tick: Tick) -> dict[str, Pair]:
    """Return {"test accuracy": of the last epoch [%], "train loss"}: means over seeds, standard errors."""
    rows = []
    for k in range(settings["seeds"]):
        spec = _spec(settings["p"], hidden=(64,), lr_step=0, seed=seed * 100 + k)
        session = Session(spec, load(spec.data))
        total = max(1, settings["steps"] // BATCHES) * session.batches
        for step in range(total):
            session.step()
            if session.batch == session.batches:
                row = session.end_epoch()
            if step % 100 == 0:
                tick(k * total + step, settings["seeds"] * total)
        rows.append({"test accuracy": 100 * row["test_accuracy"], "train loss": row["train_loss"]})
    return means_of(rows)


def figure(numbers: Numbers) -> Any:
    """Draw the accuracy against p; p = 0 stands at the left."""
    from mho.experiments import figures

    picture, (axes,) = figures.panels(1)
    for i, name in enumerate(("digits", "mnist")):
        values = {
            p or 0.005: numbers[f"{name}-p{p:g}"]["test accuracy"]
            for p in CHOPS
            if f"{name}-p{p:g}" in numbers
        }
        if values:
            figures.points(axes, values, i, f"{name} (left: p = 0)")
    axes.set(ylabel="test accuracy [%]")
    figures.finish(picture, "chopper probability p", [axes], log="x")
    return picture


ON_DIGITS = Experiment(
    id="b-fig-5",
    title="arXiv 2602.21321, Fig. 5 at the size of the digits: E-RIDER's accuracy [%] against the chopper's p",
    source="arXiv 2602.21321, Fig. 5 and F.4: its numbers are not printed; p = 0 is clearly worse than small p > 0",
    cells=CELLS,
    run=run,
    figure=figure,
)
ON_MNIST = ON_DIGITS._replace(
    id="b-fig-5-mnist",
    title="arXiv 2602.21321, Fig. 5: E-RIDER's accuracy [%] against the chopper's p",
    cells={f"mnist-p{p:g}": training(_spec(p, data="mnist", hidden=(256, 128), lr_step=15)) for p in CHOPS},
    run=None,  # its cells are trainings
)
EXPERIMENTS = (ON_DIGITS, ON_MNIST)
