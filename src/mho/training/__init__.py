"""Training runs: a specification, a loop that can be stopped and resumed, a folder, a comparison."""

from mho.training.compare import compare, summarise
from mho.training.loop import Interrupted, Watch, train
from mho.training.spec import RunSpec

__all__ = ["Interrupted", "RunSpec", "Watch", "compare", "summarise", "train"]
