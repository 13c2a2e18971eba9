"""Analog recurrent layers: plain, LSTM and GRU."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.fx import Proxy
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from mho.base.errors import complaint, wrong_type
from mho.crossbar import Crossbar
from mho.nn.core.export import leaf, refused
from mho.nn.core.layer import ANALOG_OF, AnalogLayer, checked, words_of
from mho.nn.core.product import not_floating
from mho.nn.linear import AnalogLinear
from mho.nn.recurrent.direction import Direction
from mho.nn.recurrent.gates import Tensors
from mho.nn.recurrent.sequences import Form, of_steps
from mho.numerics.rng import child_key

USUAL = {
    "num_layers": 1,
    "bias": True,
    "batch_first": False,
    "dropout": 0.0,
    "bidirectional": False,
    "proj_size": 0,
}
"""Settings that an analog layer has in common with a digital one, with their defaults."""


class _Recurrent(AnalogLayer):
    """The common part of recurrent layers: layers, directions, batches of sequences, states."""

    digital: type[nn.RNNBase]  # the torch layer
    states: Sequence[str] = ("h_0",)

    mode: str
    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    bidirectional: bool
    proj_size: int

    def _begin(self, digital: nn.RNNBase, hardware: Crossbar, key: int) -> None:
        super().__init__()
        rnn, self.hardware = digital, checked(self, hardware)
        self.mode, self.input_size, self.hidden_size = rnn.mode, rnn.input_size, rnn.hidden_size
        for name in USUAL:
            setattr(self, name, getattr(rnn, name))
        self.layers = nn.ModuleList()
        for n in range(self.num_layers):
            ways = {"forward_": f"l{n}"} | ({"reverse": f"l{n}_reverse"} if self.bidirectional else {})
            self.layers.append(
                nn.ModuleDict(
                    {way: Direction(rnn, name, hardware, child_key(key, name)) for way, name in ways.items()}
                )
            )

    def to_digital(self) -> nn.RNNBase:
        options = {name: getattr(self, name) for name in USUAL}
        if self.mode != "LSTM":
            del options["proj_size"]
        if self.mode.startswith("RNN"):
            options["nonlinearity"] = cast(AnalogRNN, self).nonlinearity
        rnn = cast(Any, self.digital)(self.input_size, self.hidden_size, **options, device="meta")
        weights: dict[str, torch.Tensor] = {}
        for direction in self.modules():
            if isinstance(direction, Direction):
                weights |= direction.weights()
        rnn.load_state_dict(weights, assign=True)
        return rnn

    def flatten_parameters(self) -> None:
        """Do nothing; scripts call it for the sake of cuDNN."""

    def forward(self, input: torch.Tensor | PackedSequence, hx: Any = None) -> tuple:
        """Return outputs of the last layer (time, samples, size) and the last states (layers, samples, size).

        Args:
            input: (time, samples, input_size); with `batch_first` (samples, time, input_size); (time, input_size);
                or packed. Outputs come in the same form.
            hx: initial states, of all directions of all layers, for an LSTM a pair of them; None means zeros.
        """
        if isinstance(input, Proxy):
            return leaf(self, input, hx)
        if torch.compiler.is_exporting():
            raise refused("torch.export")
        x, form = of_steps(input, self.input_size, self.batch_first, f"{type(self).__name__}.forward")
        if not x.is_floating_point():
            raise not_floating(type(self).__name__, x)
        y, last = self._run(x.to(torch.float32), form.sizes, self._initial(hx, form, x.device))
        states = tuple(form.state_out(part).to(x.dtype) for part in last)
        return form.outputs(y.to(x.dtype)), (states if len(states) > 1 else states[0])

    def _run(self, x: torch.Tensor, sizes: list[int], states: Tensors) -> tuple[torch.Tensor, Tensors]:
        """Run all layers, one after the other: x (samples of all time steps, in), see `Direction`."""
        last: list[Tensors] = []
        for n, layer in enumerate(self.layers):
            outputs = []
            for direction in layer.children():
                y, state = direction(x, sizes, tuple(part[len(last)] for part in states))
                outputs.append(y)
                last.append(state)
            x = torch.cat(outputs, dim=1) if self.bidirectional else outputs[0]
            if n < self.num_layers - 1:
                x = functional.dropout(x, self.dropout, self.training)
        return x, tuple(torch.stack(parts) for parts in zip(*last, strict=True))

    def _initial(self, hx: Any, form: Form, device: torch.device) -> Tensors:
        """Return each state as (layers, samples, size) float32, in the order of the samples."""
        where = f"{type(self).__name__}.forward"
        layers = self.num_layers * (2 if self.bidirectional else 1)
        sizes = (self.proj_size or self.hidden_size, self.hidden_size)[: len(self.states)]
        shapes = [(layers, form.sizes[0], size) for size in sizes]
        if hx is None:
            return tuple(torch.zeros(shape, dtype=torch.float32, device=device) for shape in shapes)
        given = (hx,) if len(shapes) == 1 else hx
        if not isinstance(given, (tuple, list)) or len(given) != len(shapes):
            raise wrong_type(where, "hx", hx, f"a pair ({', '.join(self.states)})")
        for name, part, (_, samples, size) in zip(self.states, given, shapes, strict=True):
            if not isinstance(part, torch.Tensor):
                raise wrong_type(where, name, part, "a tensor")
            need = (layers, size) if form.single else (layers, samples, size)
            if tuple(part.shape) != need:
                raise complaint(where, f"{name} has shape {tuple(part.shape)}", f"It must have shape {need}")
        return tuple(form.state_in(part).to(torch.float32) for part in given)

    def extra_repr(self) -> str:
        given = {name: getattr(self, name) for name in USUAL if getattr(self, name) != USUAL[name]}
        words = [
            f"{self.input_size}, {self.hidden_size}",
            *(f"{name}={value}" for name, value in given.items()),
        ]
        return ", ".join([*words, words_of(self.hardware)])

    @property
    def all_weights(self) -> list[list[torch.Tensor]]:
        """Weights and biases of each direction of each layer, in torch's order; copies, writes to which program."""
        names = "weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"
        places = ([f"{name}_{place}" for name in names] for place in self._directions())
        return [[w for w in (getattr(self, name, None) for name in of) if w is not None] for of in places]

    def _directions(self) -> dict[str, Direction]:
        """Return the directions by the ends of their weights' names in torch, such as "l0_reverse"."""
        return {d.place: d for d in self.modules() if isinstance(d, Direction)}

    def _matrices(self) -> dict[str, list[Any]]:
        parts = ((d.place, *pair) for d in self._directions().values() for pair in d.named_children())
        return {f"weight_{name}_{place}.": [cast(Any, part).matrix] for place, name, part in parts}

    def _named(self, name: str) -> tuple[AnalogLinear, str] | None:
        """Return the linear layer that has a weight or bias of torch's name, and which it is; or None."""
        kind, _, rest = name.partition("_")
        matrix, _, place = rest.partition("_")
        if kind not in ("weight", "bias") or "_modules" not in self.__dict__ or "layers" not in self._modules:
            return None
        direction = self._directions().get(place)
        part = None if direction is None else direction._modules.get(matrix)
        return (part, kind) if isinstance(part, AnalogLinear) else None

    def __getattr__(self, name: str) -> Any:
        """Return also `weight_ih_l0` and the like: weights of one matrix, writes to which program it."""
        if name.startswith(("weight_", "bias_")) and (found := self._named(name)):
            return getattr(*found)
        return super().__getattr__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith(("weight_", "bias_")) and (found := self._named(name)):
            setattr(*found, value)
        else:
            super().__setattr__(name, value)


class AnalogRNN(_Recurrent):
    """`torch.nn.RNN` on crossbars: h = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu; see `AnalogLSTM`.

    Args:
        nonlinearity: "tanh" or "relu"; the others as in `AnalogLSTM`.
    """

    digital = nn.RNN

    @property
    def nonlinearity(self) -> str:
        """ "tanh" or "relu"."""
        return self.mode.removeprefix("RNN_").lower()

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        hardware: Crossbar,
        key: int | None = None,
    ) -> None:
        shape = input_size, hidden_size, num_layers, nonlinearity, bias, batch_first, dropout, bidirectional
        self._born(nn.RNN(*shape), hardware, key)


class AnalogLSTM(_Recurrent):
    """`torch.nn.LSTM` on crossbars: the matrices W_ih, W_hh and W_hr are analog, gates and states digital.

    Each matrix of each layer and direction is an `AnalogLinear`, such as `layers[0]["forward_"].ih`. The input of
    all time steps is one product, the states are one product a step. Gates are computed in float32; outputs and
    states have the dtype of the input.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size: as in
            torch.nn.LSTM; initial weights too.
        hardware: of the matrices, see `mho.Crossbar`; with `Mapping(bias="analog")` each bias is a column of cells.
        key: 64-bit name of its randomness; None draws one from torch's generator, see `mho.nn`.
    Raises: MhoError for inputs or states of another shape.
    """

    digital = nn.LSTM
    states = ("h_0", "c_0")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        hardware: Crossbar,
        key: int | None = None,
    ) -> None:
        shape = input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size
        self._born(nn.LSTM(*shape), hardware, key)


class AnalogGRU(_Recurrent):
    """`torch.nn.GRU` on crossbars; see `AnalogLSTM`."""

    digital = nn.GRU

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        hardware: Crossbar,
        key: int | None = None,
    ) -> None:
        shape = input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional
        self._born(nn.GRU(*shape), hardware, key)


for _layer in (AnalogRNN, AnalogLSTM, AnalogGRU):
    ANALOG_OF[_layer.digital] = _layer.from_digital
