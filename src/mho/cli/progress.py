"""Progress bars of all verbs, which vanish at the end."""

import time
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)


class Bars:
    """A bar, or one for each title, for any function that tells `show` how far it is; nothing without a terminal.

    Args:
        each: a bar for each title, hidden when it is full; else one bar whose title changes.
        data: count bytes, not steps.
        after: seconds until the first bar appears, so that short work shows none.
        console: the terminal; None: the standard error.
    """

    def __init__(
        self, *, each: bool = False, data: bool = False, after: float = 0.0, console: Console | None = None
    ) -> None:
        console = console or Console(stderr=True)
        columns: tuple[ProgressColumn, ...] = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            DownloadColumn() if data else MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeRemainingColumn(compact=True),
        )
        self.progress = Progress(
            *columns, console=console, expand=True, transient=True, disable=not console.is_terminal
        )
        self.each, self.start = each, time.monotonic() + after
        self.tasks: dict[str, Any] = {}

    def __enter__(self) -> "Bars":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def show(self, title: str, done: int, total: int, note: str = "") -> None:
        """Show how far the work of that title is.

        Args:
            title: the words before the bar.
            done: steps or bytes so far; total: all of them, 0 if unknown.
            note: the words behind the bar.
        """
        key = title if self.each else ""
        if key not in self.tasks:
            self.tasks[key] = self.progress.add_task(title, total=None, note="")
        visible = not (self.each and 0 < total <= done)
        self.progress.update(
            self.tasks[key],
            description=title,
            completed=done,
            total=total or None,
            note=note,
            visible=visible,
        )
        if time.monotonic() >= self.start:
            self.progress.start()  # does nothing the second time

    def close(self) -> None:
        """Remove the bars."""
        self.progress.stop()
