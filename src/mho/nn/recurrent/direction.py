"""One direction of one recurrent layer: two matrices on crossbars, and the steps through time."""

from collections.abc import Sequence

import torch
from torch import nn

from mho.crossbar import Crossbar
from mho.nn.core.matrix import AnalogMatrix
from mho.nn.linear import AnalogLinear, linear_of
from mho.nn.recurrent.gates import GATES, Tensors
from mho.nn.recurrent.recurrence import joined, of_first, run, steps_of
from mho.numerics.rng import child_key


class Direction(nn.Module):
    """Input-to-hidden `ih`, hidden-to-hidden `hh` and, of an LSTM with `proj_size`, hidden-to-output `hr`.

    The input of all time steps goes through `ih` in one product; `hh` has one product a step. So the samples of
    `ih` are in the order of time step, sample, and those of `hh` in the order in which the steps are taken, which
    in the reverse direction begins with the last.

    Args:
        rnn: the torch layer; place: the end of its weights' names, such as "l0" or "l0_reverse".
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
                part.is_part = True
            setattr(self, name, part)

    def weights(self) -> dict[str, torch.Tensor]:
        """Return weights and biases under the names that they have in the torch layer; copies."""
        found = {}
        for name, part in self.named_children():
            assert isinstance(part, AnalogLinear)
            weight, bias = part.weight_and_bias()
            found[f"weight_{name}_{self.place}"] = weight
            if bias is not None:
                found[f"bias_{name}_{self.place}"] = bias
        return found

    def forward(self, x: torch.Tensor, sizes: Sequence[int], state: Tensors) -> tuple[torch.Tensor, Tensors]:
        """Run x (samples of the first time step, of the second, ..., in) -> the same with h, and the last state.

        Args:
            sizes: number of samples in each time step, never more than in the one before.
            state: (samples, size) each, before the first step.
        """
        steps, a = steps_of(sizes, self.is_reverse), self.ih(x)
        layers = [self.hh] if self.hr is None else [self.hh, self.hr]
        if torch.compiler.is_compiling() or not all(map(_is_plain, layers)):
            y, state = self._step_by_step(a, steps, state)
        else:
            y, state = run(a, steps, self.gates, layers, state)
        return torch.cat(y.split(sizes[::-1])[::-1]) if self.is_reverse else y, state

    def _step_by_step(
        self, a: torch.Tensor, steps: list[tuple[int, int]], state: Tensors
    ) -> tuple[torch.Tensor, Tensors]:
        """Take the steps of `run` in modules."""
        outputs = []
        parts = a.split([last - first for first, last in sorted(steps)])  # slices take T^2 on the way back
        for part in reversed(parts) if self.is_reverse else parts:
            now = of_first(state, len(part))
            new, _ = self.gates.forward(part, self.hh(now[0]), now)
            new = new if self.hr is None else (self.hr(new[0]), *new[1:])
            outputs.append(new[0])
            state = joined(new, state)
        return torch.cat(outputs), state


def _is_plain(layer: AnalogLinear) -> bool:
    """Return whether a call of the layer only multiplies with its whole matrix (see `mho.parallel.shard_rows_`)."""
    hooks = layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks, layer._backward_pre_hooks
    return isinstance(layer.matrix, AnalogMatrix) and not any(hooks)
