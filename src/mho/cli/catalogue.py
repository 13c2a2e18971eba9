"""The catalogue of algorithms: the docstring of a class in parts, joined with its fields."""

import dataclasses
import inspect
import re
import textwrap
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args, get_origin

from mho.base.records import Domain, Record, field_rules
from mho.base.registry import kebab, names

if TYPE_CHECKING:
    from mho.algorithms.base import Algorithm

__all__ = ["Entry", "Field", "algorithms", "describe", "first_clause", "gaps"]

_SECTION = re.compile(r"(Args|Hardware|Source):\s*(.*)")
_ARGUMENT = re.compile(r"(\w+(?:, \w+)*):\s*(.*)")
_ABBREVIATIONS = "Nat|Commun|Front|Neurosci|Artif|Intell|Proc|Phys|Rev|Appl|Lett|Electron|Trans|Adv|Int|cf"
# A full stop behind a bracket, or before a capital letter and not behind an abbreviation or an initial.
_STOP = re.compile(
    r"(?<=\))\.\s+|(?<!\b[A-Z])(?<!\bet al)"
    + "".join(rf"(?<!\b{a})" for a in _ABBREVIATIONS.split("|"))
    + r'\.\s+(?=[A-Z"`])'
)


class Field(NamedTuple):
    """A hyper-parameter. It is `declared` by the class itself, or else inherited."""

    name: str
    default: str
    domain: str
    text: str
    declared: bool


class Entry(NamedTuple):
    """An algorithm as text. A part that its docstring lacks is ""."""

    name: str  # as --algorithm takes it
    title: str  # the class
    summary: str
    equations: str
    prose: str
    fields: tuple[Field, ...]
    hardware: str
    source: str
    unknown: tuple[str, ...]  # arguments that the docstring explains and the class lacks

    def as_dict(self) -> dict[str, Any]:
        """Return the entry as plain data, for JSON."""
        return self._asdict() | {"fields": [f._asdict() for f in self.fields]}


class DocParts(NamedTuple):
    """The parts of a docstring."""

    summary: str
    equations: str
    prose: str
    arguments: dict[str, str]
    hardware: str
    source: str


def algorithms() -> dict[str, type["Algorithm"]]:
    """Return {name as --algorithm takes it: class} of every algorithm of the package, by name."""
    import mho.algorithms  # torch: `mho train --help` does not wait for it

    return names(mho.algorithms.Algorithm)


def describe(cls: type[Record]) -> Entry:
    """Return the entry of a class. An inherited field has the text of the class that explains it, or ""."""
    parts = parse(_own_doc(cls))
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        texts |= parse(_own_doc(base)).arguments
    declared = inspect.get_annotations(cls)
    fields = tuple(
        Field(
            f.name, _default(f), _domain(*field_rules(cls)[f.name]), texts.get(f.name, ""), f.name in declared
        )
        for f in dataclasses.fields(cls)  # type: ignore[arg-type]
    )
    unknown = tuple(name for name in parts.arguments if name not in field_rules(cls))
    summary, equations, prose, _, hardware, source = parts
    return Entry(
        kebab(cls.__name__), cls.__name__, summary, equations, prose, fields, hardware, source, unknown
    )


def gaps(entry: Entry) -> list[str]:
    """List the parts that the docstring of a published algorithm must have and this one lacks."""
    missing = [part for part in ("summary", "equations", "hardware", "source") if not getattr(entry, part)]
    missing += [f"text for {f.name}" for f in entry.fields if f.declared and not f.text]
    return missing + [f"a field {name}, which it explains" for name in entry.unknown]


def parse(doc: str) -> DocParts:
    """Return the parts of a docstring: a sentence, indented equations, prose, `Args:`, `Hardware:`, `Source:`.

    All indented lines of the first part are equations. A section ends at the next one, or at a blank line that text
    without indentation follows.
    """
    lines: dict[str, list[str]] = {name: [] for name in ("", "Equations", "Args", "Hardware", "Source")}
    section, after_blank = "", False
    for line in inspect.cleandoc(doc).splitlines():
        start = _SECTION.match(line)
        if start:
            section = start[1]
            line = start[2]
        elif section and after_blank and line and not line.startswith(" "):
            section = ""
        indented = line.startswith("    ")
        lines["Equations" if not section and indented else section].append(line)
        if not line and lines["Equations"]:
            lines["Equations"].append("")
        after_blank = not line
    first, _, rest = "\n".join(lines[""]).strip().partition("\n\n")
    summary, *more = sentences(" ".join(first.split()))
    prose = [" ".join(p.split()) for p in [" ".join(more), *rest.split("\n\n")]]
    equations = re.sub(r"\n{2,}", "\n\n", textwrap.dedent("\n".join(lines["Equations"])).strip("\n"))
    hardware, source = (" ".join(" ".join(lines[name]).split()) for name in ("Hardware", "Source"))
    return DocParts(
        summary, equations, "\n\n".join(p for p in prose if p), _arguments(lines["Args"]), hardware, source
    )


def sentences(text: str) -> list[str]:
    """Cut a text at its full stops; [""] for an empty one."""
    parts = _STOP.split(text)
    return [part + "." for part in parts[:-1]] + [parts[-1]]


def first_clause(text: str) -> str:
    """Return a text up to its first semicolon or full stop, without that."""
    return sentences(text)[0].partition("; ")[0].rstrip(".")


def _arguments(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    names: list[str] = []
    for line in textwrap.dedent("\n".join(lines).strip("\n")).splitlines():
        start = None if line.startswith(" ") else _ARGUMENT.match(line)
        if start:
            names = start[1].split(", ")
        for name in names:
            found[name] = f"{found.get(name, '')} {start[2] if start else line.strip()}".strip()
    return found


def _own_doc(cls: type) -> str:
    """Return the docstring of the class itself; the signature that dataclasses put there is none."""
    doc = cls.__dict__.get("__doc__") or ""
    return "" if doc.startswith(f"{cls.__name__}(") else doc


def _default(field: dataclasses.Field) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return repr(field.default_factory())
    return "" if field.default is dataclasses.MISSING else repr(field.default)


def _domain(kind: Any, domains: tuple[Domain, ...]) -> str:
    """Return the domain in words: `zero or positive`, or the type if no domain is declared."""
    if domains:
        return " and ".join(d.words for d in domains)
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    members = [k for k in get_args(kind) if k is not type(None)]
    if members:
        empty = type(None) in get_args(kind)
        return " or ".join([*(_domain(k, ()) for k in members), *(["None"] if empty else [])])
    names = {float: "a number", int: "an integer", bool: "True or False", str: "text"}
    return names.get(kind, getattr(kind, "__name__", str(kind)))
