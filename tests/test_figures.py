"""The style of all figures, and their files."""

from pathlib import Path

import matplotlib
import pytest
from matplotlib.figure import Figure

import mho
from mho.figures import style


def line():
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([1, 2], [3, 4])
    return figure


def test_one_module_knows_the_style():
    """Everything else draws with `in_style` and writes with `save`."""
    package = Path(mho.__file__).parent
    texts = {str(file.relative_to(package)): file.read_text() for file in package.rglob("*.py")}
    for word in ("rc_context", "rcParams", ".savefig("):
        assert [name for name, text in texts.items() if word in text] in (["figures/style.py"], []), word


def test_the_style_holds_while_a_figure_is_drawn():
    before = matplotlib.rcParams["legend.frameon"], matplotlib.rcParams["axes.prop_cycle"]
    figure = style.in_style(line)()
    [axes] = figure.axes
    assert axes.lines[0].get_color() == style.COLOURS[0] == "#0072B2"
    assert axes.lines[0].get_linewidth() == 1.4
    assert not axes.spines["top"].get_visible()
    assert (matplotlib.rcParams["legend.frameon"], matplotlib.rcParams["axes.prop_cycle"]) == before


def test_series_differ_in_black_and_white():
    looks = [(one["marker"], one["linestyle"]) for one in map(style.series, range(7))]
    assert len({*looks}) == 7
    assert style.series(7)["color"] == style.series(0)["color"]


@pytest.mark.parametrize(
    ("name", "files"),
    [("a", ["a.pdf", "a.png"]), ("a.svg", ["a.svg"]), ("folder/a.PNG", ["folder/a.PNG"])],
)
def test_files_follow_the_suffix(name, files, tmp_path):
    written = style.save(line(), tmp_path / name)
    assert sorted(str(path.relative_to(tmp_path)) for path in written) == files
    assert all(path.stat().st_size > 1000 for path in written)


def test_letters_stand_above_the_panels():
    axes = list(Figure().subplots(1, 2))
    style.letter(axes)
    assert [one.get_title(loc="left") for one in axes] == [r"$\mathbf{a}$", r"$\mathbf{b}$"]
    style.letter(axes, ["one", "two"])
    assert axes[1].get_title(loc="left") == r"$\mathbf{b}$  two"
