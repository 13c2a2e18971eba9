"""The specification of a training run: one frozen record, from which the same seed gives the same run."""

import torch

import mho.algorithms
import mho.responses
import mho.tile.one_sided
import mho.tile.vector_cells  # noqa: F401  all four register what a file may name
from mho.base.errors import complaint, did_you_mean
from mho.base.registry import kebab
from mho.crossbar import Crossbar
from mho.data.dataset import NAMES
from mho.training.networks import ACTIVATIONS
from mho.training.plan import RunPlan

DIGITAL = "digital"  # in the place of an algorithm's name: plain torch
WIDEST = 2**24  # units of a layer
BASELINES = (DIGITAL, "analog-sgd")  # a comparison subtracts their accuracies


class RunSpec(RunPlan):
    """A training run: a `RunPlan`, which explains the fields, with a `mho.Crossbar` as its hardware or none.

    Source: the defaults suit the digits of the package. The networks and loops of arXiv 2502.06309, appendix K
        (MNIST): FCN, hidden (256, 128), sigmoid, 30 epochs, lr 0.05 (digital 0.1), lr_step 15; CNN, lenet,
        batch_size 8, lr_step 35, lr_decay 0.1.
    """

    hardware: Crossbar | None = None

    def validate(self) -> None:
        """Check the fields that name something, and the widths."""
        if self.data not in NAMES:
            known = did_you_mean(self.data, NAMES)
            raise complaint(f"RunSpec(data={self.data!r})", "no such data set", known)
        if self.activation not in ACTIVATIONS:
            known = did_you_mean(self.activation, ACTIVATIONS)
            raise complaint(f"RunSpec(activation={self.activation!r})", "no such activation", known)
        if self.hardware is not None and not isinstance(self.hardware, Crossbar):
            where = f"RunSpec(hardware={self.hardware!r})"
            raise complaint(where, "it must be a Crossbar, or None for digital")
        if not all(isinstance(n, int) and 1 <= n <= WIDEST for n in self.hidden):
            need = f"{WIDEST:,} at most"
            raise complaint(f"RunSpec(hidden={self.hidden!r})", "a layer has at least one unit", need)


def algorithm_name(spec: RunSpec) -> str:
    """Return `digital`, or the name of the algorithm in kebab-case."""
    return DIGITAL if spec.hardware is None else kebab(type(spec.hardware.algorithm).__name__)


def order(spec: RunPlan, epoch: int, n: int) -> torch.Tensor:
    """Return the order of the n training images in that epoch, (n,) int64: a pure function of its arguments."""
    generator = torch.Generator().manual_seed((spec.seed * 1_000_003 + epoch) % 2**64)
    return torch.randperm(n, generator=generator)
