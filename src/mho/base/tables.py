"""Tables for a terminal, in the one look of this package.

Every table has a line under its head and no frame. Cells are plain text: brackets are not markup.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["add_rows", "table"]


def table(
    *columns: str,
    rows: Iterable[Sequence[str]] = (),
    title: str = "",
    caption: str = "",
    share: Mapping[str, int] | None = None,
    unbroken: Container[str] = (),
) -> "Table":
    """Return a table with these columns and rows.

    Args:
        columns: the heads. The first column is never wrapped. A head with ">" in front, such as ">pulses", makes a
            column of numbers: aligned to the right, never wrapped.
        rows: a text for each column.
        title: the line above; caption: the line below.
        share: {head: parts}; these columns divide the width that the others leave.
        unbroken: heads of columns of text that are never wrapped either.
    """
    from rich.box import SIMPLE_HEAD  # rich takes as long to import as all of `mho --help`
    from rich.table import Table

    view = Table(title=title or None, caption=caption or None, box=SIMPLE_HEAD, title_justify="left")
    for i, column in enumerate(columns):
        head = column.removeprefix(">")
        number = head != column
        one_line = number or i == 0 or head in unbroken
        view.add_column(
            head,
            justify="right" if number else "left",
            no_wrap=one_line,
            overflow="ellipsis" if one_line else "fold",  # a number that is cut must show it
            ratio=(share or {}).get(head),
        )
    add_rows(view, rows)
    return view


def add_rows(view: "Table", rows: Iterable[Sequence[str]], style: str = "", section: bool = False) -> None:
    """Add rows of plain text to a table.

    Args:
        view: the table; rows: a text for each of its columns.
        style: of all cells in these rows, such as "red"; section: draw a line behind each row.
    """
    from rich.text import Text

    for row in rows:
        view.add_row(*map(Text, row), style=style or None, end_section=section)
