"""One cell: law, gains, bounds and reference in one object, for numbers and for planes, wherever it comes from."""

import pytest
import torch

import mho
from mho.device.cell import Cells
from mho.responses import Constant, Linear, Power, SoftBounds

DOUBLE = torch.float64
SHAPE = (3, 4)
W = torch.linspace(-0.5, 0.5, 11, dtype=DOUBLE)
SPREAD = mho.Device(
    SoftBounds(0.8, -0.6), 0.01, spread={"gain": 0.3, "tau_max": 0.1}, up_down=0.2, reference_std=0.1
)


def test_a_nominal_cell():
    law, rule = SoftBounds(2.0, -1.0), "two-sided"
    cell = mho.Device(law, up_down=0.4, up_down_rule=rule, reference_mean=0.1).cell
    assert (cell.lower, cell.upper, cell.reference) == (-1.0, 2.0, 0.1)
    assert (cell.gain_up, cell.gain_down) == (1.4, 0.6)
    up, down = 1.4 * (1 - W / 2), 0.6 * (1 + W)
    assert torch.equal(cell.up(W), up) and torch.equal(cell.down(W), down)
    assert torch.equal(cell.F(W), (down + up) / 2) and torch.equal(cell.G(W), (down - up) / 2)
    assert torch.equal(cell.R(W), ((down - up) / 2) / ((down + up) / 2))
    assert cell.up(0.5) == pytest.approx(1.05) and cell.down(0.5) == pytest.approx(
        0.9
    )  # numbers give numbers
    [point] = cell.symmetric_points()
    assert point.w == pytest.approx(0.8 / 1.3) and cell.central_sp() == pytest.approx(point.w)
    assert cell.G(point.w) == pytest.approx(0, abs=1e-12)


def test_a_calibrated_cell_reads_zero_at_its_symmetric_point():
    cell = mho.Device(Linear(c_lin=0.2), subtract_sp=True, reference_mean=0.05).cell
    assert cell.reference == pytest.approx(0.25) and cell.central_sp() == pytest.approx(0.2)


@pytest.mark.parametrize("law", [SoftBounds(0.8, -0.6), Linear(0.3, 0.7), Power(0.7, 0.5), Constant()])
def test_cells_without_spread_are_the_nominal_cell(law):
    device = mho.Device(law, up_down=0.0 if isinstance(law, Constant) else 0.1)
    drawn, cell = device.draw(SHAPE, key=1), device.cell
    assert drawn.values() == cell.values() and drawn.law == cell.law == law
    assert not drawn.varying and drawn.gains == cell.gains
    tile = mho.Tile(torch.zeros(SHAPE), device)
    assert torch.equal(tile.parameters_of_cells.G(W), cell.G(W))


def test_planes_of_cells():
    """Every cell of a plane is the cell that its own numbers make."""
    cells = SPREAD.draw(SHAPE, key=3)
    assert cells.varying and isinstance(cells.fields["tau_max"], torch.Tensor)
    tile = mho.Tile(torch.zeros(SHAPE), SPREAD, key=3)
    w = torch.full(SHAPE, 0.3)
    for name in ("up", "down", "F", "G", "R"):
        plane = getattr(cells, name)(w)
        assert torch.equal(plane, getattr(tile.parameters_of_cells, name)(w))
        for i, j in ((0, 0), (2, 3)):
            law = SoftBounds(cells.fields["tau_max"][i, j].item(), -0.6)
            gains = cells.gain_up[i, j].item(), cells.gain_down[i, j].item()
            one = getattr(Cells.alike(law, *gains), name)(0.3)
            assert plane[i, j].item() == pytest.approx(one, rel=1e-5, abs=1e-6), name
    assert torch.allclose(cells.to(DOUBLE).G(cells.to(DOUBLE).central_sp()), torch.zeros(SHAPE, dtype=DOUBLE))


def test_shared_planes_stay_shared():
    """Where both directions have one gain, kernels and arithmetic rely on its being one object."""
    cells = mho.Device(Power(), spread={"gain": 0.3, "tau": 0.1}).draw(SHAPE, key=2)
    part, double = cells.part((slice(1, 3), slice(0, 2))), cells.to(DOUBLE)
    for changed in (part, double):
        assert changed.gain_up is changed.gain_down and changed.gains == (1.0, 1.0)
    assert torch.equal(part.gain_up, cells.gain_up[1:3, :2]) and part.law.tau.shape == (2, 2)
    assert double.gain_up.dtype == double.law.tau.dtype == DOUBLE and double.law.gamma_res == 0.5
    again = Cells.of(Power(), cells.values(), cells.reference)
    assert again.gain_up is again.gain_down and again.values().keys() == cells.values().keys()


def test_symmetric_points_of_cells_that_have_none():
    """Stuck cells have none; a point close to a bound is found."""
    cells = mho.Device(Linear(), spread={"c_lin": 0.1}, corrupt=0.5).draw((20, 20), key=4)
    found, stuck = cells.sp_or_nan((20, 20)), cells.gain_up == 0
    assert torch.equal(found.isnan(), stuck) and 100 < stuck.sum() < 300
    assert torch.allclose(found[~stuck], cells.fields["c_lin"].double()[~stuck], atol=1e-12)
    near = mho.Device(Linear(c_lin=0.998), spread={"gain": 0.1}).draw(SHAPE, key=1)
    assert torch.allclose(near.sp_or_nan(SHAPE), torch.tensor(0.998, dtype=DOUBLE))


def test_points_of_one_cell_are_not_asked_of_many():
    with pytest.raises(mho.MhoError, match="gains vary from cell to cell"):
        mho.Device(up_down_std=0.1).draw(SHAPE, key=1).symmetric_points()
