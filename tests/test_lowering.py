"""From a law in torch to float32 source: every operation, every spelling, and every complaint."""

import math

import numpy as np
import pytest
import torch

from mho.base.errors import MhoError
from mho.kernels.law.emit import lower
from mho.kernels.law.lowerings import operations
from mho.kernels.law.trace import operation_name, trace
from mho.responses import Power, Response, SoftBounds

F = np.float32
POINTS = [-1.5, -0.7, -0.0, 0.3, 1.0, 2.5]


def law_with(up) -> Response:
    """A law with two fields whose `up` is the given function of (self, w)."""

    class Law(Response):
        a: float = 0.8
        b: float = 2.0
        n: int = 3

        def down(self, w):
            return torch.ones_like(w)

    Law.up = up
    return Law()


def compiled(law, varying=frozenset()):
    module: dict = {}
    exec(lower(law, varying).source, module)
    return module["up"]


def agree(law, points=POINTS, ulp=8):
    """Asserts that compiled float32 equals torch float32 at all points."""
    up = compiled(law)
    w = torch.tensor(points)
    expected = law.q_up(w).numpy()
    got = np.array([up(F(p), F(law.a), F(law.b)) for p in points], F)
    unit = np.spacing(np.maximum(np.abs(expected), 1).astype(F))
    with np.errstate(invalid="ignore"):
        close = np.abs(got - expected) <= ulp * unit
    ok = close | (np.isnan(got) & np.isnan(expected)) | (got == expected)
    assert ok.all(), (got, expected)


OPERATIONS = [
    lambda s, w: s.a + w,
    lambda s, w: 1 - w,
    lambda s, w: w * s.b * 0.1,
    lambda s, w: w / s.a + 1 / s.b,
    lambda s, w: -w,
    lambda s, w: +w,
    lambda s, w: abs(w) + torch.abs(w) + w.abs(),
    lambda s, w: torch.add(w, s.a) * torch.sub(w, s.b) / torch.mul(w, w).add(1),
    lambda s, w: torch.div(w, s.a).mul(2).sub(1).neg(),
    lambda s, w: torch.exp(w) + w.exp(),
    lambda s, w: torch.expm1(w) * torch.exp2(w),
    lambda s, w: torch.log(w) + torch.log2(w) + w.log1p(),
    lambda s, w: torch.sqrt(w) + w.sqrt(),
    lambda s, w: torch.tanh(w) - w.tanh(),
    lambda s, w: torch.sigmoid(w) + torch.special.expit(w),
    lambda s, w: torch.nn.functional.softplus(w),
    lambda s, w: torch.nn.functional.relu(w) + torch.relu(w) + w.relu(),
    lambda s, w: torch.square(w) + w.square() + torch.reciprocal(w + 3) + torch.rsqrt(w + 3),
    lambda s, w: torch.clamp(w, min=-s.a, max=s.b),
    lambda s, w: torch.clamp(w, 0, 1) + w.clamp(max=0.5) + w.clip(-1, 1),
    lambda s, w: torch.clamp_min(w, s.a) + w.clamp_max(0.1),
    lambda s, w: torch.minimum(w, s.a) + torch.maximum(w, s.b),
    lambda s, w: torch.where(w > 0, w, 0.5 * w),
    lambda s, w: w.where(w > 0, -w),
    lambda s, w: torch.where((w > 0) & (w < 1) | (w <= -1.5), w, s.a),
    lambda s, w: torch.where(torch.logical_and(w >= 0, ~(w == 1)), s.a, s.b + w),
    lambda s, w: torch.where(torch.logical_or(w != 1, w.lt(0)).logical_not(), 2.0, w),
    lambda s, w: torch.where((w > 0) ^ (w > 1), torch.full_like(w, 0.3), torch.zeros_like(w)),
    lambda s, w: (w > 0) * w + (w < 0),
    lambda s, w: w**2 + w**3 + w**4,
    lambda s, w: (w + 3) ** 0.5 + (w + 3) ** 1.5 + (w + 3) ** -1 + (w + 3) ** 0 + (w + 3) ** -0.5,
    lambda s, w: (w + 3) ** 0.3 + torch.pow(w + 3, s.a) + (w + 3).pow(-2.2),
    lambda s, w: w**5 + w**s.b,
    lambda s, w: 2**w + torch.pow(3.0, w),
    lambda s, w: torch.tensor(2.5) * w + math.pi,
    lambda s, w: sum(w**k / (k + 1) for k in range(s.n)),
    lambda s, w: s.b,
    lambda s, w: 0.25,
    lambda s, w: torch.ones_like(w),
    lambda s, w: w,
]


@pytest.mark.parametrize("number", range(len(OPERATIONS)))
def test_operation_matches_torch(number):
    agree(law_with(OPERATIONS[number]))


def test_every_operation_is_covered_above():
    written = {"rsub", "radd", "rmul", "rdiv"}  # reached by tensor constants only
    seen = {n.op and name_of(n) for up in OPERATIONS for n in trace(law_with(up)).nodes}
    assert set(operations()) - seen <= written


def name_of(node):
    return operation_name(node) if node.op.startswith("call") else None


def test_reflected_operations():
    agree(law_with(lambda s, w: torch.tensor(2.0).__rsub__(w) + torch.tensor(3.0).__rtruediv__(w)))


# Everything is float32.


@pytest.mark.parametrize("number", range(0, len(OPERATIONS), 4))
def test_every_intermediate_is_float32(number):
    up = compiled(law_with(OPERATIONS[number]))
    up(F(0.5), F(0.8), F(2.0))
    [overload] = up.overloads.values()
    assert str(overload.signature.return_type) == "float32"
    assert not {"float64", "int64"} & {str(t) for t in overload.type_annotation.typemap.values()}


def test_source_of_a_simple_law():
    lowered = lower(SoftBounds())
    assert lowered.fields == ("tau_max", "tau_min")
    assert (
        "def up(w, f_tau_max, f_tau_min):\n    _t0 = _C0 / f_tau_max\n    _t1 = w * _t0\n    _t2 = _C0 - _t1\n"
        in lowered.source
    )
    assert "_C0 = np.float32(1.0)" in lowered.source
    assert lower(SoftBounds()) == lowered


# Powers.


@pytest.mark.parametrize(
    ("gamma", "text"),
    [
        (0.5, "sqrt32"),
        (1.0, "_t3\n"),
        (1.5, "_t3 * _t4"),
        (2.0, "_t3 * _t3\n"),
        (4.0, "_t3 * _t3 * _t3 * _t3"),
    ],
)
def test_simple_powers_are_written_out(gamma, text):
    source = lower(Power(gamma_res=gamma)).source
    assert text in source
    assert "pow32" not in source


def test_other_powers_call_pow():
    assert "pow32(_t3, f_gamma_res)" in lower(Power(gamma_res=0.7)).source
    varying = lower(Power(gamma_res=0.5), varying={"gamma_res"}).source
    assert "pow32(_t3, f_gamma_res)" in varying
    assert varying == lower(Power(gamma_res=2.0), varying={"gamma_res"}).source


def test_method_of_choice():
    class Noisy(SoftBounds):
        def noise(self, w):
            return 0.1 * torch.sqrt(self.up(w))

    source = lower(Noisy(), methods=("up", "noise")).source
    assert "def noise(w, f_tau_max, f_tau_min):" in source
    assert "def down" not in source


# Complaints.


def with_if(self, w):
    if w > 0:
        return 1 - w
    return w


def with_list(self, w):
    return [w]


@pytest.mark.parametrize(
    ("up", "message"),
    [
        (
            lambda s, w: torch.erf(w),
            r"`Law.up`: the operation erf has no compiled form. These have: abs, add, clamp",
        ),
        (lambda s, w: w.cumsum(0), "the operation cumsum has no"),
        (lambda s, w: w.T, "the operation attribute T has no"),
        (with_if, "`Law.up`: cannot be compiled.*TraceError.*torch.where instead of if"),
        (lambda s, w: math.exp(w), "must be real number, not Proxy.*torch.exp instead of math.exp"),
        (lambda s, w: np.exp(w), "torch.exp instead of math.exp or numpy.exp"),
        (lambda s, w: max(w, 0.0), "torch.minimum and torch.clamp instead of min and max"),
        (lambda s, w: w + s.missing, "AttributeError: 'Law' object has no attribute 'missing'"),
        (with_list, "uses a"),
        (lambda s, w: None, "returns None"),
        (lambda s, w: torch.where(w, w, 0.0), "the operation where needs a condition"),
        (
            lambda s, w: torch.add(w, w, alpha=2),
            "the operation add got an unexpected keyword argument 'alpha'",
        ),
        (
            lambda s, w: torch.where(w > 0, w, math.inf),
            "uses the constant inf, which is not a finite float32",
        ),
        (lambda s, w: math.nan, "its result uses the constant nan"),
        (lambda s, w: w * torch.ones(3), r"uses a tensor of shape \(3,\)"),
        (lambda s, w: (w > 0) & 3, "needs a condition"),
    ],
)
def test_complaints(up, message):
    with pytest.raises(MhoError, match=message):
        lower(law_with(up))


def test_complaints_about_arguments():
    with pytest.raises(MhoError, match=r"`lower\(varying='tau'\)`: did you mean 'tau_m"):
        lower(SoftBounds(), varying={"tau"})
    with pytest.raises(MhoError, match="tau_max differs from cell to cell"):
        lower(SoftBounds().with_fields(tau_max=torch.ones(2, 3)))
