"""What the papers report, run again: one module an experiment or a group of tables, listed in `EXPERIMENTS`.

Modules a_... are of arXiv 2502.06309, b_... of 2602.21321.
"""

from mho.papers import (
    a_figure_2,
    a_table_1,
    a_tables,
    b_figure_1,
    b_figure_5,
    b_lenet,
    b_tables,
    bias,
    bias_network,
    errata,
    filtering,
    mnist_algorithms,
    multi_tile_2025,
    quadratic,
    rates,
    shifting,
    shifting_bounds,
    soft_bounds_2024,
    tracking,
)
from mho.papers.experiment import Experiment, Line

EXPERIMENTS: dict[str, Experiment] = {
    experiment.id: experiment
    for experiment in (
        quadratic.EXPERIMENT,
        mnist_algorithms.EXPERIMENT,
        a_figure_2.EXPERIMENT,
        a_table_1.EXPERIMENT,
        *a_tables.EXPERIMENTS,
        soft_bounds_2024.EXPERIMENT,
        multi_tile_2025.EXPERIMENT,
        bias.EXPERIMENT,
        bias_network.EXPERIMENT,
        rates.EXPERIMENT,
        shifting.EXPERIMENT,
        shifting_bounds.EXPERIMENT,
        b_figure_1.EXPERIMENT,
        *b_lenet.EXPERIMENTS,
        *b_tables.EXPERIMENTS,
        b_figure_5.EXPERIMENT,
        b_figure_5.MNIST,
        tracking.EXPERIMENT,
        filtering.EXPERIMENT,
        errata.EXPERIMENT,
    )
}

__all__ = ["EXPERIMENTS", "Experiment", "Line"]
