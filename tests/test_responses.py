"""Response laws: the conformance suite on every law of the package and on laws a user would write."""

import dataclasses
import inspect
import math
from typing import Annotated

import pytest
import torch

import mho
import mho.responses
from mho.base.errors import MhoError
from mho.base.records import Positive
from mho.responses import (
    Constant,
    Exponential,
    ExpStep,
    LinearStep,
    Piecewise,
    Power,
    PowStep,
    Response,
    SkewedSoftBounds,
    SoftBounds,
    SymmetricPoint,
)
from mho.testing import check_response


class Skewed(Response):
    """The example of a user's own law."""

    tau: float = 0.6
    bend: float = 0.5

    def up(self, w):
        return (1 - w / self.tau) * (1 + self.bend * w)

    def down(self, w):
        return 1 + w / self.tau


class Kinked(Response):
    """A law with a condition, an exponential, a helper method and a field that is not a number."""

    steep: Annotated[float, Positive] = 2.0
    mode: str = "exp"

    def side(self, w):
        assert self.mode == "exp"
        return torch.where(w > 0.2, torch.exp(-self.steep * (w - 0.2)), 1.0) - 0.25

    def up(self, w):
        return self.side(w)

    def down(self, w):
        return self.side(-w)


class Cubic(Response):
    """G = w^3 (1 - 4 w^2): a flat root at 0 that attracts, two sloped ones at +-1/2 that repel."""

    def up(self, w):
        return 2 - w**3 * (1 - 4 * w**2)

    def down(self, w):
        return 2 + w**3 * (1 - 4 * w**2)

    def bounds(self):
        return -0.8, 0.8


class FromRoot(Response):
    """Not defined beyond its bounds +-tau/3: NaN there."""

    tau: float = 0.75

    def up(self, w):
        return torch.sqrt(1 - 3 * w / self.tau)

    def down(self, w):
        return torch.sqrt(1 + 3 * w / self.tau)


def published_laws() -> list[type[Response]]:
    found = [getattr(mho.responses, name) for name in mho.responses.__all__]
    return [c for c in found if inspect.isclass(c) and issubclass(c, Response) and c is not Response]


@pytest.mark.parametrize("law", published_laws(), ids=lambda c: c.__name__)
def test_published_law_conforms(law):
    check_response(law, published=True)


@pytest.mark.parametrize(
    "law",
    [Skewed, Kinked, Cubic, FromRoot, Power(tau=0.3, gamma_res=1.7), Exponential(tau=2.0, gamma_res=0.01)],
)
def test_other_laws_conform(law):
    check_response(law)


# The formulas, by hand.


def test_values_of_the_published_formulas():
    assert Constant().q_up(0.9) == 1.0
    assert SoftBounds(tau_max=0.6, tau_min=-0.4).q_up(0.3) == pytest.approx(0.5)
    assert SoftBounds(tau_max=0.6, tau_min=-0.4).q_down(0.3) == pytest.approx(1.75)
    assert Power(tau=0.5, gamma_res=0.5).q_up(0.25) == pytest.approx(math.sqrt(0.5))
    assert Power(tau=0.5, gamma_res=2.0).q_down(0.25) == pytest.approx(2.25)
    up = (math.exp(2 * 0.75) - 1) / (math.exp(2) - 1)
    assert Exponential(tau=0.8, gamma_res=2.0).q_up(0.2) == pytest.approx(up, rel=1e-14)


@pytest.mark.parametrize(
    ("law", "first", "fifty"),
    [
        (Constant(), 0.01, 0.5),
        (SoftBounds(), 0.01, 0.39499),
        (LinearStep(0.5, 0.5), 0.01, 0.44337),
        (LinearStep(1.0, 1.0), 0.01, 0.39499),
        (Piecewise((2.0, 0.0), (0.0, 2.0)), 0.01, 0.39499),
        (PowStep(gamma_up=2.0), 0.0025, 0.11134),
        (ExpStep(), 0.009834, 0.48137),
    ],
    ids=repr,
)
def test_up_pulses_add_up_as_in_aihwkit(law, first, fifty):
    """Measured with aihwkit 1.2.0: dw_min 0.01, bounds +-1, no variation, the weight after 1 and 50 pulses."""
    w = 0.01 * law.q_up(0.0)
    assert w == pytest.approx(first, abs=6e-7)
    for _ in range(49):
        w += 0.01 * law.q_up(w)
    assert w == pytest.approx(fifty, abs=6e-6)


def test_steps_that_would_turn_negative_are_zero():
    assert ExpStep(A_up=1.0).q_up(0.9) == 0.0
    assert ExpStep(A_down=10.0).q_down(-0.9) == 0.0
    assert PowStep(tau_max=0.6, tau_min=-0.4, gamma_up=0.7).q_up(torch.tensor([0.6, 0.61])).tolist() == [0, 0]


def test_symmetric_point_of_the_steps():
    [point] = ExpStep(b=0.1).symmetric_points()
    z = math.log(0.36833 / 0.00081) / (12.44625 + 12.78785)
    assert point.w == pytest.approx((z - 0.1) / 0.244, abs=1e-9)
    assert PowStep(tau_max=0.8, tau_min=-0.4).central_sp() == pytest.approx(0.2)


def test_slopes_of_the_linear_step_have_the_signs_of_aihwkit():
    """k_up = -gamma_up q_up / w_max, k_down = -gamma_down q_down / w_min: positive gammas shrink the pulses."""
    w_max, w_min, gamma_up, gamma_down = 1.1724, -0.8276, 0.1153, 0.5085  # aihwkit's EcRam
    law = LinearStep(gamma_up / w_max, -gamma_down / w_min, w_max, w_min)
    assert law.q_up(0.7) == pytest.approx(1 - gamma_up * 0.7 / w_max)
    assert law.q_down(-0.7) == pytest.approx(1 + gamma_down * 0.7 / w_min)
    assert law.q_up(0.7) < 1 < law.q_down(0.7)
    assert law.bounds() == (w_min, w_max)
    soft = LinearStep(1 / 0.6, 1 / 0.4, 0.6, -0.4)
    w = torch.linspace(-0.39, 0.59, 20, dtype=torch.float64)
    torch.testing.assert_close(soft.q_up(w), SoftBounds(0.6, -0.4).q_up(w))
    torch.testing.assert_close(soft.q_down(w), SoftBounds(0.6, -0.4).q_down(w))
    with pytest.raises(
        MhoError, match=r"`LinearStep\(slope_up=1.5\)`: the step of this direction is -0.5 at the"
    ):
        LinearStep(1.5)


def test_piecewise_goes_through_its_nodes():
    law = Piecewise((3.0, 1.0, 1.0, 0.25), (0.5, 2.0, 2.0, 0.0), tau_max=0.8, tau_min=-0.4)
    w = torch.tensor([-0.4, -0.2, 0.0, 0.2, 0.4, 0.6, 0.8], dtype=torch.float64)
    torch.testing.assert_close(law.q_up(w).tolist(), [3.0, 2.0, 1.0, 1.0, 1.0, 0.625, 0.25])
    torch.testing.assert_close(law.q_down(w).tolist(), [0.5, 1.25, 2.0, 2.0, 2.0, 1.0, 0.0])
    assert Piecewise((2.0,), (2.0,)).q_up(0.3) == 2.0
    with pytest.raises(MhoError, match=r"a step between the bounds is 0\. Only the ends may be"):
        Piecewise((1.0, 0.0, 1.0))
    with pytest.raises(MhoError, match="nodes are finite numbers"):
        Piecewise((1.0, -1.0))
    for nodes in (None, 0.3, "x"):
        with pytest.raises(MhoError, match=r"nodes_down is of type .* must be a sequence of numbers"):
            Piecewise((1.0,), nodes)


def test_symmetric_point_of_skewed_soft_bounds():
    """arXiv 2602.21321, eq. (104) with tau_min < 0; its figures have 0.25 = (1 - .6) / (1 + .6)."""
    assert SkewedSoftBounds().central_sp() == pytest.approx(0.25)
    law = SkewedSoftBounds(alpha_up=0.7, alpha_down=1.2, tau_max=1.25, tau_min=-0.75)
    assert law.central_sp() == pytest.approx((0.7 - 1.2) / (0.7 / 1.25 - 1.2 / -0.75))
    assert law.G(law.central_sp()) == pytest.approx(0.0, abs=1e-12)
    assert law.central_sp() != pytest.approx((0.7 - 1.2) / (0.7 / 1.25 - 1.2 / 0.75), abs=0.1), "as printed"
    [point] = law.symmetric_points()
    assert point.attracts


@pytest.mark.parametrize(("p_max", "alpha", "range_max"), [(1000, 0.0005, 1.0), (1000, 0.005, 0.4)])
def test_soft_bounds_of_a_trace_lead_from_one_end_to_the_other(p_max, alpha, range_max):
    law, dw_min, up_down = SoftBounds.pmax(p_max, alpha, -1.0, range_max)
    up, down = mho.Device(law, dw_min, up_down=up_down).gains
    w = -1.0
    for _ in range(p_max):
        w += dw_min * up * law.q_up(w)
    assert w == pytest.approx(range_max, abs=2 * alpha)
    assert dw_min * up * law.q_up(0.3) == pytest.approx(alpha * (law.tau_max - 0.3))
    assert dw_min * down * law.q_down(0.3) == pytest.approx(alpha * (0.3 - law.tau_min))
    with pytest.raises(MhoError, match="must be positive"):
        SoftBounds.pmax(range_min=0.1)


def test_parts_recombine():
    law, w = Skewed(), torch.linspace(-0.5, 0.5, 11)
    assert torch.allclose(law.F(w) - law.G(w), law.q_up(w))
    assert torch.allclose(law.F(w) + law.G(w), law.q_down(w))


def test_small_gamma_of_exponential_is_soft_bounds():
    w = torch.linspace(-0.99, 0.99, 21)
    assert torch.allclose(Exponential(gamma_res=1e-6).q_up(w), SoftBounds().q_up(w), atol=2e-6)


def test_power_is_finite_a_rounding_error_beyond_its_bound():
    law = Power(tau=0.6, gamma_res=0.7)
    for bound in (0.6, -0.6):
        beyond = torch.tensor(bound).nextafter(torch.tensor(2 * bound))
        assert law.q_up(beyond).isfinite()
        assert law.q_down(beyond).isfinite()


# Bounds.


def test_numerical_bounds_find_the_zeros():
    assert Skewed().bounds() == (-0.6, 0.6)
    edge = 0.2 + math.log(4) / 2
    assert Kinked().bounds() == pytest.approx((-edge, edge), rel=1e-12)
    lower, upper = FromRoot().bounds()
    assert (lower, upper) == pytest.approx((-0.25, 0.25), rel=1e-12)
    assert Response.bounds(Constant()) == (-math.inf, math.inf)


@pytest.mark.parametrize("law", [SoftBounds(0.6, -0.4), Power(0.3), Exponential(2.0)], ids=repr)
def test_numerical_bounds_agree_with_closed_form(law):
    assert Response.bounds(law) == pytest.approx(law.bounds(), rel=1e-12)


def test_bounds_of_every_cell():
    tau = torch.tensor([[0.1, 0.5, 0.6], [0.7, 1.3, 3.0]])
    lower, upper = Skewed().with_fields(tau=tau).bounds()
    assert torch.equal(upper, tau)
    assert torch.equal(lower, torch.where(tau > 2, -tau, -tau))
    steep = torch.tensor([[0.5, 1.0], [2.0, 4.0]])
    lower, upper = Kinked().with_fields(steep=steep).bounds()
    assert torch.allclose(upper, 0.2 + math.log(4) / steep)
    assert torch.equal(lower, -upper)
    assert upper.dtype == torch.float32


def test_bounds_of_cells_lie_where_the_law_is_defined():
    tau = 0.3 + torch.rand(20, 20, generator=torch.Generator().manual_seed(0))
    view = FromRoot().with_fields(tau=tau)
    for bound in view.bounds():
        assert view.q_up(bound).isfinite().all()
        assert view.q_down(bound).isfinite().all()
        assert torch.allclose(bound.abs(), tau / 3)


# Symmetric points.


def test_symmetric_points():
    assert Skewed().symmetric_points() == [SymmetricPoint(0.0, True, "exponential")]
    assert Constant().symmetric_points() == []
    left, middle, right = Cubic().symmetric_points()
    assert middle == SymmetricPoint(0.0, True, "algebraic")
    assert (left.w, right.w) == pytest.approx((-0.5, 0.5), abs=1e-12)
    assert not left.attracts
    assert not right.attracts
    assert left.rate == right.rate == "exponential"


def test_symmetric_point_attracts_alternating_pulses():
    class Shifted(Response):
        def up(self, w):
            return 1.2 * (1 - w)

        def down(self, w):
            return 0.8 * (1 + w)

    [point] = Shifted().symmetric_points()
    assert point.w == pytest.approx(0.2)
    law, w = Shifted(), -0.9
    for _ in range(2000):
        w += 0.005 * law.q_up(w)
        w -= 0.005 * law.q_down(w)
    assert w == pytest.approx(point.w, abs=0.005)


def test_central_sp_of_every_cell():
    class Unequal(Response):
        strength: float = 1.2

        def up(self, w):
            return self.strength * (1 - w)

        def down(self, w):
            return 1 + w

    strength = torch.tensor([[0.5, 0.8], [1.0, 3.0]])
    found = Unequal().with_fields(strength=strength).central_sp()
    assert torch.allclose(found, (strength - 1) / (strength + 1), atol=1e-7)
    assert Unequal().central_sp() == pytest.approx(0.2 / 2.2)
    assert Constant().central_sp() == 0.0
    assert Cubic().central_sp() == 0.0


def test_central_sp_where_every_point_is_symmetric():
    view = Constant().with_fields(tau_max=torch.rand(2, 3) + 0.5)
    assert torch.equal(view.central_sp(), torch.zeros(2, 3))


# Views and errors.


def test_view_keeps_class_and_other_fields():
    view = Kinked().with_fields(steep=torch.ones(2, 3))
    assert isinstance(view, Kinked)
    assert view.mode == "exp"
    assert view.q_up(0.1).shape == (2, 3)
    assert view.q_up(torch.zeros(2, 3)).dtype == torch.float32


def test_errors_say_what_is_wrong():
    with pytest.raises(
        MhoError, match=r"`Power\(tau=-0.6\)`: tau must be positive. Fix: did you mean tau=0.6"
    ):
        Power(tau=-0.6)
    with pytest.raises(MhoError, match=r"`Skewed.with_fields\(taw=...\)`: did you mean 'tau'"):
        Skewed().with_fields(taw=1.0)
    with pytest.raises(MhoError, match=r"`FromRoot.up`: returned nan for w = 0.8"):
        FromRoot().q_up(0.8)
    with pytest.raises(MhoError, match=r"w has dtype torch\.int64"):
        Skewed().q_up(torch.arange(3))
    with pytest.raises(MhoError, match="fields vary from cell to cell"):
        Skewed().with_fields(tau=torch.ones(2, 2)).symmetric_points()
    with pytest.raises(MhoError, match=r"`Response.up`: not defined"):
        Response().q_up(0.0)


def test_bounds_need_a_positive_law_at_zero():
    class OneSided(Response):
        def up(self, w):
            return 1 - w

        def down(self, w):
            return w

    with pytest.raises(MhoError, match=r"`OneSided.bounds`: down\(0\) is not positive"):
        OneSided().bounds()


def test_no_symmetric_point():
    class Upward(Response):
        tau: float = 1.0

        def up(self, w):
            return 2 - w * w / self.tau

        def down(self, w):
            return 1 - w * w / 2 / self.tau

    assert Upward().symmetric_points() == []
    with pytest.raises(MhoError, match="nowhere between the bounds"):
        Upward().central_sp()
    with pytest.raises(MhoError, match=r"cell \(0, 0\) has no symmetric point"):
        Upward().with_fields(tau=torch.ones(1, 2)).central_sp()


# The suite itself must be able to fail.


def broken(**methods) -> type[Response]:
    """A SoftBounds with other methods."""
    return type("Broken", (SoftBounds,), methods)


@pytest.mark.parametrize(
    ("law", "message"),
    [
        (broken(down=lambda self, w: w - 0.5), r"down\(-0.99.*finite and positive"),
        (broken(bounds=lambda self: (1.0, -1.0)), "not in rising order"),
        (broken(bounds=lambda self: (-1.0, 2.0)), r"up\(1.*finite and positive"),
        (broken(up=lambda self, w: torch.log(2 - w) - torch.log(1 - w)), "up is inf at the upper bound"),
        (broken(__repr__=lambda self: "SoftBounds(tau_max=2.0)"), "does not evaluate"),
        (broken(__repr__=lambda self: "Broken(tau_max=2.0)"), "rebuilds another object"),
        (broken(symmetric_points=lambda self: [SymmetricPoint(0.3, True, "algebraic")]), "is not symmetric"),
        (broken(up=lambda self, w: (1 - w).mean() + 0 * w), "for a number but"),
        (broken(up=lambda self, w: 1 - w / 0.999999 + 5e-6 * (w > 0)), None),
    ],
)
def test_suite_finds_the_fault(law, message):
    if message is None:
        check_response(law)
        return
    with pytest.raises(AssertionError, match=message):
        check_response(law)


def test_suite_compares_compiled_values(monkeypatch):
    import mho.testing.responses as suite

    original = suite.lower

    def off_by_a_little(law, varying=frozenset()):
        lowered = original(law, varying)
        off = {name: number.replace("1.0", "1.00001") for name, number in lowered.code.constants.items()}
        return dataclasses.replace(lowered, code=dataclasses.replace(lowered.code, constants=off))

    monkeypatch.setattr(suite, "lower", off_by_a_little)
    with pytest.raises(AssertionError, match=r"compiled but .* in torch, too far apart"):
        check_response(SoftBounds)


def test_suite_wants_a_source():
    with pytest.raises(AssertionError, match="has no `Source:` line"):
        check_response(Skewed, published=True)


@pytest.mark.parametrize("name", ["gain", "gain_up", "lower", "upper", "reference", "bounds", "G", "replace"])
def test_a_field_that_hides_a_parameter_of_cells_or_a_method_is_an_error(name):
    law = {"__annotations__": {name: float}, name: 1.0, "up": lambda self, w: 1 - w}
    with pytest.raises(mho.MhoError, match=f"the field {name} has the name of"):
        type("Taken", (mho.Response,), law)


@pytest.mark.parametrize(
    "name", ["w", "z", "x", "f_w", "_C0", "_t0", "np", "scal", "q_w", "dw_min", "step_up"]
)
def test_a_field_of_any_other_name_is_compiled(name):
    law = type(
        "Named",
        (mho.Response,),
        {
            "__annotations__": {name: float},
            name: 2.0,
            "up": lambda self, x: torch.exp(-x) * getattr(self, name) - x,
            "down": lambda self, x: torch.exp(x) * getattr(self, name) + x,
        },
    )
    check_response(law)
