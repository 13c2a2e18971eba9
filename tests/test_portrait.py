"""Portraits of devices: numbers by hand, laws of all kinds, and figures that are not empty."""

import math

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import mho
from mho import datasheet
from mho.datasheet import figure, lookup, panels, ramps
from mho.datasheet.nominal import traverse
from mho.figures.style import save
from mho.responses import Constant, Exponential, Linear, Power, SoftBounds

SMALL = (20, 30)


class TwoWells(mho.Response):
    """G = w (w^2 - 1/4): repels at 0, attracts at +-1/2."""

    def up(self, w):
        return 1 - w * (w * w - 0.25)

    def down(self, w):
        return 1 + w * (w * w - 0.25)

    def bounds(self):
        return -1.0, 1.0


class Rising(mho.Response):
    """Only up pulses do anything."""

    def up(self, w):
        return 1 - w

    def down(self, w):
        return torch.zeros_like(w)

    def bounds(self):
        return 0.0, 1.0


class Falling(mho.Response):
    """Only down pulses do anything."""

    def up(self, w):
        return torch.zeros_like(w)

    def down(self, w):
        return 1 + w

    def bounds(self):
        return -1.0, 1.0


class Unbounded(mho.Response):
    """Steps that never vanish; symmetric at 0.25."""

    def up(self, w):
        return 1 + 0.5 * torch.tanh(0.5 - w)

    def down(self, w):
        return 1 + 0.5 * torch.tanh(w)


class Touching(mho.Response):
    """G = w^2/2 touches zero at 0 from above."""

    def up(self, w):
        return 1 - w * w / 2

    def down(self, w):
        return 1 + w * w / 2

    def bounds(self):
        return -1.0, 1.0


class Flat(Touching):
    """G = w^3/2: attracts at 0, with no slope there."""

    def up(self, w):
        return 1 - w * w * w / 2

    def down(self, w):
        return 1 + w * w * w / 2


class Uneven(mho.Response):
    """Up pulses are stronger everywhere."""

    def up(self, w):
        return 2 + 0 * w

    def down(self, w):
        return 1 + 0 * w


# Numbers.


def test_soft_bounds_by_hand():
    found = datasheet.measure(mho.Device(SoftBounds(tau_max=2.0, tau_min=-0.5), dw_min=0.01), cells=SMALL)
    assert (found.lower, found.upper, found.states, found.moves) == (-0.5, 2.0, 250.0, "both ways")
    assert found.step_up == found.step_down == 0.01
    (point,) = found.points  # G = (1/0.5 + 1/2) w / 2 = 1.25 w
    assert point.w == 0 and (point.kind, point.rate) == ("attracts", "exponential")
    assert point.slope == pytest.approx(1.25) and point.pulses == pytest.approx(1 / (0.01 * 1.25))
    # 2 - w shrinks by 1 - 0.01/2 with each pulse, from 2.5 to 0.025
    assert found.pulses_up == pytest.approx(math.log(0.01) / math.log(1 - 0.005), rel=1e-4)
    assert found.pulses_down == pytest.approx(math.log(0.01) / math.log(1 - 0.02), rel=1e-4)


def test_power_by_hand():
    found = datasheet.measure(mho.Device(Power(tau=0.6, gamma_res=2.0), dw_min=1e-3), cells=SMALL)
    (point,) = found.points  # G = ((1 + u)^2 - (1 - u)^2) / 2 = 2u, u = w/0.6
    assert found.states == pytest.approx(1200)
    assert point.slope == pytest.approx(2 / 0.6) and point.pulses == pytest.approx(300)
    # the integral of dw / (1 - u)^2 is 0.6 (1/0.02 - 1/2); and half the logarithm of (0.02/2)^2
    assert found.pulses_up == pytest.approx(600 * (50 - 0.5) + math.log(0.01), rel=1e-4)


def test_exponential_by_hand():
    found = datasheet.measure(mho.Device(Exponential(tau=1.0, gamma_res=1.5), dw_min=0.002), cells=SMALL)
    (point,) = found.points  # G = exp(1.5) sinh(1.5 w) / (exp(1.5) - 1)
    slope = 1.5 * math.exp(1.5) / (math.exp(1.5) - 1)
    assert point.slope == pytest.approx(slope) and point.pulses == pytest.approx(1 / (0.002 * slope))
    assert found.step_up == pytest.approx(0.002)


def test_gains_move_the_symmetric_point():
    """Down pulses of 0.8: 1 - w = 0.8 (1 + w) at w = 1/9."""
    device = mho.Device(SoftBounds(), dw_min=0.01, up_down=0.2)
    found = datasheet.measure(device, cells=SMALL)
    assert found.points[0].w == pytest.approx(1 / 9) and found.step_down == pytest.approx(0.008)
    assert found.points[0].slope == pytest.approx(0.9)
    assert (found.cells.sp - 1 / 9).abs().max() < 1e-6
    mirrored = datasheet.measure(device.replace(up_down=-0.2), cells=SMALL)
    assert mirrored.points[0].w == pytest.approx(-1 / 9) and mirrored.step_up == pytest.approx(0.008)


def test_the_pulses_of_a_traverse_are_those_of_a_tile():
    device = mho.Device(Linear(c_lin=0.2), dw_min=0.02)
    tile = mho.Tile(torch.full((1, 1), -1.0), device)
    count = 0
    while tile.w < 0.9:
        tile.pulse(torch.ones(1, 1))
        count += 1
    assert count == math.ceil(traverse(device, -1.0, 0.9))


def test_two_wells():
    points = datasheet.measure(mho.Device(TwoWells(), dw_min=0.01), cells=SMALL).points
    assert [p.w for p in points] == pytest.approx([-0.5, 0, 0.5])
    assert [p.kind for p in points] == ["attracts", "repels", "attracts"]
    assert [p.slope for p in points] == pytest.approx([0.5, -0.25, 0.5], rel=1e-5)  # 3 w^2 - 1/4
    assert [p.pulses for p in points] == pytest.approx([200, 400, 200], rel=1e-5)


def test_flat_and_touching_points():
    (flat,) = datasheet.measure(mho.Device(Flat()), cells=SMALL).points
    assert (flat.kind, flat.rate, flat.slope, flat.pulses) == ("attracts", "algebraic", 0.0, math.inf)
    (touch,) = datasheet.measure(mho.Device(Touching()), cells=SMALL).points
    assert touch.kind == "attracts from above"  # G > 0 on both sides: w falls


@pytest.mark.parametrize(
    ("law", "moves", "symmetric"),
    [
        (Constant(), "both ways", "everywhere"),
        (Uneven(), "both ways", "nowhere"),
        (Rising(), "up only", "nowhere"),
        (Falling(), "down only", "nowhere"),
        (Unbounded(), "both ways", "points"),
        (TwoWells(), "both ways", "points"),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, mho.Response) else None,
)
def test_every_kind_of_law_is_called_what_it_is_and_drawn(law, moves, symmetric):
    found = datasheet.measure(mho.Device(law, dw_min=0.05, sigma_c2c=0.1, spread={"gain": 0.1}), cells=SMALL)
    assert (found.moves, found.symmetric) == (moves, symmetric)
    assert all(math.isfinite(edge) for edge in found.window)
    page = Figure()
    still = [
        panel for panel in figure.PANELS.values() if panel is not panels.pulsing
    ]  # that one compiles each law
    for panel, axes in zip(still, page.subplots(5), strict=True):
        panel(axes, found)
    assert ink(page) > 0.01
    words = " ".join(t.get_text() for axes in page.axes for t in axes.texts)
    expected = {"everywhere": "every weight is symmetric", "nowhere": "no symmetric point", "points": ""}
    assert expected[symmetric] in words
    assert moves == "both ways" or moves in words


def test_infinite_bounds():
    found = datasheet.measure(mho.Device(Unbounded(), dw_min=0.05), cells=SMALL)
    assert (
        found.states == math.inf and math.isnan(found.pulses_up) and found.points[0].w == pytest.approx(0.25)
    )
    plain = found.as_dict()
    assert plain["upper"] is None and plain["pulses_up"] is None and plain["cells"]["upper"]["mean"] is None


# Cells.


def test_cells_are_those_of_a_tile():
    device = mho.Device(Linear(c_lin=0.2), dw_min=0.01, spread={"gain": 0.2, "c_lin": 0.3}, reference_std=0.1)
    found = datasheet.measure(device, key=7, cells=(3, 4))
    tile = mho.Tile(torch.zeros(3, 4), device, key=7)
    cells = tile.parameters_of_cells
    assert torch.allclose(found.cells.sp, cells.fields["c_lin"].double(), atol=1e-6)  # w_sp = c tau
    assert torch.allclose(found.cells.apparent_sp, found.cells.sp - cells.reference)
    tile.program(-cells.reference)  # hidden weight 0
    tile.pulse(torch.ones(3, 4))
    assert torch.allclose(tile.cells.double(), found.cells.step_up, atol=1e-6)


def test_moments_are_those_of_the_law():
    """c_lin |1 + 0.1 xi| over 40,000 cells: five standard errors."""
    device = mho.Device(Linear(c_lin=0.2), spread={"c_lin": 0.1})
    sp = datasheet.measure(device).as_dict()["cells"]["sp"]
    error = 0.02 / math.sqrt(40_000)
    assert abs(sp["mean"] - 0.2) < 5 * error and abs(sp["std"] - 0.02) < 5 * error / math.sqrt(2)
    assert sp["missing"] == 0


def test_stuck_cells_have_no_symmetric_point():
    found = datasheet.measure(mho.Device(corrupt=0.25), cells=(50, 50))
    missing = found.as_dict()["cells"]["sp"]["missing"]
    assert abs(missing / 2500 - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 2500)
    assert missing == (found.cells.lower == found.cells.upper).sum()


def test_symmetric_points_next_to_a_bound_are_found():
    device = mho.Device(SoftBounds(tau_max=1.0, tau_min=-1e-3), spread={"tau_max": 0.1})
    sp = datasheet.measure(device, cells=SMALL).cells.sp
    assert sp.abs().max() < 1e-8


def test_spread_bounds_leave_a_constant_law_symmetric():
    found = datasheet.measure(mho.Device(Constant(), spread={"tau_max": 0.2}, corrupt=0.1), cells=SMALL)
    axes = Figure().subplots()
    panels.points(axes, found)
    assert [t.get_text() for t in axes.texts] == ["every weight is symmetric"]


def test_a_portrait_is_a_pure_function():
    device = mho.Device(spread={"tau_max": 0.2})
    one, same, other = (datasheet.measure(device, key, SMALL).cells for key in (1, 1, 2))
    assert torch.equal(one.upper, same.upper) and not torch.equal(one.upper, other.upper)


# Ramps.


def test_ramps():
    device = mho.Device(SoftBounds(), dw_min=0.1, sigma_c2c=0.3, spread={"gain": 0.2}, write_noise=1.0)
    data = ramps(datasheet.measure(device, cells=SMALL), cells=4, cycles=3)
    assert data.length == 29  # log(0.05) / log(0.9) = 28.4
    assert data.hidden.shape == data.apparent.shape == (6 * 29 + 1, 4) and data.pulses[-1] == 6 * 29
    expected = 1 - 2 * 0.9 ** torch.arange(30)
    assert torch.allclose(data.ideal[:30], expected, atol=1e-5)
    off = (data.apparent - data.hidden)[1:]
    assert 0.08 < off.std() < 0.12  # write_noise dw_min, of 700 values
    assert data.ideal[:58].argmax() == 29 and data.hidden.std(dim=1)[29] > 0


def test_long_ramps_are_read_every_few_pulses():
    data = ramps(datasheet.measure(mho.Device(dw_min=4.3e-5), cells=SMALL), cycles=1)
    assert data.length == 70_000 and len(data.pulses) == 701  # every 200
    assert data.ideal[len(data.ideal) // 2] == pytest.approx(0.9, abs=0.01)


def test_a_law_that_only_falls_starts_at_its_upper_bound():
    data = ramps(datasheet.measure(mho.Device(Falling(), dw_min=0.1), cells=SMALL), cells=1, cycles=1)
    assert (data.ideal[: data.length + 1] == 1).all() and data.ideal[-1] < -0.8
    assert torch.equal(data.hidden[:, 0], data.ideal)


# Figures.


def test_the_figure():
    device = mho.Device(SoftBounds(), dw_min=0.1, sigma_c2c=0.3, spread={"gain": 0.2}, write_noise=1.0)
    page = datasheet.draw(device, "a title")
    assert len(page.axes) == 6 and ink(page) > 0.02
    assert [axes.get_title("left")[9] for axes in page.axes] == list("abcdef")
    entries = {t.get_text() for t in page.axes[3].get_legend().get_texts()}
    assert entries == {"as read", "cells", "nominal"}
    sizes = [t.get_fontsize() for t in page.findobj(lambda o: hasattr(o, "get_fontsize")) if t.get_text()]
    assert len(sizes) > 50 and min(sizes) >= 8


def ink(page: Figure) -> float:
    """Part of the pixels that are not white."""
    canvas = FigureCanvasAgg(page)
    canvas.draw()
    return float((np.asarray(canvas.buffer_rgba())[..., :3] < 250).any(-1).mean())


def test_panels_compose():
    axes = Figure(figsize=(4, 2)).subplots(1, 2)
    found = datasheet.measure(mho.Device(TwoWells(), dw_min=0.05), cells=SMALL)
    panels.ratio(axes[0], found)
    panels.parts(axes[1], found)
    dots = {line.get_fillstyle(): line.get_xdata()[0] for line in axes[0].lines if line.get_marker() == "o"}
    assert dots["none"] == pytest.approx(0) and abs(dots["full"]) == pytest.approx(0.5)
    assert {t.get_text() for t in axes[0].get_legend().get_texts()} == {"attracts", "repels"}


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_files_are_the_same_each_time(suffix, tmp_path):
    found = datasheet.measure(mho.Device(dw_min=0.05), cells=SMALL)
    one, two = (save(datasheet.draw(found), tmp_path / f"{i}.{suffix}")[0] for i in (1, 2))
    assert one.read_bytes() == two.read_bytes() and one.stat().st_size > 10_000


# Errors.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: datasheet.measure(SoftBounds()), "must be an mho.Device"),
        (lambda: datasheet.measure(mho.Device(), cells=(0, 3)), "both at least 1"),
        (lambda: ramps(datasheet.measure(mho.Device(), cells=SMALL), cells=0), "cells must be at least 1"),
        (lambda: save(Figure(), "a.gif"), "no figure is written as '.gif'"),
        (lambda: lookup("softbound"), "did you mean 'soft-bounds'"),
        (lambda: lookup("power", ["response.tauu=1"]), "did you mean 'tau'"),
        (lambda: lookup("power", ["dw_min=-1"]), "dw_min must be positive"),
    ],
)
def test_errors(call, message):
    with pytest.raises(mho.MhoError, match=message):
        call()
