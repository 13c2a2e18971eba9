"""One sub-tile of a layer: an algorithm's arrays, and the product and the factors that autograd sees of them."""

import weakref

import torch
from torch import nn

from mho.algorithms.base import Factors, State, Term
from mho.crossbar import Crossbar, Mapping
from mho.device.device import Device
from mho.device.io import by_direction
from mho.device.pulses import Exact
from mho.nn.core.assemble import add_terms
from mho.nn.core.calls import EVALUATION, NEXT_TERM
from mho.nn.core.factors import Learning
from mho.nn.core.parameter import AnalogParameter
from mho.numerics.rng import Stream, Use, child_key
from mho.numerics.views import Viewed
from mho.responses.constant import Constant
from mho.tile.ageing import age
from mho.tile.composed import ComposedTile, new_tile
from mho.tile.patches import Patches
from mho.tile.readout import multiply
from mho.tile.tile import Tile


class Block(Viewed):
    """An (out, in) analog matrix on one set of arrays: y = scale * out_scale * (x W^T).

    `weight` is what the network sees: the sum of the algorithm's visible terms, kept up to date after each
    step. It shares the array's memory where there is one term. It is a parameter, so that optimizers group
    it and `requires_grad_(False)` freezes it. Its gradient leaves the backward pass as the factors (x, d), which
    `learning` keeps, see design/001; as a matrix it exists only if someone asks for it, see `AnalogParameter`.

    Args:
        w0: (out, in) initial weights, before `Mapping.omega` divides them by `scale`.
        hardware: what the block is made of; key: 64-bit name of its randomness.
    """

    state: State
    scale: torch.Tensor

    def __init__(self, w0: torch.Tensor, hardware: Crossbar, key: int) -> None:
        super().__init__()
        self.hardware = hardware
        self.key = key
        self.io = by_direction(hardware.io)  # type: ignore[arg-type]
        self.shape = (w0.shape[0], w0.shape[1])
        w0, scale = _scaled(w0.detach().to(torch.float32), hardware.mapping)
        self.register_buffer("scale", scale)
        self.is_scaled = scale.numel() > 0
        kind = hardware.mapping.out_scale
        size = {"none": None, "scalar": 1, "columnwise": self.shape[0]}[kind]
        scales = None if size is None else torch.ones(size, dtype=torch.float32, device=w0.device)
        self.out_scale = None if scales is None else nn.Parameter(scales)
        self.state = hardware.algorithm.init(self._new_tile, w0)
        if not w0.is_cpu:
            self.state.to(w0.device)
        self.state.key, self.state.roles = child_key(key, "algorithm"), hardware.algorithm.roles()
        tiles = (part for part in self.state.modules() if isinstance(part, Tile))
        self._ageing = [tile for tile in tiles if tile.device.retention is not None]
        self.learning = Learning()
        self._kept: tuple[torch.Tensor, torch.Tensor] | None = None
        self._factor = 0.0  # of the second term, when `weight` was last brought up to date
        self.weight = AnalogParameter.of(self, _fused(hardware.algorithm.visible(self.state)))
        self.register_load_state_dict_post_hook(_refresh_after_load)

    @property
    def factors(self) -> list[Factors]:
        """What was recorded since the last step, in the order of the calls."""
        return self.learning.factors

    def record(self, x: torch.Tensor | Patches, d: torch.Tensor, event: int = 0) -> None:
        """Adds the factors x (samples, in) and d (samples, out) of the call with this event."""
        self.learning.record(Factors(x, d), event)

    @property
    def trained(self) -> tuple[nn.Parameter, nn.Parameter | None]:
        """What autograd has to know of: (weight, out_scale)."""
        parameters = self._parameters  # not by attribute, which nn.Module looks up in three places
        return parameters["weight"], parameters.get("out_scale")  # type: ignore[return-value]

    def scaled_weight(self) -> torch.Tensor:
        """(out, in): `weight` with the digital scales; a copy."""
        w = self.weight.detach().clone()
        if self.is_scaled:
            w *= self.scale.reshape(-1, 1)
        if self.out_scale is not None:
            w *= self.out_scale.detach().reshape(-1, 1)
        return w

    def step(self, lr: float) -> None:
        """One step of the algorithm with the factors recorded since the last one; none, no step. Then cells age."""
        g = self.learning.take()
        if g is None and not self._ageing:
            return
        if g is not None:
            self._learn(g, lr)
        for tile in self._ageing:
            age(tile)
        self.refresh()

    def _learn(self, g: Factors, lr: float) -> None:
        algorithm = self.hardware.algorithm
        if self.is_scaled and self.hardware.mapping.rates == "layer":
            g = g._replace(d=g.d / self.scale.square())
        if algorithm.units == "mini-batch":
            algorithm.step(self.state, g, lr)
            return
        for part in g.parts():
            for x, d in zip(*(samples.split(1) for samples in part), strict=True):
                algorithm.step(self.state, Factors(x, d), lr)

    def refresh(self) -> None:
        """Brings `weight` up to date with the arrays."""
        weight, terms = self._matrices()[0], self.hardware.algorithm.visible(self.state)
        if len(terms) == 2 and _is_plain(terms[0]) and _is_unsigned(terms[1]):
            (first, *_), (second, factor, *_) = terms
            if factor != self._factor:
                first.touched.fill_(1)
                self._factor = factor
            add_terms(weight, first, second, factor)
            return
        fused = _fused(terms)
        if fused.data_ptr() != weight.data_ptr():
            weight.copy_(fused)

    def product(self, x: torch.Tensor, direction: str, event: int, sign: float = 1.0) -> torch.Tensor:
        """sign * x (samples, in) W^T forward, sign * x (samples, out) W backward, as the hardware gives it.

        event: names the noise, see `Calls`; that of evaluations has a stream of its own.
        """
        backward = direction == "backward"
        if backward:
            use = Use(self.key, Stream.BACKWARD, event)
        elif event & EVALUATION:
            use = Use(self.key, Stream.EVALUATE, event ^ EVALUATION)
        else:
            use = Use(self.key, Stream.FORWARD, event)
        where, io = direction + " pass", self.io[direction]
        if self.hardware.algorithm.mix == "shared_adc":
            return multiply(self._matrices()[not backward], x, io, use, where, sign)
        y = None
        for n, term in enumerate(self.hardware.algorithm.visible(self.state)):
            matrix, inputs, outputs = term.tile.w, term.column_signs, term.row_signs
            if backward:
                inputs, outputs = outputs, inputs
            else:
                matrix = matrix.mT
            part = x if inputs is None else x * inputs
            of_term = use._replace(event=use.event + n * NEXT_TERM)
            part = multiply(matrix, part, io if n == 0 else io.unmanaged, of_term, where, sign)
            if outputs is not None:
                part *= outputs
            y = part.mul_(term.coefficient) if y is None else y.add_(part, alpha=term.coefficient)
        assert y is not None, "an algorithm shows the network at least one term"
        return y

    def _matrices(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The visible weight as (out, in) and as (in, out), kept: making the two costs microseconds a product."""
        weight, kept = self._parameters["weight"], self._kept
        if kept is None or kept[0].data_ptr() != weight.data_ptr():  # type: ignore[union-attr]
            w = weight.data  # type: ignore[union-attr]
            kept = self._kept = w, w.mT
        return kept

    def _new_tile(
        self, name: str, w: torch.Tensor, pulses: str = "update", digital: bool = False
    ) -> Tile | ComposedTile:
        key = child_key(self.key, name)
        if digital:
            return Tile(w, _UNBOUNDED, None, Exact(), key)
        hardware = self.hardware
        return new_tile(
            w,
            hardware.device_of(name),
            self.io,
            hardware.pulses_of(pulses),
            key,
            count_cells=hardware.count_cells,
        )

    def forget(self) -> None:
        super().forget()
        self._kept = None

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        self._adopt()
        return self

    def _adopt(self) -> None:
        """Makes `weight` this block's, and its array's memory, again where a copy or a move has left others."""
        weight: nn.Parameter = self._parameters["weight"]  # type: ignore[assignment]
        terms = self.hardware.algorithm.visible(self.state)
        array = terms[0].tile.w
        data = array if len(terms) == 1 and _is_plain(terms[0]) else weight.data
        if data.device != array.device:  # arrays alone were loaded, with `assign=True`
            data = torch.empty_like(array)
        if isinstance(weight, AnalogParameter) and weight.device == data.device:
            weight.block = weakref.ref(self)
            if weight.data_ptr() != data.data_ptr():
                weight.data = data
        else:
            self._parameters["weight"] = AnalogParameter.of(self, data, weight.requires_grad)

    def __getstate__(self) -> dict:
        return super().__getstate__() | {"learning": Learning()}

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self._adopt()

    def _save_to_state_dict(self, destination, prefix, keep_vars) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        del destination[prefix + "weight"]  # it follows from the arrays

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        super()._load_from_state_dict({**state_dict, prefix + "weight": self.weight}, prefix, *args)


def _refresh_after_load(block: Block, keys: object) -> None:
    """The tiles are loaded after the block's own buffers: only now can its weight follow from them."""
    block._adopt()
    block.refresh()


def _is_plain(term: Term) -> bool:
    return term.coefficient == 1.0 and _is_unsigned(term)


def _is_unsigned(term: Term) -> bool:
    return term.row_signs is term.column_signs is None


def _fused(terms: list[Term]) -> torch.Tensor:
    """The weight that the network sees; one array's own memory where that is what it sees."""
    if len(terms) == 1 and _is_plain(terms[0]):
        return terms[0].tile.w
    fused = terms[0].weight()
    for term in terms[1:]:
        fused = fused + term.weight()
    return fused


def _scaled(w: torch.Tensor, mapping: Mapping) -> tuple[torch.Tensor, torch.Tensor]:
    """Initial weights with largest |w| = omega, and the digital scale (out,), (1,) or empty that undoes it."""
    if mapping.omega == 0:
        return w, w.new_empty(0)
    largest = w.abs().amax(dim=1) if mapping.columnwise else w.abs().max().reshape(1)
    scale = torch.where(largest > 0, largest / mapping.omega, torch.ones_like(largest))
    return w / scale.reshape(-1, 1), scale


_UNBOUNDED = Device(Constant(tau_max=3e38, tau_min=-3e38))
