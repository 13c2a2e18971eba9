"""`mho algorithms`: the list of algorithms, the explanation of one, and `advise`."""

from typing import Annotated

import typer

from mho.cli.advise import advise
from mho.cli.options import AsJson, print_json

app = typer.Typer(help="List the training algorithms, explain one, advise on settings.", no_args_is_help=True)
app.command("advise")(advise)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all algorithms: what each does, what it needs for every weight, who published it.

    Example: mho algorithms list
    """
    from rich.console import Console

    from mho.base.tables import table
    from mho.cli.catalogue import algorithms, describe, first_clause

    entries = [describe(cls) for cls in algorithms().values()]
    if as_json:
        print_json([entry.as_dict() for entry in entries])
        return
    rows = [(e.name, e.summary, first_clause(e.hardware), first_clause(e.source)) for e in entries]
    columns = ("algorithm", "what it does", "arrays and digital memory", "source")
    title = "Algorithms: mho algorithms show NAME explains one"
    Console().print(
        table(*columns, rows=rows, title=title, share=dict(zip(columns[1:], (3, 2, 2), strict=True)))
    )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="As `mho algorithms list` spells it, or the class.")],
    as_json: AsJson = False,
) -> None:
    """Explain one algorithm: equations, every hyper-parameter with default, domain and meaning, source.

    Example: mho algorithms show residual-learning
    """
    from rich.console import Console
    from rich.text import Text

    from mho.algorithms.base import Algorithm
    from mho.base.registry import member
    from mho.base.tables import table
    from mho.cli.catalogue import describe

    entry = describe(member(f"mho algorithms show {name}", name, Algorithm, "there is no such algorithm"))
    if as_json:
        print_json(entry.as_dict())
        return
    console = Console()
    console.print(Text(f"{entry.title} (--algorithm {entry.name})", style="bold"))
    console.print(f"{entry.summary}\n", markup=False, highlight=False)
    for line in entry.equations.splitlines():
        console.print(Text(f"    {line}"), soft_wrap=True)
    if entry.prose:
        console.print(f"\n{entry.prose}", markup=False, highlight=False)
    if entry.fields:
        rows = [(f.name, f.default, f.domain, f.text) for f in entry.fields]
        console.print(
            table(
                "field",
                "default",
                "domain",
                "meaning",
                rows=rows,
                share={"meaning": 1},
                unbroken=("default",),
            )
        )
        console.print(f"To set one: --set algorithm.{entry.fields[0].name}=...", highlight=False)
    for title, text in (("Hardware", entry.hardware), ("Source", entry.source)):
        console.print(f"\n{title}: {text}", markup=False, highlight=False)
