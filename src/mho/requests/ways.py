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

from mho.requests.arrays import AskedPatches
from mho.requests.numbers import Numbers
from mho.requests.queue import ROOM, Aside, D, Queue, X
from mho.requests.shapes import bits
from mho.requests.state import AskedState
from mho.requests.trace import Decision, Trace

_MOST = 4  # rates and batch sizes that are remembered
_PATIENCE = 3  # steps in a row


class Node:
    """A decision, and what comes after each of its outcomes."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        self.to: dict[Any, Any] = {}


class Way(NamedTuple):
    """The requests of a way through the tree."""

    words: array
    asides: tuple[tuple[int, Aside], ...]
    moving: tuple[tuple[int, int, int], ...]  # (place in words, number of the variable, change by one of it)
    values: tuple[int, ...]  # of the variables, see `queue` and `Trace.numbers`
    written: tuple[Any, ...]  # arrays
    guards: tuple[tuple[Any, ...], ...]  # (function, arguments ...), all of which must hold
    floats: int  # room for intermediate results

    def holds(self) -> bool:
        """Return whether all that the words name is where it was."""
        return all([guard[0](*guard[1:]) for guard in self.guards])

    def ask(self, queue: Queue, values: list[int]) -> None:
        """Add the requests to the queue, for other values of the variables."""
        own = queue.words
        start, values[ROOM] = len(own), queue.reserve(self.floats)
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
        self._falls = 0
        self.trees: dict[tuple, dict[str, Any]] = {}

    def ask(self, queue: Queue, g: Any, lr: float) -> None:
        """Ask for one step with factors g = (x, d) that are known to be finite, float32, on a CPU."""
        queue.hold(g)
        outcomes: list[Any] = []
        if not self.algorithm.repeats:
            self._anew(queue, g, lr, _place(queue, g), outcomes)
            return
        values, key = [*_place(queue, g), 0], (lr, len(g.x))
        tree = self.trees.get(key)
        if tree is None:
            if len(self.trees) >= _MOST:
                self.trees.clear()
            tree = self.trees[key] = {}
        place: Any = tree.get("root")
        while type(place) is Node:
            kind, outcome = place.decision.kind, place.decision.ask(self.state, g)
            outcomes.append(outcome)
            if kind != "branch":
                values.append(outcome if kind == "line" else bits(outcome))
            place = place.to.get(outcome if kind == "branch" else None)
        if place is not None and place.holds():
            place.ask(queue, values)
            return
        leaf, ways = self._anew(queue, g, lr, values[:2], outcomes)
        if leaf is None:
            return
        holder: dict[Any, Any] = tree
        branch: Any = "root"
        for decision, outcome in ways:
            node = holder.get(branch)
            if type(node) is not Node:
                node = holder[branch] = Node(decision)
            holder, branch = node.to, outcome if decision.kind == "branch" else None
        holder[branch] = leaf

    @property
    def is_slow(self) -> bool:
        """True if the last steps could not be written down whole: then the usual way is quicker."""
        return self._falls >= _PATIENCE

    def _anew(
        self, queue: Queue, g: Any, lr: float, place: list[int], outcomes: list[Any]
    ) -> tuple[Way | None, list[tuple]]:
        """Call the algorithm's step, and return what it asked for and the decisions on the way.

        place: of g; outcomes: of the decisions that have been asked already.
        """
        trace = Trace(self.state, g, outcomes)
        start, room = len(queue.words), queue.reserve(0)
        queue.trace = trace
        try:
            state, d = self.asked.begin(queue, trace), Numbers.of(queue, g.d, True, ((D, 1),))
            is_plain = isinstance(g.x, torch.Tensor)
            x = Numbers.of(queue, g.x, True, ((X, 1),)) if is_plain else AskedPatches(queue, place[0])
            self.algorithm.step(state, g._replace(x=x, d=d), lr)
            self.after(queue)
        finally:
            queue.trace = None
        self._falls = self._falls + 1 if trace.falls else 0
        if not trace.repeats or not self.algorithm.repeats:
            return None, []
        asides = tuple((n - start, aside) for n, aside in queue.asides.items() if n >= start)
        moving = tuple((place - start, variable, change) for place, variable, change in trace.moving)
        values, floats = (*place, room, *trace.numbers), (queue.reserve(0) - room) // 4
        written, guards = tuple(trace.written), tuple(trace.guards)
        return Way(queue.words[start:], asides, moving, values, written, guards, floats), trace.ways


def _place(queue: Queue, g: Any) -> list[int]:
    """Return the addresses of factors; in the place of one the number of what is no tensor."""
    if isinstance(g.x, torch.Tensor):
        return [g.x.data_ptr(), g.d.data_ptr()]
    queue.objects.append(g.x)
    return [len(queue.objects) - 1, g.d.data_ptr()]


def reason(algorithm: Any, state: Any) -> str:
    """Return why an algorithm's steps are not remembered on a CPU, as a clause; "" if they are."""
    name = type(algorithm).__name__
    if not algorithm.repeats:
        return f"{name}.repeats is False"
    others = [part for part, array in state.tiles().items() if not getattr(array, "asked_as", "")]
    return f"its verbs on {' and '.join(others)} are carried out one by one" if others else ""
