"""The registry: every record of this package by the names that files, Python and the command line accept.

A subclass of `Record` registers itself when its module is imported: the registry is the tree of subclasses.
Nothing is listed by hand and nothing is imported from a string. A reader of files therefore imports the rooms
whose members a file may name (`mho.algorithms`, `mho.responses`), as `mho.training.spec` does.

A name is spelled in any way: `ERIDER`, `erider` and `e-rider` are one, and so are the `aliases` of a class, such as
`ttv2` of `TikiTakaV2`. Two classes may share an alias; naming it is then an error that lists both.

A user's own classes live outside this package, and so no file can name them.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from mho.base.errors import complaint, did_you_mean
from mho.base.records import Record


def registered(*kinds: type) -> dict[str, Any]:
    """Return {class name: class} of all named records of this package, or of those of these kinds, sorted by
    name."""
    known = {cls.__name__: cls for cls in _below(Record) if issubclass(cls, kinds or Record)}
    return dict(sorted(known.items()))


def names(kind: type) -> dict[str, Any]:
    """Return {name in kebab-case: class} of all members of a kind, such as `Response`, sorted by name."""
    return dict(sorted((kebab(name), cls) for name, cls in registered(kind).items()))


def find(where: str, name: str, *kinds: type) -> type[Any] | None:
    """Return the class that a name stands for, in any spelling or by an alias; None if there is none.

    Args:
        where: the call, for the error; name: as the user wrote it; kinds: the classes that fit there.
    Raises: MhoError if the name is an alias of several classes.
    """
    known = registered(*kinds)
    exact = pick(name, known)
    if exact is not None:
        return known[exact]
    fitting = [cls for cls in known.values() if pick(name, vars(cls).get("aliases", ())) is not None]
    if len(fitting) > 1:
        meant = " or ".join(kebab(cls.__name__) for cls in fitting)
        raise complaint(where, f"{name!r} stands for several classes", fix=f"write {meant}")
    return fitting[0] if fitting else None


def member(where: str, name: str, kind: type, wrong: str) -> type[Any]:
    """Return the member of a kind that a name stands for.

    Raises: MhoError, which says what is `wrong`, the nearest name and all names, if there is none; and as `find`.
    """
    found = find(where, name, kind)
    if found is None:
        raise complaint(where, wrong, did_you_mean(kebab(name), names(kind)))
    return found


def pick(name: str, known: Iterable[str]) -> str | None:
    """Return the one of some known names that has this spelling but for case, hyphens and underscores."""
    return next((other for other in known if plain(other) == plain(name)), None)


def plain(name: str) -> str:
    """Return a name without case, hyphens and underscores: `E-RIDER` is `erider`."""
    return name.lower().replace("-", "").replace("_", "")


def kebab(name: str) -> str:
    """Return a class name as the command line spells it: `AnalogSGD` is `analog-sgd`."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name)
    return parts.replace("_", "-").lower()


def _below(cls: type[Record]) -> Iterator[type[Record]]:
    """Yield the named classes of this package that derive from a class."""
    for derived in cls.__subclasses__():
        if derived.is_named and derived.__module__.partition(".")[0] == __name__.partition(".")[0]:
            yield derived
        yield from _below(derived)
