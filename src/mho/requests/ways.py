"""The steps of one block so far, so that a step that takes the same way asks for the same requests at once.

What a step asks for depends on the fields of its algorithm, on the rate, and on a few decisions about whole numbers
(`State.decide`, `State.turn`): whether a transfer is due, which line's turn it is, whether a chopper flips. So the
steps form a tree: a node is a decision, a branch its outcome, a leaf the requests. Each step asks its decisions
anew. Where it comes to a leaf, the requests are copied, with the addresses of its factors and lines in their
places; where it does not, the algorithm's `step` is called, and what it asks for becomes a new leaf.

An algorithm says that this holds for it: `Algorithm.repeats`. A stand-in that has to ask the real array or tensor
finds that it does not hold for one step, which is then asked for anew each time.
"""

from array import array
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from mho.requests.numbers import Numbers
from mho.requests.queue import Aside, Queue
from mho.requests.state import AskedState
from mho.requests.trace import Trace

_MOST = 4  # rates and batch sizes that are remembered


class Node:
    """A decision: a function of the state and of `args`."""

    def __init__(self, function: Callable[..., Any], args: tuple, moves: bool) -> None:
        self.function, self.args = function, args
        self.moves = moves  # its outcome is a line, which moves addresses and chooses no branch
        self.to: dict[Any, Any] = {}


class Way(NamedTuple):
    """The requests of a way through the tree."""

    words: array
    asides: tuple[tuple[int, Aside], ...]
    moving: tuple[tuple[int, int, int], ...]  # (place in words, number of the variable, change by one of it)
    values: tuple[int, ...]  # of the variables: addresses of x and d, then lines
    written: tuple[Any, ...]  # arrays
    guards: tuple[tuple[Any, ...], ...]  # (function, arguments ...), all of which must hold
    rooms: tuple[torch.Tensor, ...]  # for intermediate results

    def holds(self) -> bool:
        """Return whether all that the words name is where it was."""
        return all([guard[0](*guard[1:]) for guard in self.guards])

    def ask(self, queue: Queue, values: list[int]) -> None:
        """Add the requests to the queue, for other values of the variables."""
        own = queue.words
        start = len(own)
        own.extend(self.words)
        for place, variable, change in self.moving:
            own[start + place] += change * (values[variable] - self.values[variable])
        for place, aside in self.asides:
            queue.asides[start + place] = aside
        for part in self.written:
            part.wrote()


class Ways:
    """The ways that the steps of one block have taken.

    Args:
        algorithm, state: of the block; after: asks for what follows each step.
    """

    def __init__(self, algorithm: Any, state: Any, after: Callable[[Queue], None]) -> None:
        self.algorithm, self.state, self.after = algorithm, state, after
        self.asked = AskedState(state)
        self.trees: dict[tuple, dict[str, Any]] = {}

    def ask(self, queue: Queue, g: Any, lr: float) -> None:
        """Ask for one step with factors g = (x, d) that are known to be finite, float32, on a CPU."""
        queue.hold(g)
        x, d = g
        outcomes: list[Any] = []
        values = [x.data_ptr(), d.data_ptr()]
        if not self.algorithm.repeats:
            self._anew(queue, g, lr, outcomes)
            return
        key = lr, len(x)
        tree = self.trees.get(key)
        if tree is None:
            if len(self.trees) >= _MOST:
                self.trees.clear()
            tree = self.trees[key] = {}
        place: Any = tree.get("root")
        while type(place) is Node:
            outcome = place.function(self.state, *place.args)
            outcomes.append(outcome)
            if place.moves:
                values.append(outcome)
                place = place.to.get(None)
            else:
                place = place.to.get(outcome)
        if place is not None and place.holds():
            place.ask(queue, values)
            return
        leaf, ways = self._anew(queue, g, lr, outcomes)
        if leaf is None:
            return
        holder: dict[Any, Any] = tree
        branch: Any = "root"
        for function, args, outcome, moves in ways:
            node = holder.get(branch)
            if type(node) is not Node:
                node = holder[branch] = Node(function, args, moves)
            holder, branch = node.to, None if moves else outcome
        holder[branch] = leaf

    def _anew(self, queue: Queue, g: Any, lr: float, outcomes: list[Any]) -> tuple[Way | None, list[tuple]]:
        """Call the algorithm's step, and return what it asked for and the decisions on the way.

        outcomes: of the decisions that have been asked already.
        """
        trace = Trace(self.state, outcomes)
        start = len(queue.words)
        queue.trace = trace
        try:
            x, d = (Numbers.of(queue, t, is_finite=True, moves=((n, 1),)) for n, t in enumerate(g))
            self.algorithm.step(self.asked.begin(queue, trace), g._replace(x=x, d=d), lr)
            self.after(queue)
        finally:
            queue.trace = None
        if not trace.repeats or not self.algorithm.repeats:
            return None, []
        asides = tuple((n - start, aside) for n, aside in queue.asides.items() if n >= start)
        moving = tuple((place - start, variable, change) for place, variable, change in trace.moving)
        values = g.x.data_ptr(), g.d.data_ptr(), *trace.lines
        words, written = queue.words[start:], tuple(trace.written)
        return Way(
            words, asides, moving, values, written, tuple(trace.guards), tuple(trace.rooms)
        ), trace.ways
