"""One sub-tile of a layer: an algorithm's arrays, their product, and the factors that they have to learn."""

from typing import Any

import torch
from torch import nn

from mho.algorithms.base import Factors
from mho.base.errors import complaint
from mho.crossbar import Crossbar
from mho.device.device import Device
from mho.device.io import Wires, by_direction
from mho.device.pulses import Exact
from mho.nn.core import birth
from mho.nn.core.factors import Learning
from mho.nn.core.fused import Fused, fused
from mho.nn.core.parameter import replaced
from mho.numerics.rng import child_key
from mho.requests.queue import Queue
from mho.requests.usual import fits
from mho.requests.ways import Ways
from mho.responses.constant import Constant
from mho.tile.ageing import age
from mho.tile.events import NEXT_TERM, use_of
from mho.tile.patches import Patches
from mho.tile.plane import Plane
from mho.tile.readout import Visible, known_finite, multiply
from mho.tile.tile import Tile, new_tile


class Block(Fused):
    """An (out, in) analog matrix on one set of arrays: y = scale * out_scale * (x W^T).

    `weight` is the matrix W that the network sees, see `Fused`. It is a parameter: optimizers group it, and
    `requires_grad_(False)` freezes it. Its gradient leaves the backward pass as the factors (x, d), which
    `learning` keeps, see design/001. As a matrix the gradient exists only if it is read, see `AnalogParameter`.

    Args:
        w0: (out, in) initial weights, before `Mapping.omega` divides them by `scale`.
        hardware: of the block; key: 64-bit name of its randomness.
    """

    scale: torch.Tensor

    def __init__(self, w0: torch.Tensor, hardware: Crossbar, key: int) -> None:
        super().__init__()
        self.hardware = hardware
        self.key = key
        self.io = by_direction(hardware.io)  # type: ignore[arg-type]
        self.shape = (w0.shape[0], w0.shape[1])
        w0, scale = hardware.mapping.scaled(w0.detach().to(torch.float32))
        self.register_buffer("scale", scale)
        self.is_scaled = scale.numel() > 0
        kind = hardware.mapping.out_scale
        size = {"none": None, "scalar": 1, "columnwise": self.shape[0]}[kind]
        scales = None if size is None else torch.ones(size, dtype=torch.float32, device=w0.device)
        self.out_scale = None if scales is None else nn.Parameter(scales)
        state = self._modules["state"] = hardware.algorithm.init(self._new_tile, w0)
        if not w0.is_cpu:
            state.to(w0.device)
        state.key, state.roles = child_key(key, "algorithm"), hardware.algorithm.roles()
        self.learning = Learning()
        self._ways: Ways | None = None
        arrays = [part for part in state.modules() if isinstance(part, (Tile, Plane))]
        tiles = (part for part in arrays if isinstance(part, Tile))
        self._ageing = [tile for tile in tiles if tile.device.retention is not None]
        self._show(arrays)
        self._report(w0)

    @property
    def factors(self) -> list[Factors]:
        """The factors recorded since the last step, in the order of the calls."""
        return self.learning.factors

    def record(self, x: torch.Tensor | Patches, d: torch.Tensor, event: int = 0) -> None:
        """Add the factors x (samples, in) and d (samples, out) of the call with this event."""
        self.learning.record(Factors(x, d), event)

    @property
    def trained(self) -> tuple[nn.Parameter, nn.Parameter | None]:
        """The parameters of the block for autograd: (weight, out_scale)."""
        parameters = self._parameters  # not by attribute, which nn.Module looks up in three places
        if "weight" not in parameters:
            raise replaced(None)
        return parameters["weight"], parameters.get("out_scale")  # type: ignore[return-value]

    def scaled_weight(self) -> torch.Tensor:
        """Return (out, in): `weight` with the digital scales; a copy."""
        self.follow()
        w = self._seen.clone()
        if self.is_scaled:
            w *= self.scale.reshape(-1, 1)
        if self.out_scale is not None:
            w *= self.out_scale.detach().reshape(-1, 1)
        return w

    def unscaled(self, w: torch.Tensor) -> torch.Tensor:
        """Return w (out, in) without the digital scales. Raises: MhoError if a scale is zero.

        Where w is what `scaled_weight` gives, this is what the network sees, without rounding.
        """
        stays, seen = w == self.scaled_weight(), self._seen
        if self.is_scaled:
            w = w / self.scale.reshape(-1, 1)
        if self.out_scale is not None:
            scale = self.out_scale.detach().reshape(-1, 1)
            if not scale.all():
                raise complaint(
                    "program_(weight)", "an output scale of the layer is zero", fix="set it to 1 first"
                )
            w = w / scale
        return torch.where(stays, seen, w)

    @property
    def is_exact(self) -> bool:
        """True if a step changes the weight by exactly what it is asked for, as digital arithmetic does."""
        terms = self.visible()
        tile: Any = terms[0].tile
        alone = len(terms) == 1 and isinstance(tile, Tile) and isinstance(tile.pulses, Exact)
        return self._held.roles.digital or alone

    @property
    def steps_as_torch(self) -> bool:
        """True if a step on `weight` is one on the matrix that the layer multiplies with: no scale is between."""
        return not (self.is_scaled and self.hardware.mapping.rates == "layer")

    def step(self, lr: float, maximize: bool = False, queue: Queue | None = None) -> None:
        """Take a step of the algorithm with the recorded factors, if there are any. Then cells age.

        With lr 0 nothing is learned, whatever rates of its own the algorithm has. maximize: up the gradient.
        queue: takes what can be carried out together with the steps of other blocks, see `mho.requests`.
        """
        self.follow()
        self.learning.settle()
        is_checked, g = self.learning.is_checked, self.learning.take()
        if g is None and not self._ageing:
            return
        if g is not None and lr != 0:
            g = g._replace(d=-g.d) if maximize else g
            if self.is_scaled and self.hardware.mapping.rates == "layer":
                g = g._replace(d=g.d / self.scale.square())
            if queue is not None and self._can_ask(g):
                self._ask(queue, g, lr)
                return
            known_finite.pair = (g.x, g.d) if is_checked else (None, None)
            try:
                self._learn(g, lr)
            finally:
                known_finite.pair = None, None
        for tile in self._ageing:
            age(tile)
        self.refresh()

    def _can_ask(self, g: Factors) -> bool:
        """Return whether a step with these factors is quicker by requests; makes room for them."""
        x = g.x.images[0] if isinstance(g.x, Patches) else g.x
        if not fits(g.d) or not (x.is_cpu and x.dtype is torch.float32) or not x.numel():
            return False
        if self._ways is None:
            after = _nothing if self._ageing else self.ask_refresh
            self._ways = Ways(self.hardware.algorithm, self._held, after)
        return not self._ways.is_slow

    def _ask(self, queue: Queue, g: Factors, lr: float) -> None:
        """Ask for a step, for ageing, and for the weight that follows."""
        assert self._ways is not None, "made by `_can_ask`"
        if self.hardware.algorithm.units == "mini-batch":
            self._ways.ask(queue, g, lr)
        else:
            for x, d in g.parts():
                for n in range(len(d)):
                    self._ways.ask(queue, Factors(x[n : n + 1], d[n : n + 1]), lr)
        if self._ageing:
            queue.run()
            for tile in self._ageing:
                age(tile)
            self.refresh()
        self.is_shown()

    def _learn(self, g: Factors, lr: float) -> None:
        algorithm = self.hardware.algorithm
        if algorithm.units == "mini-batch":
            algorithm.step(self._held, g, lr)
            return
        for part in g.parts():
            for x, d in zip(*(samples.split(1) for samples in part), strict=True):
                algorithm.step(self._held, Factors(x, d), lr)

    def renew(self, new: "Block") -> None:
        """Program the arrays with the weights of a new block, and begin its digital state; counters go on."""
        self.learning.clear()
        self.scale.copy_(new.scale)
        if self.out_scale is not None and new.out_scale is not None:
            self.out_scale.data.copy_(new.out_scale)
        for own, part in zip(self._held.modules(), new.state.modules(), strict=True):
            if isinstance(own, (Tile, Plane)):
                own.program(part.w.to(own.w.device))  # type: ignore[union-attr,operator,arg-type]
            elif not isinstance(own, Visible):
                for name, buffer in own.named_buffers(recurse=False):
                    buffer.copy_(part.get_buffer(name))
        for array in self._held.tiles().values():
            array.refresh()
        self.refresh()

    def program(self, w: torch.Tensor) -> None:
        """Program the arrays, see `Fused.program`.

        Warns (ConversionWarning) if they do not hold w then, which lies beyond the cells' bounds or under noise.
        """
        super().program(w)
        with birth.watched() as found:
            self._report(w)
        birth.warn("weight", {f"with a matrix {self.shape}": found}, level=2)

    def _report(self, w0: torch.Tensor) -> None:
        """Report how far the arrays are from the weights (out, in) they were just given, see `birth`."""
        record = birth.present()
        if record is None or w0.is_meta:
            return
        scale = self.scale.reshape(-1, 1) if self.is_scaled else 1.0
        given, missed = w0 * scale, (self.weight.detach() - w0) * scale
        noise = stuck = None
        leaves = [tile for array in self._held.tiles().values() for tile in array.leaves()]
        noisy = [tile for tile in leaves if tile.device.write_noise > 0]
        if noisy:
            drawn = [tile.noise.clone() for tile in noisy]
            for tile in noisy:
                tile.noise.zero_()
                tile.refresh()
            clipped = (fused(self.visible()) - w0) * scale
            noise, missed = missed - clipped, clipped
            for tile, own in zip(noisy, drawn, strict=True):
                tile.noise.copy_(own)
                tile.refresh()
        alone = len(leaves) == 1 or len(self._held.tiles()) == len(leaves)
        p = leaves[0].parameters_of_cells
        lower, upper = (torch.as_tensor(bound) - torch.as_tensor(p.reference) for bound in (p.lower, p.upper))
        record.has_one_sign |= alone and bool((lower >= 0).all() or (upper <= 0).all())
        for cells in (tile.parameters_of_cells for tile in leaves if tile.device.corrupt > 0):
            there = torch.as_tensor(cells.lower) >= torch.as_tensor(cells.upper)
            stuck = there if stuck is None else stuck | there
        record.add(given, missed, noise, stuck)

    def product(self, x: torch.Tensor, direction: str, event: int, sign: float = 1.0) -> torch.Tensor:
        """Return sign * x (samples, in) W^T forward, sign * x (samples, out) W backward, as the hardware gives it.

        event: of the layer's call; it names the noise, see `mho.tile.events`.
        """
        self.follow()
        where, io = direction + " pass", self.io[direction]
        if self.hardware.algorithm.mix == "shared_adc":
            return self.drive(x, direction, io, use_of(self.key, direction, event), where, sign)
        y = None
        for n, term in enumerate(self.visible()):
            inputs, outputs = term.column_signs, term.row_signs
            if direction == "backward":
                inputs, outputs = outputs, inputs
            part = x if inputs is None else x * inputs
            use = use_of(self.key, direction, event + n * NEXT_TERM)
            part = term.tile.drive(part, direction, io if n == 0 else io.unmanaged, use, where, sign)
            if outputs is not None:
                part *= outputs
            y = part.mul_(term.coefficient) if y is None else y.add_(part, alpha=term.coefficient)
        assert y is not None, "an algorithm shows the network at least one term"
        return y

    def product_of(
        self, w: torch.Tensor, x: torch.Tensor, direction: str, event: int, sign: float = 1.0
    ) -> torch.Tensor:
        """Return `product` with w (out, in) in the place of what the arrays hold, as `functional_call` wants it."""
        io, w = self.io[direction], w.detach().to(torch.float32).contiguous()
        matrix = w if direction == "backward" else w.mT
        matrix = matrix if io.wires is None else io.wires.currents(matrix)
        use = use_of(self.key, direction, event)
        return multiply(matrix, x, io, use, direction + " pass", sign)

    def _currents(self, wires: Wires, backward: bool) -> torch.Tensor:
        """Add up the terms, each behind the wires of its array."""
        shape = self.shape if backward else self.shape[::-1]
        total = torch.zeros(shape, dtype=torch.float32, device=self.w.device)
        for term in self.visible():
            inputs, outputs = term.column_signs, term.row_signs
            if backward:
                inputs, outputs = outputs, inputs
            part = term.coefficient * term.tile.through(wires, backward)
            part = part if inputs is None else part * inputs[:, None]
            total += part if outputs is None else part * outputs
        return total

    def __getstate__(self) -> dict:
        return super().__getstate__() | {"learning": Learning(), "_ways": None}

    def _new_tile(self, name: str, w: torch.Tensor, pulses: str = "update", digital: bool = False) -> Any:
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


def _nothing(queue: Queue) -> None:
    """Ask for nothing."""


_UNBOUNDED = Device(Constant(tau_max=3e38, tau_min=-3e38))
