"""The calls of a layer, whose numbers name the noise of products (`mho.tile.events`) and order the factors."""

import zlib
from enum import IntEnum
from typing import Any

import torch

from mho.numerics.views import Viewed
from mho.tile.events import EVALUATION, NEXT_CALL


class Count(IntEnum):
    """Places in `Calls.count`."""

    PASS = 0  # of the first process, for the pass that runs; after a backward, the last of any process
    CALL = 1  # calls of it so far, -1 after a backward
    EVALUATED = 2


_MOST = 2**14
"""Calls that are remembered for an activation checkpoint."""
_PASS, _CALL, _EVALUATED = map(int, Count)  # an index as int costs a tenth of an IntEnum's


class Calls(Viewed):
    """The counter of the calls of one layer. The event of a call is its pass plus 2^32 times its place in the pass.

    A pass is one forward and backward, a micro-batch: the first call after a backward begins the next pass. The
    number of a pass does not depend on the number of its calls (time steps). So the k-th of n processes that
    take part in a step numbers its micro-batches as one process would that has them one after the other: the
    m-th is number m n + k. Between two steps `count` is the same in all processes, see `mho.parallel`.

    A forward that runs inside of a backward is the recomputation of an activation checkpoint: it gets the event
    that the same input got before.
    """

    count: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(len(Count), dtype=torch.int64, device="cpu"))
        self.rank, self.ranks = 0, 1
        self._seen: dict[int, list[int]] = {}
        self.table: Any = None  # of the layer's compiled calls, see `mho.nn.core.table`

    def begin(self, x: torch.Tensor, training: bool, pieces: int = 1, remember: bool = False) -> int:
        """Return the event of a call with this input, which has so many pieces.

        remember: an activation checkpoint may repeat the call, see `may_be_repeated`.
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
            self._remember(x, event)
        return event

    def _remember(self, x: torch.Tensor, event: int) -> None:
        self._seen.setdefault(_fingerprint(x), []).append(event)
        if len(self._seen) > _MOST:  # calls without gradients in train mode, which no backward follows
            del self._seen[next(iter(self._seen))]

    def end(self) -> None:
        """Note that a backward has reached the layer: its next call begins a pass."""
        count = self.counters("count")
        if count[_CALL] >= 0:
            count[_PASS] += self.ranks - 1
            count[_CALL] = -1

    def __getstate__(self) -> dict:
        return super().__getstate__() | {"_seen": {}, "table": None}


def may_be_repeated() -> bool:
    """Return whether torch.utils.checkpoint will run the present forward again."""
    return (
        not torch.is_grad_enabled() or torch._C._autograd._top_saved_tensors_default_hooks(True) is not None
    )


def _fingerprint(x: torch.Tensor) -> int:
    """Return a number that tells inputs apart by their values."""
    return zlib.crc32(x.detach().cpu().numpy().tobytes())
