"""What a training run is: one frozen record, from which the same seed gives the same run."""

from typing import Annotated, Literal

import torch

import mho.algorithms
import mho.cells
import mho.responses  # noqa: F401  all three register what a file may name
from mho.base.errors import complaint, did_you_mean
from mho.base.records import NonNegative, OneOrMore, Positive, Probability, Record
from mho.crossbar import Crossbar
from mho.data import NAMES
from mho.training.networks import ACTIVATIONS


class RunSpec(Record):
    """A network with log-softmax output, trained on the negative log-likelihood.

    Args:
        data: `digits`, `mnist` or `fashion_mnist`.
        data_dir: folder of the data; None: the variable MHO_DATA, else `data` in the current folder.
        network: `fcn`, fully connected, or `lenet`, the convolutional one of the papers (`mho.training.networks`).
        hidden: widths of the hidden layers of `fcn`; () is a single layer.
        activation: `sigmoid`, `tanh` or `relu`, after each hidden layer of `fcn`.
        hardware: the `mho.Crossbar` of all layers, or None for plain digital torch with SGD.
        epochs: passes over the training images.
        batch_size: images a step; the last batch of an epoch may be smaller.
        lr: learning rate [weight units per unit of gradient].
        lr_step, lr_decay: every `lr_step` epochs, `lr` is multiplied by `lr_decay`; 0 epochs is never.
        seed: of the initial weights (torch), the order of the images and the hardware's own randomness.
        threads: of torch and of the kernels; 0 leaves them as they are.
        deterministic: the result then does not depend on the number of threads.
    Source: the defaults suit the digits of the package. The networks and loops of arXiv 2502.06309, appendix K
        (MNIST): FCN, hidden (256, 128), sigmoid, 30 epochs, lr 0.05 (digital 0.1), lr_step 15; CNN, lenet,
        batch_size 8, lr_step 35, lr_decay 0.1.
    """

    data: str = "digits"
    data_dir: str | None = None
    network: Literal["fcn", "lenet"] = "fcn"
    hidden: tuple[int, ...] = (64,)
    activation: str = "tanh"
    hardware: Crossbar | None = None
    epochs: Annotated[int, OneOrMore] = 12
    batch_size: Annotated[int, OneOrMore] = 10
    lr: Annotated[float, Positive] = 0.1
    lr_step: Annotated[int, NonNegative] = 8
    lr_decay: Annotated[float, Probability] = 0.5
    seed: Annotated[int, NonNegative] = 0
    threads: Annotated[int, NonNegative] = 0
    deterministic: bool = False

    def validate(self) -> None:
        if self.data not in NAMES:
            raise complaint(
                f"RunSpec(data={self.data!r})", "no such data set", did_you_mean(self.data, NAMES)
            )
        if self.activation not in ACTIVATIONS:
            known = did_you_mean(self.activation, ACTIVATIONS)
            raise complaint(f"RunSpec(activation={self.activation!r})", "no such activation", known)
        if self.hardware is not None and not isinstance(self.hardware, Crossbar):
            raise complaint(
                f"RunSpec(hardware={self.hardware!r})", "it must be a Crossbar, or None for digital"
            )
        if not all(isinstance(n, int) and n >= 1 for n in self.hidden):
            raise complaint(f"RunSpec(hidden={self.hidden!r})", "a layer has at least one unit")


def order(spec: RunSpec, epoch: int, n: int) -> torch.Tensor:
    """The order of the n training images in that epoch, (n,) int64: a pure function of its arguments."""
    generator = torch.Generator().manual_seed(spec.seed * 1_000_003 + epoch)
    return torch.randperm(n, generator=generator)
