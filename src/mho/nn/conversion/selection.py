"""The choice of a conversion: layers of a model, and the hardware of each."""

import difflib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple, Protocol, runtime_checkable

from torch import nn

from mho.base.errors import MhoError, complaint, wrong_type
from mho.crossbar import Crossbar

Hardware = Crossbar | Mapping[str, Crossbar | None]
Filter = Callable[[nn.Module, str], bool]
Layers = dict[nn.Module, list[str]]
"""{layer: the names under which the model holds it, the first one first}."""
WHERE = "convert_(model)"


@runtime_checkable
class Analog(Protocol):
    """A layer on crossbars that can be turned into a layer of torch."""

    def to_digital(self) -> nn.Module: ...


class ChosenLayer(NamedTuple):
    """A layer to be converted."""

    layer: nn.Module
    names: list[str]
    hardware: Crossbar


def layers_of(model: nn.Module, kinds: tuple[type, ...]) -> Layers:
    """Find modules of exactly these types, but none inside of them, of their subclasses or of analog layers."""
    found: Layers = {}
    for name, module in walk(model, (*kinds, Analog)):
        if type(module) in kinds:
            found.setdefault(module, []).append(name)
    return found


def analog_layers_of(model: nn.Module) -> Layers:
    """Find the analog layers, but not those inside of others."""
    found: Layers = {}
    for name, module in walk(model, (Analog,)):
        if isinstance(module, Analog):
            found.setdefault(module, []).append(name)
    return found


def names_of(model: nn.Module, layers: Iterable[nn.Module]) -> Layers:
    """Return the names of these layers of the model."""
    found: Layers = {layer: [] for layer in layers}
    for name, module in model.named_modules(remove_duplicate=False):
        if module in found:
            found[module].append(name)
    return found


def choose(
    model: nn.Module, hardware: Hardware, filter_fn: Filter | None, kinds: tuple[type, ...]
) -> list[ChosenLayer]:
    """Choose the layers to be converted, in the order of the model.

    Raises: MhoError if there is none, or no layer has a name of `hardware`.
    """
    if not isinstance(model, nn.Module):
        raise wrong_type(WHERE, "the model", model, "a torch.nn.Module")
    by_name = hardware if isinstance(hardware, Mapping) else {"*": hardware}
    for own in by_name.values():
        if not isinstance(own, Crossbar) and (own is not None or not isinstance(hardware, Mapping)):
            raise wrong_type("convert_(hardware=...)", "it", own, "an mho.Crossbar, or a mapping to them")
    layers = layers_of(model, kinds)
    if isinstance(hardware, Mapping):
        _check_patterns(model, hardware, layers, kinds)
    chosen = []
    for layer, names in layers.items():
        own = next((own for pattern, own in by_name.items() if _matches(pattern, names)), None)
        if own is not None and (filter_fn is None or any(filter_fn(layer, name) for name in names)):
            chosen.append(ChosenLayer(layer, names, own))
    if not chosen:
        raise _nothing(model, kinds)
    return chosen


def walk(model: nn.Module, leaves: tuple[type, ...], name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield all modules by all their names, but none inside of a leaf."""
    yield name, model
    if not isinstance(model, leaves):
        for leaf, child in model._modules.items():
            if child is not None:
                yield from walk(child, leaves, f"{name}.{leaf}" if name else leaf)


def _matches(pattern: str, names: Iterable[str]) -> bool:
    return any(name == pattern or fnmatchcase(name, pattern) for name in names)


def _check_patterns(model: nn.Module, hardware: Mapping, layers: Layers, kinds: tuple[type, ...]) -> None:
    known = [name for names in layers.values() for name in names]
    for pattern in hardware:
        if any(_matches(pattern, [name]) for name in known):
            continue
        where, what = (
            f"convert_(hardware={{{pattern!r}: ...}})",
            "no layer that can be converted has this name",
        )
        module = dict(model.named_modules()).get(pattern)
        if module is not None and type(module) not in kinds:
            what = f"it is a {type(module).__name__}{_of_which(module, kinds)}"
        close = difflib.get_close_matches(pattern, known, n=3) or known[:3]
        need = f"Names are exact, or patterns such as 'layers.*.linear'; there are {len(known)}"
        fix = f"did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise complaint(where, what, need, fix)


def _nothing(model: nn.Module, kinds: tuple[type, ...]) -> MhoError:
    seen, notes = set(), []
    for name, module in walk(model, (*kinds, Analog)):
        if not list(module.children()) or isinstance(module, (*kinds, Analog)):
            seen.add(type(module).__name__)
        if isinstance(module, kinds) and type(module) not in kinds:
            notes.append(f"{name!r} is a {type(module).__name__}{_of_which(module, kinds)}")
    return complaint(
        WHERE,
        "; ".join(
            [
                f"no module matched; the model has modules of types {{{', '.join(sorted(seen))}}}",
                *itertools.islice(notes, 3),
            ]
        ),
        f"Convertible are {', '.join(sorted(kind.__name__ for kind in kinds))}",
        "check filter_fn and the names of `hardware`",
    )


def _of_which(module: nn.Module, kinds: tuple[type, ...]) -> str:
    """Return the words of an error about a subclass."""
    bases = [kind.__name__ for kind in kinds if isinstance(module, kind)]
    return f", a subclass of {bases[0]}, which may compute something else and is left alone" if bases else ""
