"""The style of all figures in Python: colours, marks and lines of the series, letters of the panels, and files."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from mho.base.errors import complaint
from mho.base.files import make_folder, whole

STYLE = matplotlib.rc_params_from_file(Path(__file__).with_name("mho.mplstyle"), use_default_template=False)
COLOURS: tuple[str, ...] = tuple(STYLE["axes.prop_cycle"].by_key()["color"])
MARKS = "os^Dv<>"
LINES = ("-", "--", "-.", ":")
SUFFIXES = {
    ".png": "Software",
    ".pdf": "CreationDate",
    ".svg": "Date",
}  # and the metadata that a file leaves out

Drawing = TypeVar("Drawing", bound=Callable[..., Any])


def in_style(draw: Drawing) -> Drawing:
    """Decorate a function that draws: the style holds while it runs, and only then."""
    return matplotlib.rc_context(STYLE)(draw)


def series(i: int) -> dict[str, Any]:
    """Return colour, mark and line style of the i-th series of a figure, as `Axes.plot` takes them."""
    return {
        "color": COLOURS[i % len(COLOURS)],
        "marker": MARKS[i % len(MARKS)],
        "markersize": 3.5,
        "linestyle": LINES[i % len(LINES)],
    }


def letter(panels: Sequence[Axes], titles: Sequence[str] = ()) -> None:
    """Write a, b, c, ... in bold above the panels, each with its title if there are titles."""
    for i, axes in enumerate(panels):
        title = f"  {titles[i]}" if titles else ""
        axes.set_title(rf"$\mathbf{{{'abcdef'[i]}}}${title}", loc="left")


def logarithmic(axes: Axes, which: str = "xy") -> None:
    """Make axes logarithmic (`which`: "x", "y" or both); decades alone have labels."""
    for name, axis, scale in (("x", axes.xaxis, axes.set_xscale), ("y", axes.yaxis, axes.set_yscale)):
        if name in which:
            scale("log")
            axis.set_minor_formatter(NullFormatter())


def save(figure: Figure, path: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Write a figure, each file whole, and return their paths.

    A `path` with a suffix is one file; without a suffix it stands for .png and .pdf. Equal figures give equal
    bytes. Folders are made as needed.
    Raises: MhoError for a suffix other than .png (300 dpi), .pdf and .svg, and for a place that cannot be written.
    """
    path = Path(path)
    paths = (path,) if path.suffix else (Path(f"{path}.png"), Path(f"{path}.pdf"))
    for one in paths:
        check_suffix(one)
    for one in paths:
        make_folder(one.parent, str(one))
        suffix = one.suffix.lower()
        with whole(one) as part, matplotlib.rc_context(STYLE):
            figure.savefig(part, format=suffix[1:], metadata={SUFFIXES[suffix]: None})
    return paths


def check_suffix(path: Path) -> None:
    """Raise MhoError if `save` has no format for a file of this name."""
    if path.suffix.lower() not in SUFFIXES:
        raise complaint(
            str(path), f"no figure is written as {path.suffix!r}", f"Known: {', '.join(SUFFIXES)}"
        )
