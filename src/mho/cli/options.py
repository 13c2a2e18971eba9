"""Options that follow from the fields of a record, and those that several verbs share.

A field becomes an option of the same name. Type, default, domain and text are those of the record, which is the one
place where they are written.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer
from typer import Context, Option

from mho.base.errors import complaint
from mho.base.records import Record, field_rules
from mho.cli.catalogue import describe

AsJson = Annotated[bool, Option("--json", help="Print JSON, for scripts.")]
Settings = Annotated[
    list[str] | None,
    Option("--set", metavar="FIELD=VALUE", help="Any field of the device: dw_min=0.01, response.tau=0.6."),
]


def with_fields(
    record: type[Record], panels: Mapping[str, tuple[str, ...]], rest: str, without: tuple[str, ...]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a verb an option for each field of a record, in its argument `**fields`.

    Args:
        record: the class with the fields; its `Args:` are the texts.
        panels: {title: fields}, the groups of `--help` in their order; a group without fields has the verb's own.
        rest: the title for fields that no group names.
        without: fields that are no options.
    """
    order = list(panels)

    def panel_of(p: inspect.Parameter) -> int:
        title = p.annotation.__metadata__[0].rich_help_panel if p.annotation is not Context else order[0]
        return order.index(title)

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(verb)
        of_field = {name: title for title, names in panels.items() for name in names}
        texts = {field.name: field.text for field in describe(record).fields}
        options = [
            _option(record, field, texts[field.name], of_field.get(field.name, rest))
            for field in dataclasses.fields(record)  # type: ignore[arg-type]
            if field.name not in without
        ]
        options += [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
        ordered = [p.replace(kind=p.KEYWORD_ONLY) for p in sorted(options, key=panel_of)]
        verb.__signature__ = own.replace(parameters=ordered)  # type: ignore[attr-defined]
        return verb

    return decorate


def values_of(record: type[Record], context: Context, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return {field: value} of the options that were given on the command line; the others keep their defaults."""
    given = {
        name: value
        for name, value in fields.items()
        if (source := context.get_parameter_source(name)) is not None and source.name != "DEFAULT"
    }
    return {name: _value(name, field_rules(record)[name][0], value) for name, value in given.items()}


def print_json(data: Any) -> None:
    """Print data as JSON with two blanks an indent."""
    import json

    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))


def _option(record: type[Record], field: dataclasses.Field, text: str, panel: str) -> inspect.Parameter:
    """Return the parameter that typer makes the option of a field from."""
    kind, domains = field_rules(record)[field.name]
    text, _, absent = text.partition(" None: ")
    flag = f"--{field.name.replace('_', '-')}"
    shown: Any = field.default
    look: dict[str, Any] = {"rich_help_panel": panel}
    if get_origin(kind) is tuple:
        kind, shown, look["metavar"] = str, ",".join(map(str, shown)), "N,N,..."
        text = text.replace("()", '""')
    elif kind not in (bool, int, float):
        kind = Path if field.name.endswith("_dir") else str
    if field.default is None:
        kind, look["show_default"] = kind | None, absent.rstrip(".") or False
    for domain in domains:
        text = f"{text.rstrip('.')} ({domain.words})."
    help_text = text[:1].upper() + text[1:]
    annotation = Annotated[kind, Option(flag, help=help_text, **look)]  # type: ignore[valid-type]
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=shown, annotation=annotation)


def _value(name: str, kind: Any, value: Any) -> Any:
    """Return the value of an option as the record takes it."""
    if isinstance(value, Path):
        return str(value)
    if get_origin(kind) is not tuple:
        return value
    try:
        return tuple(get_args(kind)[0](part) for part in value.split(",") if part.strip())
    except ValueError:
        where = f"--{name.replace('_', '-')} {value}"
        raise complaint(where, "these are no numbers", "Needed: N,N,...", "such as 256,128") from None
