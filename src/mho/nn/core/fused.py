"""The matrix that the network sees: a sum of arrays in memory of its own, which follows them and programs them."""

import weakref
from typing import Any

import torch
from torch import nn

from mho.algorithms.base import Term
from mho.algorithms.state import State
from mho.base.errors import complaint
from mho.crossbar import Crossbar
from mho.nn.core import foreign
from mho.nn.core.assemble import add_terms, ask_sum, ask_terms
from mho.nn.core.parameter import AnalogParameter, replaced
from mho.numerics.views import in_place, writes
from mho.requests.queue import Queue
from mho.tile.readout import Visible


class Fused(Visible):
    """The sum (out, in) of the visible arrays of an algorithm, as a parameter `weight`.

    After a write to an array `weight` is brought up to date before the next product, or by `refresh`. A write of
    torch code to it, or to an array's numbers, is a programming of the arrays, which `settle` does before the next
    product, step, copy or state_dict.
    """

    hardware: Crossbar
    _own_weight: AnalogParameter
    _seen: torch.Tensor
    learning: Any

    def _show(self, arrays: list[Any]) -> None:
        """Begin to show the arrays of `state`."""
        foreign.watch()
        self._arrays = arrays
        self._factor = 0.0  # of the second term, when `weight` was last brought up to date
        self._shown = self.version  # of the arrays, then
        self.weight = AnalogParameter.of(self, fused(self.visible()).clone())
        self._adopt()
        self.register_load_state_dict_post_hook(_refresh_after_load)

    @property
    def state(self) -> State:
        """The arrays of the algorithm, to which all writes of torch code to `weight` have come."""
        own = self._parameters.get("weight") is self._own_weight  # an exporter puts others in its place
        if own and writes(self._seen) != self._left:
            self.settle()
        return self._held

    @property
    def _held(self) -> State:
        """The arrays as they are."""
        return self._modules["state"]  # type: ignore[return-value]

    def visible(self) -> list[Term]:
        """Return the terms whose sum the network sees."""
        return self.hardware.algorithm.visible(self._held)

    @property
    def w(self) -> torch.Tensor:
        """`weight`, the matrix that the network sees, as a plain tensor that shares its memory and its version."""
        return self._seen

    @property
    def version(self) -> int:
        """Number of writes to the arrays."""
        version = 0
        for array in self._arrays:
            version += array._writes
        return version

    @property
    def is_exact(self) -> bool:
        """True if a step changes the weight by exactly what it is asked for."""
        raise NotImplementedError

    @property
    def steps_as_torch(self) -> bool:
        """True if a step on `weight` is one on the matrix that the layer multiplies with."""
        raise NotImplementedError

    def place(self, value: torch.Tensor) -> None:
        """Program the arrays with a tensor (out, in) that was assigned to `weight.data`, at the next look.

        `weight` gets memory of its own for it: who has kept the former `weight.data` keeps its numbers.
        """
        self._own_weight.move(self._seen.clone())
        self._seen = self._own_weight.detach()
        with torch.no_grad():
            self._seen.copy_(value)

    def settle(self) -> None:
        """Program the arrays with what torch code has written to `weight`, or to the arrays' own numbers.

        Where it wrote both, as averages of parameters and buffers do, the weight counts if they disagree.
        Raises: MhoError if it wrote NaN or infinity; the weight is then what the arrays hold, as before.
        """
        wanted = self._written()
        written = [array for array in self._arrays if array.is_written]
        for array in written:
            array.accept()
        if wanted is not None:
            for term in self.visible():
                term.tile.touched.fill_(1)
        self.refresh()
        if wanted is None:
            return
        if not torch.isfinite(wanted).all():
            what = "NaN or infinity was written to the weight of an analog layer"
            raise complaint("weight", what, "The arrays keep what they held")
        most = 1e-5 * float(wanted.abs().max()) if written else 0.0
        if float((wanted - self._seen).abs().max()) > most:
            self.program(wanted)

    def program(self, w: torch.Tensor) -> None:
        """Program the arrays so that the network sees w (out, in), without digital scales.

        Cells whose weight is to stay keep what they hold, write noise included.
        """
        stays = w == self._seen
        arrays = self._held.tiles().values()
        leaves = [leaf for array in arrays for leaf in array.leaves()]
        planes = [leaf.cells for leaf in leaves]
        planes += [leaf.noise for leaf in leaves if leaf.device.write_noise > 0]
        held = [plane.clone() for plane in planes]
        self.hardware.algorithm.program(self._held, w)
        for plane, before in zip(planes, held, strict=True):
            plane.copy_(torch.where(stays, before, plane))
        for part in (*leaves, *arrays):
            part.refresh()
        self.refresh()

    def _written(self) -> torch.Tensor | None:
        """Return what torch code has written to `weight`, or None. Raises: MhoError if the weight was replaced."""
        weight = self._parameters.get("weight")
        if not self._is_own(weight) and (weight is None or not weight.is_meta):
            raise replaced(weight)
        return None if writes(self._seen) == self._left else self._own_weight.restored(self._seen)

    def _is_own(self, weight: Any) -> bool:
        """Return whether the parameter is this block's, and torch has not swapped what is in it."""
        return weight is self._own_weight and weight.__dict__.get("block") is self._to_self

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        """Program the arrays where a parameter is assigned to `weight`. Raises: MhoError for new names."""
        own = self._parameters.get("weight")
        if own is None or name == "out_scale" or (own is param and name == "weight"):
            super().register_parameter(name, param)
        elif name == "weight" and param is not None and param.shape == own.shape:
            own.data = param.data
        else:
            raise replaced(param)

    def __delattr__(self, name: str) -> None:
        """Refuse to lose `weight`. Raises: MhoError."""
        if name == "weight":
            raise replaced(None)
        super().__delattr__(name)

    @property
    def is_settled(self) -> bool:
        """True if torch code has not written to `weight` since it last agreed with the arrays."""
        return writes(self._seen) == self._left

    def follow(self) -> None:
        """Bring `weight` up to date if an array was written since, and the arrays if torch code wrote to it.

        It costs some 500 ns if nothing was written.
        """
        version = 0
        for array in self._arrays:
            if array.is_written:
                self.settle()
                return
            version += array._writes
        if not self._is_own(self._parameters.get("weight")) or writes(self._seen) != self._left:
            self.settle()
        elif self._shown != version:
            self.refresh()

    def refresh(self) -> None:
        """Bring `weight` up to date with the arrays."""
        weight, terms = self._seen, self.visible()
        if len(terms) <= 2 and all(map(_is_unsigned, terms)) and terms[0].coefficient == 1.0:
            first, second, factor = self._pair_of(terms)
            add_terms(weight, first, second, factor)
        else:
            weight.copy_(fused(terms))
        self.is_shown()

    def ask_refresh(self, queue: Queue) -> None:
        """Ask for `weight` to be brought up to date; `is_shown` comes after."""
        weight, terms = self._seen, self.visible()
        if len(terms) <= 2 and all(map(_is_unsigned, terms)) and terms[0].coefficient == 1.0:
            ask_terms(queue, weight, *self._pair_of(terms))
        elif all(map(_is_unsigned, terms)):
            ask_sum(queue, weight, [term.tile for term in terms], [term.coefficient for term in terms])
        else:
            queue.run()
            weight.copy_(fused(terms))

    def is_shown(self) -> None:
        """Note that `weight` is what the arrays hold."""
        self.__dict__["_shown"] = self.version  # not by attribute, see `Visible.wrote`
        self._wired.clear()
        self._left = writes(self._seen)

    def _pair_of(self, terms: list[Term]) -> tuple[Any, Any, float]:
        """Return the two arrays, or the one twice, and the factor of the second."""
        first, second = terms[0].tile, terms[-1].tile
        factor = terms[1].coefficient if len(terms) == 2 else 0.0
        if factor != self._factor:
            first.touched.fill_(1)
            self._factor = factor
        return first, second, factor

    def _apply(self, fn, recurse=True):
        self.follow()
        with in_place():
            super()._apply(fn, recurse)
        _refresh_after_load(self, None)  # `to_empty` leaves other numbers
        return self

    def _adopt(self) -> None:
        """Make `weight` this block's again where a copy or a move has left another, and take arrays as they are."""
        weight: nn.Parameter = self._parameters["weight"]  # type: ignore[assignment]
        array = self.visible()[0].tile
        if isinstance(weight, AnalogParameter) and weight.device == array.w.device:
            weight.block = weakref.ref(self)
        else:  # also where arrays alone were loaded, with `assign=True`
            data = weight.data if weight.device == array.w.device else torch.empty_like(array.w)
            weight = AnalogParameter.of(self, data, weight.requires_grad)
            self._parameters["weight"] = weight
            array.touched.fill_(1)
        self.__dict__["_own_weight"] = weight  # which nn.Module would register again
        self._to_self = weight.block
        self._seen = weight.detach()
        self._left = writes(self._seen)
        for part in self._arrays:
            part.adopt()

    def __getstate__(self) -> dict:
        self.follow()
        return super().__getstate__() | {"_seen": None, "_own_weight": None, "_to_self": None}

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self._adopt()

    def _save_to_state_dict(self, destination, prefix, keep_vars) -> None:
        self.follow()
        super()._save_to_state_dict(destination, prefix, keep_vars)
        del destination[prefix + "weight"]  # it follows from the arrays

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        for array in self._arrays:
            array.adopt()  # torch.distributed.checkpoint has loaded into its memory, which is no write
        if not self._seen.is_meta:
            self.follow()
        with in_place():
            super()._load_from_state_dict({**state_dict, prefix + "weight": self.weight}, prefix, *args)


def _refresh_after_load(block: Fused, keys: object) -> None:
    """Compute the block's weight from its tiles, which are loaded after the block's own buffers."""
    block._adopt()
    for term in block.visible():
        term.tile.touched.fill_(1)
    block.refresh()


def _is_plain(term: Term) -> bool:
    return term.coefficient == 1.0 and _is_unsigned(term)


def _is_unsigned(term: Term) -> bool:
    return term.row_signs is term.column_signs is None


def fused(terms: list[Term]) -> torch.Tensor:
    """Return the weight that the network sees; one array's own memory if the network sees that alone."""
    if len(terms) == 1 and _is_plain(terms[0]):
        return terms[0].tile.w
    first, *others = (term.weight() for term in terms)
    return sum(others, first)
