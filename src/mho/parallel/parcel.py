"""Parcels that each rank sends to all others: tensors of any shapes and a note about them."""

import math
from typing import Any, NamedTuple

import torch
import torch.distributed as dist

from mho.algorithms.base import Factors
from mho.nn.core.factors import Learning, Place
from mho.parallel.ranks import Group, carrier
from mho.tile.patches import Geometry, Patches

LINE = 16  # tensors begin at multiples of so many bytes, which suits every dtype


class Images(NamedTuple):
    """`Patches` in a parcel: the numbers of the tensors that are the images, and the cut."""

    tensors: list[int]
    geometry: Geometry
    cut: tuple[int, int]


class Call(NamedTuple):
    """Factors of one call of a block, as numbers of tensors in a parcel."""

    place: Place
    x: int | Images
    d: int


class Parcel:
    """Tensors on their way; a tensor that several blocks share is sent once."""

    def __init__(self) -> None:
        self.tensors: list[torch.Tensor] = []
        self._known: dict[tuple, int] = {}

    def add(self, tensor: torch.Tensor) -> int:
        """Return the number of the tensor in the parcel."""
        name = tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, tensor.device
        if name not in self._known:
            self._known[name] = len(self.tensors)
            self.tensors.append(tensor.detach())
        return self._known[name]

    def add_calls(self, learning: Learning) -> list[Call]:
        """Add the recorded factors of a block; of convolutions the images."""
        found = []
        for place, (x, d) in learning.calls():
            if isinstance(x, Patches):
                number: int | Images = Images([self.add(image) for image in x.images], x.geometry, x.cut)
            else:
                number = self.add(x)
            found.append(Call(place, number, self.add(d)))
        return found


def factors_of(call: Call, tensors: list[torch.Tensor], ranks: int, where: torch.device) -> Factors:
    """Return the factors of a call on any rank, d divided by the number of ranks."""
    if isinstance(call.x, Images):
        images = [tensors[n].to(where) for n in call.x.tensors]
        return Factors(Patches(images, call.x.geometry, call.x.cut), tensors[call.d].to(where) / ranks)
    return Factors(tensors[call.x].to(where), tensors[call.d].to(where) / ranks)


def gather(
    note: Any, tensors: list[torch.Tensor], where: torch.device, group: Group
) -> list[tuple[Any, list[torch.Tensor]]]:
    """Return of all ranks, in order, the note (anything that pickles) and the tensors.

    where: device of this rank's tensors.
    """
    kinds = [(tuple(t.shape), t.dtype) for t in tensors]
    sent: list[Any] = [None] * dist.get_world_size(group)
    dist.all_gather_object(sent, (note, kinds), group=group)
    most = max(sum(_room(kind) for kind in kinds) for _, kinds in sent)
    where = carrier(where, group)
    mine = torch.zeros(most, dtype=torch.uint8, device=where)
    lines = list(torch.empty(len(sent), most, dtype=torch.uint8, device=where))
    for part, tensor in zip(_parts(mine, kinds), tensors, strict=True):
        part.copy_(tensor)
    dist.all_gather(lines, mine, group=group)
    return [(note, _parts(line, kinds)) for (note, kinds), line in zip(sent, lines, strict=True)]


Kind = tuple[tuple[int, ...], torch.dtype]


def _parts(line: torch.Tensor, kinds: list[Kind]) -> list[torch.Tensor]:
    """Return the tensors of these kinds that lie in the bytes of a line, one after the other; not copies."""
    parts, start = [], 0
    for shape, dtype in kinds:
        size = math.prod(shape) * dtype.itemsize
        parts.append(line[start : start + size].view(dtype).reshape(shape))
        start += _room((shape, dtype))
    return parts


def _room(kind: Kind) -> int:
    """Return the bytes that a tensor takes in a line."""
    shape, dtype = kind
    return -(-math.prod(shape) * dtype.itemsize // LINE) * LINE
