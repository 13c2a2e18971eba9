"""One direction of one recurrent layer: two matrices on crossbars, and the steps through time."""

from collections.abc import Sequence

import torch
from torch import nn

from mho.crossbar import Crossbar
from mho.nn.gates import GATES, Tensors
from mho.nn.linear import AnalogLinear, linear_of
from mho.rng import child_key


class Direction(nn.Module):
    """Input-to-hidden `ih`, hidden-to-hidden `hh` and, of an LSTM with `proj_size`, hidden-to-output `hr`.

    The input of all time steps goes through `ih` in one product; `hh` has one product a step. So the samples of
    `ih` are in the order of time step, sample, and those of `hh` in the order in which the steps are taken, which
    in the reverse direction begins with the last.

    Args:
        rnn: the torch layer; place: what its weights are named by, such as "l0" or "l0_reverse".
        hardware: see `mho.Crossbar`; key: 64-bit name of its randomness.
    """

    ih: AnalogLinear
    hh: AnalogLinear
    hr: AnalogLinear | None

    def __init__(self, rnn: nn.RNNBase, place: str, hardware: Crossbar, key: int) -> None:
        super().__init__()
        self.gates = GATES[rnn.mode]
        self.place, self.is_reverse = place, place.endswith("_reverse")
        for name in ("ih", "hh", "hr"):
            weight, bias = (getattr(rnn, f"{kind}_{name}_{place}", None) for kind in ("weight", "bias"))
            part = None  # there is no `hr` without proj_size
            if weight is not None:
                part = AnalogLinear.from_digital(linear_of(weight, bias), hardware, child_key(key, name))
            setattr(self, name, part)

    def weights(self) -> dict[str, torch.Tensor]:
        """Weights and biases under the names that they have in the torch layer; copies."""
        found = {}
        for name, part in self.named_children():
            assert isinstance(part, AnalogLinear)
            weight, bias = part.weight_and_bias()
            found[f"weight_{name}_{self.place}"] = weight
            if bias is not None:
                found[f"bias_{name}_{self.place}"] = bias
        return found

    def forward(self, x: torch.Tensor, sizes: Sequence[int], state: Tensors) -> tuple[torch.Tensor, Tensors]:
        """x (samples of the first time step, then of the second, ..., in) -> the same with h, and the last state.

        Args:
            sizes: number of samples in each time step, never more than in the one before.
            state: (samples, size) each, before the first step.
        """
        steps = zip(self.ih(x).split(sizes), sizes, strict=True)
        if self.is_reverse:
            outputs, state = self._grow(list(steps)[::-1], state)
            return torch.cat(outputs[::-1]), state
        outputs, state = self._shrink(steps, state)
        return torch.cat(outputs), state

    def _shrink(self, steps, state: Tensors) -> tuple[list[torch.Tensor], Tensors]:
        """Forward in time: sequences end, the last of the samples first."""
        outputs, ended = [], []
        for a, samples in steps:
            if samples < len(state[0]):
                ended.append([part[samples:] for part in state])
                state = tuple(part[:samples] for part in state)
            state = self._step(a, state)
            outputs.append(state[0])
        return outputs, tuple(torch.cat(parts) for parts in zip(state, *reversed(ended), strict=True))

    def _grow(self, steps, initial: Tensors) -> tuple[list[torch.Tensor], Tensors]:
        """Back in time: sequences join, each with its own initial state."""
        outputs, state = [], tuple(part[:0] for part in initial)
        for a, samples in steps:
            if samples > len(state[0]):
                state = tuple(
                    torch.cat([now, new[len(now) : samples]]) for now, new in zip(state, initial, strict=True)
                )
            state = self._step(a, state)
            outputs.append(state[0])
        return outputs, state

    def _step(self, a: torch.Tensor, state: Tensors) -> Tensors:
        state = self.gates(a, self.hh(state[0]), state)
        return state if self.hr is None else (self.hr(state[0]), *state[1:])
