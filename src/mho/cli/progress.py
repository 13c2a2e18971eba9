"""What a user sees while a run goes on: a bar on a terminal, one line an epoch elsewhere."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mho.training.session import Row, Session


def watcher(console: Console, title: str, quiet: bool = False) -> "Bar | Lines | None":
    """The watcher that suits this console; None if it should be quiet."""
    if quiet:
        return None
    return Bar(console, title) if console.is_terminal else Lines(console, title)


def line(row: Row) -> str:
    """An epoch in a line."""
    return (
        f"epoch {row['epoch']:3.0f}  loss {row['train_loss']:.4f} (test {row['test_loss']:.4f})  "
        f"accuracy {row['train_accuracy']:.2%} (test {row['test_accuracy']:.2%})  {row['seconds']:.1f} s"
    )


class Lines:
    """One line an epoch."""

    def __init__(self, console: Console, title: str) -> None:
        self.console, self.title = console, title

    def batch(self, session: Session) -> None:
        pass

    def close(self) -> None:
        pass

    def epoch(self, session: Session, row: Row) -> None:
        self.console.print(f"{self.title}  {line(row)}", highlight=False, markup=False, soft_wrap=True)


class Bar:
    """A bar over all batches of the run, with the running loss and accuracy; it vanishes at the end."""

    def __init__(self, console: Console, title: str) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[scores]}"),
            TimeRemainingColumn(compact=True),
        )
        self.progress = Progress(*columns, console=console, expand=True, transient=True)
        self.title, self.tested = title, ""
        self.task = self.progress.add_task(title, total=None, scores="")

    def batch(self, session: Session) -> None:
        self.progress.start()  # does nothing the second time
        loss, accuracy = session.loss_sum / session.seen, session.hits / session.seen
        self.progress.update(
            self.task,
            total=session.spec.epochs * session.batches,
            completed=session.epoch * session.batches + session.batch,
            scores=f"loss {loss:.3f}  accuracy {accuracy:.1%}{self.tested}",
        )

    def epoch(self, session: Session, row: Row) -> None:
        self.tested = f"  test {row['test_accuracy']:.1%}"

    def close(self) -> None:
        self.progress.stop()
