"""Experiments of arXiv 2502.06309: Residual Learning on devices with general response functions.

The paper: with an asymmetric response, Analog SGD minimises the loss plus a penalty that pulls weights to the
symmetric point. Residual Learning removes the bias: a second array P follows the residual of W, and P itself only
has to end at its own symmetric point. The residual is weighted with gamma. "TT" is Tiki-Taka, "RL" Residual
Learning, and v2 stands for the variants with a digital buffer.

The modules, the ids of their experiments, and the places in the paper:

    figure_2       a-fig-2               Fig. 2, appendix K: least squares on linear devices, 50 weights
    table_1        a-table-1             Table 1 in miniature: a new last layer on a frozen network
    tables_7_8     a-table-7             Table 7 and Fig. 4: MNIST against cycle-to-cycle noise
                   a-table-8             Table 8: MNIST with power and exponential responses
                   a-table-8-controls    settings that the paper may have had instead
    bias           analog-sgd-bias       Theorems 1 and 5: the end of Analog SGD on quadratics
    bias_network   analog-sgd-network    Theorem 1: the same penalty in a small network

Shared by all: devices with 1200 states (dw_min = 2 tau / 1200), cycle-to-cycle noise 30 % (multiplicative) and gain
spread 30 %, unless the module says otherwise; gamma 0.4; the converters of `mho.device.io`. Tables are numbered as
in the paper's later version. Settings that the text does not print are those of the released scripts, and each
module says which ones.

To run one cell, and to see it beside the paper:

    mho papers run a-table-8 --cells power-1-0.7-residual-learning
    mho papers plot a-fig-2 --results results/a-fig-2

Places where text and code disagree: docs/errata.md, where this paper is A. Theory: docs/theory/analog-sgd.md.

A new experiment of this paper is a module here and a line in `mho.papers`, which has the recipe.
"""
