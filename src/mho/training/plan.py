"""The fields of a training run, written once: the record `RunSpec` and the options of `mho train` follow from them.

This module imports no torch, so that `mho train --help` comes at once.
"""

from typing import Annotated, Literal

from mho.base.records import Domain, NonNegative, Positive, Probability, Record

Count = Domain("an integer of at least 1, and at most 2**31 - 1", lambda v: v == int(v) and 1 <= v < 2**31)
Seed = Domain("an integer from 0 to 2**63 - 1", lambda v: 0 <= v < 2**63)
Threads = Domain("an integer from 0 to 1024", lambda v: 0 <= v <= 1024)


class RunPlan(Record, named=False):
    """The fields of `RunSpec`, which trains a network with log-softmax output on the negative log-likelihood.

    A field that is added here is an option of `mho train`: its name, type, default, domain and text are those
    below. What follows "None:" in a text is shown as the default.

    Args:
        data: `digits` (in the package), `mnist` or `fashion_mnist`.
        data_dir: folder of the data sets, or of this one; `mho data get` fills it. None: $MHO_DATA, else data.
        network: `fcn`, fully connected, or `lenet`, the papers' two convolutions.
        hidden: widths of the hidden layers of `fcn`; () is a single layer.
        activation: `sigmoid`, `tanh` or `relu`, after each hidden layer of `fcn`.
        hardware: the `mho.Crossbar` of all layers. None: plain digital torch with SGD.
        epochs: passes over the training images.
        batch_size: images a step; the last batch of an epoch may be smaller.
        lr: learning rate [weight units / gradient].
        lr_step: epochs between decays of `lr`; 0 is never.
        lr_decay: factor on `lr` at each decay.
        seed: number from which initial weights, order of images and hardware noise are drawn.
        threads: threads of torch and of the kernels; 0 leaves the choice to them.
        deterministic: the same bits for any number of threads.
    """

    data: str = "digits"
    data_dir: str | None = None
    network: Literal["fcn", "lenet"] = "fcn"
    hidden: tuple[int, ...] = (64,)
    activation: str = "tanh"
    hardware: Record | None = None
    epochs: Annotated[int, Count] = 12
    batch_size: Annotated[int, Count] = 10
    lr: Annotated[float, Positive] = 0.1
    lr_step: Annotated[int, NonNegative] = 8
    lr_decay: Annotated[float, Probability] = 0.5
    seed: Annotated[int, Seed] = 0
    threads: Annotated[int, Threads] = 0
    deterministic: bool = False
