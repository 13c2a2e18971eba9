"""Experiments of arXiv 2602.21321: symmetric points that are calibrated, or tracked while training.

The paper: Tiki-Taka and Residual Learning need the symmetric point of each cell of P as a reference. Zero-shifting
measures it before the training and takes many pulses on devices with many states. RIDER and E-RIDER track it
instead: Q is a low-pass of P, P is read against Q, and in E-RIDER a chopper keeps the signal out of the reach of
the low-pass.

The modules, the ids of their experiments, and the places in the paper:

    zero_shifting          zero-shifting          section 2.2: pulses to 1 %, and the error that is left
    zero_shifting_bounds   zero-shifting-bounds   Theorems 2.2, C.2, C.3 and C.4: bounds against simulations
    figure_1               b-fig-1                Fig. 1: arrays of 512 x 512 calibrated with N pulses
    figures_2_4            b-fig-2, b-fig-4       Figs. 2 and 4: LeNet after zero-shifting, or tracked
    tables_1_2             b-table-1, b-table-2   Tables 1 and 2: MNIST with references that are off
    figure_5               b-fig-5, b-fig-5-mnist Fig. 5: accuracy against the chopper's p
    lemma_3_5              b-lemma-3-5            Lemma 3.5: steps that bring Q nearer to the symmetric point
    lemma_3_10             b-lemma-3-10           Lemma 3.10: Q as a low-pass of P

Shared by all: "p" is the probability of a flip of the chopper, "eta" the step of the low-pass, "N" a number of
pulses to each cell. `ERIDER()` is the released code, `ERIDER.printed()` the text. Settings that the text does not
print are those of the released scripts, and each module says which ones.

To run one cell, and to see it beside the paper:

    mho papers run b-table-2 --cells e-rider-0.4-0.4
    mho papers plot zero-shifting --results results/zero-shifting

Places where text and code disagree: docs/errata.md, where this paper is B. Theory: docs/theory/rider.md,
docs/theory/pulse-complexity.md and docs/theory/cyclic-zero-shifting.md.

A new experiment of this paper is a module here and a line in `mho.papers`, which has the recipe.
"""
