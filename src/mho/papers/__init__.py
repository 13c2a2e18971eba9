"""What the papers report, run again: one module an experiment, listed in `EXPERIMENTS`."""

from mho.papers import (
    bias,
    bias_network,
    figure_1,
    figure_2,
    figure_5,
    filtering,
    lenet,
    mnist_algorithms,
    quadratic,
    rates,
    shifting,
    shifting_bounds,
)
from mho.papers.experiment import Experiment, Line

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.id: module.EXPERIMENT
    for module in (
        quadratic,
        mnist_algorithms,
        shifting,
        shifting_bounds,
        figure_1,
        bias,
        bias_network,
        rates,
        figure_2,
        figure_5,
        filtering,
    )
} | {experiment.id: experiment for experiment in (figure_5.MNIST, *lenet.EXPERIMENTS)}

__all__ = ["EXPERIMENTS", "Experiment", "Line"]
