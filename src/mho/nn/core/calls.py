"""The calls of a layer in training: their numbers name the noise of a product and put the factors in order."""

import zlib
from enum import IntEnum

import torch

from mho.numerics.views import Viewed

EVALUATION = 1 << 62
"""Added to the event of a call in eval mode, whose noise has a stream of its own."""
NEXT_CALL = 1 << 32
"""Added to an event for the next call of the same pass, and for the next piece of a call."""

NEXT_TERM = 1 << 56
"""Added to an event for the next product of an algorithm that has one for each array."""


class Count(IntEnum):
    """Places in `Calls.count`."""

    PASS = 0  # what the first process has for the pass that runs; after a backward, the last of any process
    CALL = 1  # calls of it so far, -1 after a backward
    EVALUATED = 2


_PASS, _CALL, _EVALUATED = map(int, Count)  # an index as int costs a tenth of an IntEnum's


class Calls(Viewed):
    """Numbers the calls of one layer. The event of a call is its pass plus 2^32 times its place in the pass.

    A pass is one forward and backward, a micro-batch: the first call after a backward begins the next one. So it
    has the same number however many calls (time steps) it has, and the k-th of n processes, which all take part
    in a step, can number its micro-batches as one process would that has them one after the other: their m-th is
    number m n + k. What `count` holds between two steps does not depend on the process, see `mho.parallel`.

    A forward that runs inside of a backward is the recomputation of an activation checkpoint: it gets the event
    that the same input got before.
    """

    count: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(len(Count), dtype=torch.int64, device="cpu"))
        self.rank, self.ranks = 0, 1
        self._seen: dict[int, list[int]] = {}

    def begin(self, x: torch.Tensor, training: bool, pieces: int = 1, remember: bool = False) -> int:
        """The event of a call with this input, which has so many pieces.

        remember: an activation checkpoint may repeat it, see `may_be_repeated`.
        """
        count = self.counters("count")
        if not training:
            event = count[_EVALUATED]
            count[_EVALUATED] += pieces
            return event | EVALUATION
        in_backward = torch._C._current_graph_task_id() != -1
        if in_backward and (seen := self._seen.get(_fingerprint(x))):
            return seen.pop() if len(seen) > 1 else seen[0]
        if count[_CALL] < 0:
            if not in_backward:
                self._seen.clear()
            count[_PASS] += 1
            count[_CALL] = 0
        event = count[_PASS] + self.rank + count[_CALL] * NEXT_CALL
        count[_CALL] += pieces
        if remember:
            self._seen.setdefault(_fingerprint(x), []).append(event)
        return event

    def end(self) -> None:
        """A backward has reached the layer: its next call begins a pass."""
        count = self.counters("count")
        if count[_CALL] >= 0:
            count[_PASS] += self.ranks - 1
            count[_CALL] = -1

    def __getstate__(self) -> dict:
        return super().__getstate__() | {"_seen": {}}


def order(event: int) -> tuple[int, int]:
    """What to sort events by: pass, then place in the pass."""
    return event % NEXT_CALL, event // NEXT_CALL


def may_be_repeated() -> bool:
    """Whether the forward that runs now is one that torch.utils.checkpoint will run again."""
    return (
        not torch.is_grad_enabled() or torch._C._autograd._top_saved_tensors_default_hooks(True) is not None
    )


def _fingerprint(x: torch.Tensor) -> int:
    """A number that tells inputs apart by their values."""
    return zlib.crc32(x.detach().cpu().numpy().tobytes())
