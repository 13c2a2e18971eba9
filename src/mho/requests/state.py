"""A stand-in for the state of an algorithm."""

from collections.abc import Callable
from typing import Any

import torch

from mho.requests.arrays import stand_in
from mho.requests.numbers import Numbers
from mho.requests.queue import Queue
from mho.requests.trace import Decision, Trace
from mho.requests.usual import usual


class AskedState:
    """A stand-in for a `State`, whose arrays and tensors have stand-ins of their own."""

    def __init__(self, state: Any) -> None:
        self.__dict__.update(_state=state, _queue=None, _trace=None, _found={})

    def begin(self, queue: Queue, trace: Trace) -> "AskedState":
        """Return the stand-in for a step with this queue, of which notes are taken."""
        self.__dict__.update(_queue=queue, _trace=trace, _found={})
        return self

    def decide(self, function: Callable[..., Any], *args: Any) -> Any:
        """Return function(state, *args), a decision on the way of the step, see `State.decide`."""
        return self._trace.outcome(Decision("branch", function, args))

    def turn(self, function: Callable[..., int], *args: Any) -> Any:
        """Return function(state, *args), the number of a line, see `State.turn`."""
        return self._trace.line(Decision("line", function, args))

    def measure(self, function: Callable[..., float], g: Any, *args: Any) -> Any:
        """Return function(state, g, *args), a rate, see `State.measure`."""
        return self._trace.rate(Decision("rate", function, args))

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        found = own["_found"].get(name)
        if found is None:
            state = own["_state"]
            part = getattr(state, name)
            if name in state._modules:
                found = stand_in(own["_queue"], part)
            elif name in state._buffers:
                found = self._numbers(name, part)
            else:
                if name not in ("key", "roles"):
                    own["_queue"].once()
                return part
            own["_found"][name] = found
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if value is not own["_found"].get(name):  # it is after s.H += ...
            own["_queue"].run()
            setattr(own["_state"], name, usual(value))
            own["_found"].pop(name, None)

    def _numbers(self, name: str, part: torch.Tensor) -> Any:
        """Return the stand-in for a buffer, which has to be there if the step is to be asked for again."""
        found = stand_in(self._queue, part)
        if type(found) is Numbers:
            self._trace.guards.append((_is_there, self._state._buffers, name, part, part.data_ptr()))
        else:
            self._queue.once()
        return found


def _is_there(buffers: dict[str, Any], name: str, tensor: torch.Tensor, address: int) -> bool:
    """Return whether a buffer is the same tensor, in the same place."""
    return buffers.get(name) is tensor and tensor.data_ptr() == address
