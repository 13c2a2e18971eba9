"""Experiments: cells that are run once, kept, and compared with what was published.

A cell is one number, or a few, of a table or figure: plain data (its settings) and a function that runs it, or a
training. What is run is in `mho.papers`; how it is run, kept and judged is here.

    from mho.experiments.runner import run_cells
    from mho.papers import EXPERIMENTS

    for one in run_cells(EXPERIMENTS["quadratic"], ["digital"], Path("runs/quadratic"), seeds=range(3)):
        print(one.cell, one.quantity, one.ours, one.published, one.verdict)

The modules, in the order of a run:

    experiment   `Experiment`, a table as data; `training`, a cell that is a `RunSpec`; `Tick`, the link to a runner
    runner       `run_cells`: it runs the cells that have not been run, trainings among them
    processes    several cells at a time, each in a process of its own
    store        the folder of a training, named by everything that its result depends on
    results      the JSON files of finished cells
    verdict      `Comparison`: the one meaning of ±, of "away" and of the verdict
    page         docs/papers.md and the summary in the README
    figures      parts of the figures of experiments
    statistics   means and exponents with standard errors
    mean_tile    a tile of mean steps in float64, for small problems

The rules:

* The modules of papers import `experiment`, `statistics`, `figures` and `mean_tile`. Nothing here imports a paper:
  functions take experiments as arguments.
* A finished cell is never run again. Its file tells settings, seed, versions and seconds.
* A number is compared with a published one in `verdict` and nowhere else.
"""
