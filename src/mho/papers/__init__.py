"""What the papers report, run again: one module an experiment or a group of tables, listed in `EXPERIMENTS`.

Modules a_... are of arXiv 2502.06309, b_... of 2602.21321.
"""

from mho.experiments.experiment import Experiment, Line
from mho.papers import (
    arxiv_2406_12774,
    arxiv_2510_02516,
    convergence_rates,
    errata,
    mnist_algorithms,
    quadratic,
)
from mho.papers.arxiv_2502_06309 import bias, bias_network, figure_2, table_1, tables_7_8
from mho.papers.arxiv_2602_21321 import (
    figure_1,
    figure_5,
    figures_2_4,
    lemma_3_5,
    lemma_3_10,
    tables_1_2,
    zero_shifting,
    zero_shifting_bounds,
)

EXPERIMENTS: dict[str, Experiment] = {
    experiment.id: experiment
    for experiment in (
        quadratic.EXPERIMENT,
        mnist_algorithms.EXPERIMENT,
        figure_2.EXPERIMENT,
        table_1.EXPERIMENT,
        *tables_7_8.EXPERIMENTS,
        arxiv_2406_12774.EXPERIMENT,
        arxiv_2510_02516.EXPERIMENT,
        bias.EXPERIMENT,
        bias_network.EXPERIMENT,
        convergence_rates.EXPERIMENT,
        zero_shifting.EXPERIMENT,
        zero_shifting_bounds.EXPERIMENT,
        figure_1.EXPERIMENT,
        *figures_2_4.EXPERIMENTS,
        *tables_1_2.EXPERIMENTS,
        figure_5.EXPERIMENT,
        figure_5.MNIST,
        lemma_3_5.EXPERIMENT,
        lemma_3_10.EXPERIMENT,
        errata.EXPERIMENT,
    )
}

__all__ = ["EXPERIMENTS", "Experiment", "Line"]
