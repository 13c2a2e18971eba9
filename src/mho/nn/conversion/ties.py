"""Tied weights: parameters that a layer shares with other modules, before a conversion and after it."""

import itertools
from collections import Counter
from collections.abc import Collection, Mapping
from typing import NamedTuple

import torch
from torch import nn

from mho.base.errors import MhoError, complaint
from mho.nn.conversion.selection import ChosenLayer


class Ties(NamedTuple):
    """The ties of chosen layers.

    Args:
        weights: {module with the weight of a layer: that layer}; it becomes a layer on the same arrays.
        biases: layers whose digital bias is also another module's parameter, which stays.
    """

    weights: dict[nn.Module, ChosenLayer]
    biases: list[nn.Module]


def ties_of(
    model: nn.Module, chosen: list[ChosenLayer], kinds: Collection[type], tied: Collection[type]
) -> Ties:
    """Find the ties of chosen layers to other modules of the model.

    The weight of an `nn.Linear` may be that of embeddings, and of other chosen `nn.Linear`s on the same hardware.
    Its digital bias may be anyone's.

    Args:
        kinds: of layers that are chosen by name; tied: of modules that can work on the arrays of a layer.
    Raises: MhoError for any other tie, and for parameters that share memory in another way.
    """
    _check_memory(model, chosen)
    owner = {id(p): of for of in reversed(chosen) for p in of.layer.parameters()}
    inside = {module: of for of in chosen for module in of.layer.modules()}
    found = Ties({}, [])
    for name, module in model.named_modules():
        for own, p in module._parameters.items():
            of, other = owner.get(id(p)), inside.get(module)
            if of is None or other is of:
                continue
            fits = type(module) not in kinds if other is None else other.hardware == of.hardware
            if _is_bias(of, p) and (other is None or _is_bias(other, p)):
                found.biases.extend(part.layer for part in (of, other) if part is not None)
            elif own == "weight" and _is_weight(of, p) and type(module) in tied and fits:
                found.weights[module] = of
            else:
                raise _refused(of, f"{name + '.' if name else ''}{own}")
    return found


def tie(made: Mapping[nn.Module, nn.Module], model: nn.Module) -> None:
    """Give digital layers one weight where their analog layers have one matrix, and biases that others have too.

    made: {analog layer: digital layer}, before they replace the analog ones in the model.
    """
    first: dict[nn.Module, nn.Module] = {}
    uses = Counter(id(p) for module in model.modules() for p in module._parameters.values() if p is not None)
    for analog, digital in made.items():
        matrix, bias = analog._modules.get("matrix"), analog._parameters.get("bias")
        if matrix is not None and (other := first.setdefault(matrix, digital)) is not digital:
            digital.weight = other.weight
        if bias is not None and uses[id(bias)] > 1:
            digital.bias = bias


def _check_memory(model: nn.Module, chosen: list[ChosenLayer]) -> None:
    """Check that no weight shares numbers with another parameter: `b.weight = nn.Parameter(a.weight.t())`."""
    owner = {id(p): of for of in reversed(chosen) for p in of.layer.parameters()}
    by_memory: dict[int, list[tuple[int, int, str, nn.Parameter]]] = {}
    for name, p in model.named_parameters():
        if p.layout is torch.strided and not p.is_meta and p.numel():
            by_memory.setdefault(p.untyped_storage().data_ptr(), []).append((*_span(p), name, p))
    for group in by_memory.values():
        group.sort(key=lambda place: place[:2])
        for n, (first, last, one, p) in enumerate(group):
            for _, _, other, q in itertools.takewhile(lambda place: place[0] < last, group[n + 1 :]):  # noqa: B023
                of, name = (owner.get(id(p)), other) if id(p) in owner else (owner.get(id(q)), one)
                if of is not None and _overlap(p, q, first):
                    raise _refused(of, name)


def _overlap(p: torch.Tensor, q: torch.Tensor, first: int) -> bool:
    """Return whether two views of one storage have a number in common; first: the place of the first of all."""
    marks = torch.zeros(max(_span(p)[1], _span(q)[1]) - first, dtype=torch.bool)
    own, others = (marks.as_strided(t.shape, t.stride(), t.storage_offset() - first) for t in (p, q))
    own.fill_(True)
    return bool(others.any())


def _span(t: torch.Tensor) -> tuple[int, int]:
    """Return the place of the first number of a tensor in its storage, and that behind the last."""
    first = int(t.storage_offset())
    return first, first + 1 + sum(
        (n - 1) * int(stride) for n, stride in zip(t.shape, t.stride(), strict=True)
    )


def _is_bias(of: ChosenLayer, p: nn.Parameter) -> bool:
    return type(of.layer) is nn.Linear and p is of.layer.bias and of.hardware.mapping.bias == "digital"


def _is_weight(of: ChosenLayer, p: nn.Parameter) -> bool:
    return type(of.layer) is nn.Linear and p is of.layer.weight


def _refused(of: ChosenLayer, place: str) -> MhoError:
    return complaint(
        f"convert_(model): layer {of.names[0]!r}",
        f"its weight is also {place} (tied weights)",
        "An array is one place: converted, the layer would have weights of its own",
        f"leave it digital, such as by {{{of.names[0]!r}: None, '*': hardware}}, or untie it before: "
        "layer.weight = nn.Parameter(layer.weight.detach().clone())",
    )
