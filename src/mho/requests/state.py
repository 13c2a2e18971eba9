"""A stand-in for the state of an algorithm, and the step that is taken with it."""

from typing import Any

import torch

from mho.algorithms.base import Factors
from mho.algorithms.state import State
from mho.requests.arrays import stand_in
from mho.requests.numbers import Numbers, usual
from mho.requests.queue import Queue


class AskedState:
    """A stand-in for a `State`, whose arrays and tensors have stand-ins of their own."""

    def __init__(self, state: State) -> None:
        self.__dict__.update(_state=state, _queue=None, _found={})

    def begin(self, queue: Queue) -> "AskedState":
        """Return the stand-in for a step with this queue; parts whose memory has moved get new stand-ins."""
        own = self.__dict__
        if own["_queue"] is not queue:
            own["_queue"], own["_found"] = queue, {}
        found, buffers = own["_found"], own["_state"]._buffers
        for name in [n for n, (part, address) in found.items() if address and not _is(buffers, n, part, address)]:
            del found[name]
        return self

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        found = own["_found"].get(name)
        if found is None:
            state, queue = own["_state"], own["_queue"]
            part = getattr(state, name)
            if name not in state._buffers and name not in state._modules:
                return part
            other = stand_in(queue, part)
            address = part.data_ptr() if isinstance(part, torch.Tensor) else 0
            own["_found"][name] = found = other, address
        return found[0]

    def __setattr__(self, name: str, value: Any) -> None:
        self._queue.run()
        own = self.__dict__
        if not (type(value) is Numbers and value is own["_found"].get(name, (None,))[0]):  # s.H += ...
            setattr(own["_state"], name, usual(value))
            own["_found"].pop(name, None)


def _is(buffers: dict[str, Any], name: str, part: Any, address: int) -> bool:
    """Return whether the stand-in for a buffer stands for what is there."""
    now = buffers.get(name)
    return now is not None and now.data_ptr() == address and (type(part) is not Numbers or part.source is now)


def asked(queue: Queue, g: Factors) -> Factors:
    """Return stand-ins for factors that are known to be finite."""
    queue.hold(g)
    return Factors(*(Numbers.of(queue, part, is_finite=True) for part in g))  # type: ignore[arg-type]
