"""Float32 elementary functions: error against float64, edge cases, the same bits in every kind of loop."""

import numpy as np
import pytest
from numba import njit

from mho.numerics import math32

F = np.float32
N = 200_000


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.logaddexp(0, x)


def linear(a, b):
    return np.linspace(a, b, N)


def powers(a, b):
    return np.exp2(np.linspace(a, b, N))


def loop_over(function):
    """A loop over one array, which the compiler may vectorise."""

    @njit(fastmath=False, error_model="numpy")
    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    return loop


def applied(function, x):
    x = np.asarray(x, F)
    out = np.empty_like(x)
    loop_over(function)(x, out)
    return out


def ulps(got, exact):
    """Distance in units of the last place of the exact values, those of subnormals being constant."""
    unit = np.spacing(np.maximum(np.abs(exact), 2.0**-126).astype(F)).astype(np.float64)
    return np.abs(got.astype(np.float64) - exact) / unit


# function, numpy's, bound in ulp (as its docstring states), points
CASES = [
    (math32.exp32, np.exp, 1.1, [linear(-103, 88.72), linear(-1, 1), -powers(-40, 0)]),
    (math32.expm1_32, np.expm1, 2.0, [linear(-30, 88.72), linear(-2, 2), powers(-40, 0), -powers(-40, 0)]),
    (math32.exp2_32, np.exp2, 1.1, [linear(-149, 127.99), linear(-1, 1)]),
    (math32.log32, np.log, 1.0, [powers(-148, 127.9), linear(0.5, 2), linear(0.99, 1.01)]),
    (math32.log2_32, np.log2, 2.0, [powers(-148, 127.9), linear(0.5, 2), linear(0.99, 1.01)]),
    (math32.log1p_32, np.log1p, 3.0, [powers(-140, 127.9), linear(-0.9999, 2), -powers(-40, -0.001)]),
    (math32.tanh32, np.tanh, 2.0, [linear(-10, 10), powers(-140, 0)]),
    (math32.sigmoid32, sigmoid, 3.0, [linear(-88, 20)]),
    (math32.softplus32, softplus, 3.0, [linear(-87, 30)]),
    (math32.sqrt32, np.sqrt, 0.5, [powers(-148, 127.9)]),
]


@pytest.mark.parametrize(
    ("function", "exact", "bound", "ranges"), CASES, ids=lambda v: getattr(v, "__name__", "")
)
def test_error_is_within_the_stated_bound(function, exact, bound, ranges):
    x = np.concatenate(ranges).astype(F)
    error = ulps(applied(function, x), exact(x.astype(np.float64)))
    worst = error.argmax()
    assert error[worst] <= bound, f"{error[worst]} ulp at {x[worst]!r}"


@njit(fastmath=False, error_model="numpy")
def power_loop(x, y, out):
    for i in range(x.size):
        out[i] = math32.pow32(x[i], y[i])


@pytest.mark.parametrize("largest", [1, 4, 30])
def test_error_of_pow(largest):
    rng = np.random.default_rng(1)
    x = np.where(rng.random(N) < 0.5, rng.uniform(0, 2, N), np.exp2(rng.uniform(-140, 120, N))).astype(F)
    y = rng.uniform(-largest, largest, N).astype(F)
    with np.errstate(over="ignore"):
        exact = x.astype(np.float64) ** y.astype(np.float64)
    normal = (exact < 3.4e38) & (exact > 2.0**-126)
    x, y, exact = x[normal], y[normal], exact[normal]
    out = np.empty_like(x)
    power_loop(x, y, out)
    error = ulps(out, exact) - np.abs(y)
    assert error.max() <= 2.0


# Edge cases: each function against numpy in float64, rounded to float32.

EDGES = np.array(
    [-np.inf, -1e30, -3.5, -3, -2, -1, -0.5, -0.0, 0.0, 1e-45, 1e-39, 0.5, 1, 2, 3, 3.5, 88.73, 104, 129,
     1e38, 8388607, -8388607, 16777215, 16777216, np.inf, np.nan], F,
)  # fmt: skip


def same(got, exact):
    """Equal, or both NaN, or a rounding error apart."""
    with np.errstate(invalid="ignore"):
        close = np.abs(got - exact) <= 1e-6 * np.abs(exact)
    return (got == exact) | (np.isnan(got) & np.isnan(exact)) | (close & np.isfinite(exact))


@pytest.mark.parametrize(
    ("function", "exact"), [c[:2] for c in CASES], ids=lambda v: getattr(v, "__name__", "")
)
def test_edge_cases(function, exact):
    with np.errstate(all="ignore"):
        expected = exact(EDGES.astype(np.float64)).astype(F)
    got = applied(function, EDGES)
    assert same(got, expected).all(), list(zip(EDGES, got, expected, strict=True))


def test_edge_cases_of_pow():
    x, y = (v.ravel() for v in np.meshgrid(EDGES, EDGES))
    out = np.empty_like(x)
    power_loop(x, y, out)
    with np.errstate(all="ignore"):
        expected = np.power(x.astype(np.float64), y.astype(np.float64)).astype(F)
    bad = ~same(out, expected)
    assert not bad.any(), list(zip(x[bad], y[bad], out[bad], expected[bad], strict=True))


def test_limits_that_the_docstrings_name():
    assert math32.exp32(F(88.8)) == np.inf
    assert math32.exp32(F(-104)) == 0
    assert 0 < math32.exp32(F(-100)) < 2.0**-126
    assert math32.log32(F(0)) == -np.inf
    assert math32.pow32(F(0), F(0.7)) == 0
    assert math32.pow32(F(0), F(-0.7)) == np.inf
    assert math32.pow32(F(0), F(0)) == 1
    assert np.isnan(math32.log32(F(-1)))
    assert math32.log2_32(F(2.0**-140)) == -140


def test_min_max_and_select():
    nan = F("nan")
    assert math32.min32(F(1), F(2)) == 1
    assert math32.max32(F(1), F(2)) == 2
    for a, b in [(nan, F(1)), (F(1), nan)]:
        assert np.isnan(math32.min32(a, b))
        assert np.isnan(math32.max32(a, b))

    @njit(fastmath=False)
    def choose(c, a, b):
        return math32.select32(c > F(0), a, b)

    assert choose(F(1), F(5), nan) == 5
    assert choose(F(-1), nan, F(5)) == 5


def test_bits_go_there_and_back():
    @njit(fastmath=False)
    def bits(x):
        return math32.float_to_bits(x)

    @njit(fastmath=False)
    def back(n):
        return math32.bits_to_float(n)

    assert bits(F(1)) == 0x3F800000
    assert bits(F(-0.0)) == -(2**31)
    assert back(np.int32(0x40490FDB)) == F(np.pi)
    assert back(np.uint32(0x40490FDB)) == F(np.pi)


def test_sincos():
    @njit(fastmath=False, error_model="numpy")
    def loop(r, sin, cos):
        for i in range(r.size):
            sin[i], cos[i] = math32.sincos_eighth32(r[i])

    r = (np.arange(-(2**18), 2**18 + 1) / 2**21).astype(F)
    sin, cos = np.empty_like(r), np.empty_like(r)
    loop(r, sin, cos)
    angle = 2 * np.pi * r.astype(np.float64)
    assert np.abs(sin - np.sin(angle)).max() < 1.2e-7
    assert np.abs(cos - np.cos(angle)).max() < 1.2e-7
    assert (sin[2**18], cos[2**18]) == (0, 1)


@pytest.mark.parametrize("function", [math32.exp32, math32.log32, math32.tanh32, math32.expm1_32])
def test_vectorised_loop_equals_single_calls(function):
    x = np.abs(np.random.default_rng(0).normal(0, 3, 1003)).astype(F)
    many = applied(function, x)
    single = np.array([function(v) for v in x], F)
    assert many.tobytes() == single.tobytes()


@pytest.mark.parametrize("function", [c[0] for c in CASES], ids=lambda f: f.__name__)
def test_float32_throughout(function):
    loop = loop_over(function)
    x = np.ones(8, F)
    loop(x, x.copy())
    [assembly] = loop.inspect_asm().values()
    for instruction in ("cvtss2sd", "cvtps2pd"):
        assert instruction not in assembly
