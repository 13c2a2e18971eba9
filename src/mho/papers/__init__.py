"""What the papers report, run again: one module an experiment, listed in `EXPERIMENTS`."""

from mho.papers import quadratic
from mho.papers.experiment import Experiment, Line

EXPERIMENTS: dict[str, Experiment] = {quadratic.EXPERIMENT.id: quadratic.EXPERIMENT}

__all__ = ["EXPERIMENTS", "Experiment", "Line"]
