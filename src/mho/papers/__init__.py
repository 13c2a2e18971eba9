"""The published tables and figures as code, listed in `EXPERIMENTS`.

Where something stands:

    arxiv_2406_12774     MNIST on soft bounds against tau
    arxiv_2502_06309     Residual Learning: Fig. 2, Tables 1, 7 and 8, Theorems 1 and 5
    arxiv_2510_02516     LeNet on several coarse tiles a weight
    arxiv_2602_21321     RIDER and E-RIDER: Figs. 1, 2, 4 and 5, Tables 1 and 2, zero-shifting, Lemmas 3.5 and 3.10
    quadratic            a noisy quadratic, the problem of several experiments
    convergence_rates    exponents in the convergence theorems of 2502.06309 and 2602.21321
    mnist_algorithms     every algorithm on one network; no paper
    errata               disagreements of papers and code that a small run can show (docs/errata.md)

The rules:

* A module is named after a figure or table, in a folder named after the arXiv number, and ends with `EXPERIMENT` or
  `EXPERIMENTS`. The id of an experiment names its folder in `results` and never changes. In ids, "a-" stands for
  2502.06309 and "b-" for 2602.21321; everything else says the arXiv number.
* A table is data. Its cells are `training(RunSpec(...))`, its numbers `published`, and the runner does the rest. An
  experiment that is no training has a function `run(settings, seed, tick)`, which gives the same numbers for the
  same settings and seed.
* The docstring of the module states the settings, with units, and what the paper leaves open.

A new table:

    EXPERIMENT = Experiment(
        id="my-table",
        title="arXiv 2501.00001, Table 3: ...; test accuracy [%]",
        source="arXiv 2501.00001, Table 3",
        cells={"tiki-taka": training(RunSpec(data="mnist", hardware=Crossbar(TikiTaka()), epochs=30))},
        published={("tiki-taka", "test accuracy"): (97.5, 0.1)},
    )

Then it is listed below, `mho papers run my-table --out results/my-table` runs it, and `mho papers report` adds it
to docs/papers.md.
"""

from mho.experiments.experiment import Experiment
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
        *figure_5.EXPERIMENTS,
        lemma_3_5.EXPERIMENT,
        lemma_3_10.EXPERIMENT,
        errata.EXPERIMENT,
    )
}

__all__ = ["EXPERIMENTS", "Experiment"]
