"""`mho data`: downloads and checks of the data sets."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Fetch and check the data sets.", no_args_is_help=True)

DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the data sets: each has a subfolder mnist/ or fashion_mnist/ with its four files.",
        show_default="$MHO_DATA, else data",
    ),
]


@app.command()
def get(
    names: Annotated[list[str], typer.Argument(help="mnist, fashion_mnist, or both.")],
    data_dir: DataDir = None,
    mirrors: Annotated[
        list[str] | None,
        typer.Option(
            "--mirror", help="Address of a folder with the four files, tried instead of the known servers."
        ),
    ] = None,
    tries: Annotated[int, typer.Option(min=1, help="Attempts at each server.")] = 3,
) -> None:
    """Download MNIST (11 MB) or Fashion-MNIST (30 MB), four files each.

    Files that are there and intact are kept; each new one is checked against its SHA-256 before it appears.

    Example: mho data get mnist fashion_mnist --data-dir data
    """
    from mho.cli.progress import Bars
    from mho.data.download import get

    for name in names:
        with Bars(each=True, data=True) as bars:
            folder = get(name, data_dir, mirrors=mirrors or (), tries=tries, progress=bars.show)
        typer.echo(f"{name}: complete in {folder}")


@app.command()
def check(
    names: Annotated[
        list[str] | None, typer.Argument(help="Data sets; all of them if none is named.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Verify counts, ranges and checksums. Exit code 2 if a set that was named is missing or damaged.

    Example: mho data check mnist --data-dir data
    """
    from rich.console import Console

    from mho.base.tables import add_rows, table
    from mho.data.dataset import NAMES, check

    view = table("data set", "file", "contents", "verdict", title="Data sets", unbroken=("file",))
    bad = False
    for name in names or NAMES:
        files = check(name, data_dir)
        absent = all(verdict == "missing" for _, verdict in files.values())
        for file, (contents, verdict) in files.items():
            add_rows(view, [(name, file, contents, verdict)], style="" if verdict == "ok" else "red")
            bad |= verdict != "ok" and (bool(names) or not absent)
    Console().print(view)
    raise typer.Exit(2 if bad else 0)
