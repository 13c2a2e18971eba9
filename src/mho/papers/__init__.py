"""What the papers report, run again: one module an experiment, listed in `EXPERIMENTS`."""

from mho.papers import mnist_algorithms, quadratic
from mho.papers.experiment import Experiment, Line

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.id: module.EXPERIMENT for module in (quadratic, mnist_algorithms)
}

__all__ = ["EXPERIMENTS", "Experiment", "Line"]
