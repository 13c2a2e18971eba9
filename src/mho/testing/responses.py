"""The conformance suite for response laws."""

import inspect

import numpy as np
import torch
from torch import Tensor

from mho.base.records import float_fields
from mho.kernels.law.emit import lower
from mho.responses.base import Response

FAR = 10.0  # distance from 0 up to which a law without bounds is examined [weight units]
ULPS = 16  # largest difference of compiled and torch's float32 [ulp of max |q|]
CELLS = (2, 3)


def check_response(law: type[Response] | Response, published: bool = False) -> None:
    """Check that a response law does all that the library relies on.

    Defaults construct, and `repr` rebuilds the law. Between the bounds up and down are finite and positive; at the
    bounds they are finite. G is zero at every symmetric point, and the law's own noise has the mean up or down.
    Numbers, tensors and compiled float32 give the same values (compiled: within 16 ulp of max |q| of torch's
    float32), also if fields vary from cell to cell.

    Args:
        law: a class derived from Response, or an object of it to check with other parameters.
        published: also require a `Source:` line in the docstring, as all laws of the package have.

    Raises:
        AssertionError: the law fails; the message names the fault and the weight.
    """
    cls = law if inspect.isclass(law) else type(law)
    try:
        default = cls()
    except Exception as error:
        raise AssertionError(f"{cls.__name__}(): the defaults do not construct: {error}") from error
    law = default if inspect.isclass(law) else law
    if published:
        assert "Source:" in (cls.__doc__ or ""), f"{cls.__name__}: the docstring has no `Source:` line"
    _check_repr(law)
    w = _between_bounds(law)
    _check_signs(law, w)
    _check_bounds(law)
    _check_symmetric_points(law)
    _check_tensors(law, w)
    _check_compiled(law, w)
    _check_cells(law, w)
    if law.is_noisy:
        _check_noise(law, w)


def _check_repr(law: Response) -> None:
    try:
        rebuilt = eval(repr(law), {type(law).__name__: type(law)})
    except Exception as error:
        raise AssertionError(f"{law!r}: this repr does not evaluate: {error}") from error
    assert rebuilt == law, f"{law!r}: its repr rebuilds another object, {rebuilt!r}"


def _limits(law: Response) -> tuple[float, float]:
    lower_bound, upper_bound = law.bounds()
    return float(lower_bound), float(upper_bound)


def _between_bounds(law: Response) -> Tensor:
    """Return 201 points strictly between the bounds, or out to FAR."""
    low, high = _limits(law)
    assert low < high, f"{law!r}: bounds() returned {low}, {high}, which are not in rising order"
    return torch.linspace(max(low, -FAR), min(high, FAR), 203, dtype=torch.float64)[1:-1]


def _require(ok: Tensor, law: Response, message: str, **values: Tensor) -> None:
    """Fail at the first place at which `ok` is false; the message gets the values at that place."""
    bad = (~ok).flatten().nonzero()
    if len(bad):
        first = int(bad[0])
        at = {name: value.flatten()[first].item() for name, value in values.items()}
        raise AssertionError(f"{law!r}: {message.format(**at)}")


def _check_signs(law: Response, w: Tensor) -> None:
    for name, q in (("up", law.q_up(w)), ("down", law.q_down(w)), ("F", law.F(w))):
        message = name + "({w}) = {q}, but it must be finite and positive between the bounds"
        _require(q.isfinite() & (q > 0), law, message, w=w, q=q)


def _check_bounds(law: Response) -> None:
    for side, bound in zip(("lower", "upper"), _limits(law), strict=True):
        assert bound == bound, f"{law!r}: the {side} bound is NaN"
        if abs(bound) == float("inf"):
            continue
        for dtype in (torch.float64, torch.float32):
            at = torch.tensor([bound], dtype=dtype)
            for name, q in (("up", law.q_up(at)), ("down", law.q_down(at))):
                value = q.item()
                where = (
                    f"at the {side} bound {bound} in {dtype}. Fix: clamp inside the law, or define bounds()"
                )
                assert np.isfinite(value), f"{law!r}: {name} is {value} {where}"


def _check_symmetric_points(law: Response) -> None:
    low, high = _limits(law)
    for point in law.symmetric_points():
        g, f = law.G(point.w), law.F(point.w)
        assert low < point.w < high, f"{law!r}: {point} lies outside the bounds {low}, {high}"
        assert abs(g) <= 1e-9 * f, f"{law!r}: {point} is not symmetric: G = {g}, F = {f} there"
        assert point.rate in ("exponential", "algebraic"), f"{law!r}: {point} has an unknown rate"


def _check_tensors(law: Response, w: Tensor) -> None:
    for name, q in (("up", law.q_up), ("down", law.q_down)):
        for dtype in (torch.float64, torch.float32):
            grid = w.to(dtype)[:200].reshape(2, 100)
            values = q(grid)
            got, need = (tuple(values.shape), values.dtype), (tuple(grid.shape), dtype)
            assert got == need, f"{law!r}: {name} of shape and dtype {need} has {got}"
        many, single = q(w), torch.tensor([q(x) for x in w.tolist()], dtype=torch.float64)
        message = name + "({w}) is {single} for a number but {many} for a tensor"
        close = (many - single).abs() <= 1e-13 * many.abs().max()
        _require(close, law, message, w=w, single=single, many=many)


def _check_compiled(law: Response, w: Tensor) -> None:
    """Compare compiled float32 with torch's float32; all cells share the fields."""
    w = w.float()
    fields = {n: torch.full_like(w, float(getattr(law, n))) for n in float_fields(type(law))}
    _compare_compiled(law, law, w, fields, frozenset())


def _check_cells(law: Response, w: Tensor) -> None:
    """Check fields that differ from cell to cell: shape, values, bounds, compiled values."""
    names = float_fields(type(law))
    if not names:
        return
    factors = torch.linspace(0.98, 1.02, 6).reshape(CELLS)
    fields = {n: float(getattr(law, n)) * factors.roll(k) for k, n in enumerate(names)}
    view = law.with_fields(**fields)
    w_cells = 0.9 * w.float()[[10, 40, 90, 110, 160, 190]].reshape(CELLS)
    for name, method in (("up", "q_up"), ("down", "q_down")):
        values = getattr(view, method)(w_cells)
        shape = tuple(values.shape)
        assert shape == CELLS, f"{law!r}: {name} with fields of shape {CELLS} has shape {shape}"
        for cell in np.ndindex(CELLS):
            alone = law.with_fields(**{n: v[cell].item() for n, v in fields.items()})
            expected = getattr(alone, method)(w_cells[cell].item())
            got = values[cell].item()
            message = f"{law!r}: {name} at cell {cell} is {got}, alone {expected}"
            assert abs(got - expected) <= 1e-4 * max(1.0, values.abs().max().item()), message
    for side, bound in zip(("lower", "upper"), view.bounds(), strict=True):
        spread = torch.as_tensor(bound).expand(CELLS)
        assert not spread.isnan().any(), f"{law!r}: with fields of shape {CELLS}, {side} bounds {spread}"
    flat = {n: v.flatten() for n, v in fields.items()}
    _compare_compiled(law, law.with_fields(**flat), w_cells.flatten(), flat, frozenset(names))


def _check_noise(law: Response, w: Tensor) -> None:
    """Check that the law's own noise has the mean up and down, and is the same when compiled."""
    z = torch.linspace(-6, 6, 2401, dtype=torch.float64)
    weight = torch.exp(-z * z / 2)[:, None]
    grid = w[::10].expand(len(z), -1)
    for name, q in (("up", law.q_up), ("down", law.q_down)):
        mean = (weight * q(grid, z[:, None].expand_as(grid))).sum(0) / weight.sum()
        exact = q(w[::10])
        message = f"noisy_{name}({{w}}, z) has mean {{mean}} over z, but {name} is {{exact}}"
        close = (mean - exact).abs() <= 1e-4 * exact.abs().max()
        _require(close, law, message, w=w[::10], mean=mean, exact=exact)
    some = w.float()[::4]
    noise = torch.linspace(-5, 5, len(some))[
        torch.randperm(len(some), generator=torch.Generator().manual_seed(0))
    ]
    fields = {n: torch.full_like(some, float(getattr(law, n))) for n in float_fields(type(law))}
    _compare_compiled(law, law, some, fields, frozenset(), noise)


def _compare_compiled(
    law: Response, view: Response, w: Tensor, fields: dict[str, Tensor], varying: frozenset[str], *z: Tensor
) -> None:
    module: dict = {}
    names = ("noisy_up", "noisy_down") if z else ("up", "down")
    exec((lower(view, varying, names) if z else lower(view, varying)).source, module)
    arguments = [w.numpy(), *(v.numpy() for v in (*z, *fields.values()))]
    for name, expected in zip(names, (view.q_up(w, *z), view.q_down(w, *z)), strict=True):
        got = torch.tensor([module[name](*scalars) for scalars in zip(*arguments, strict=True)])
        ulp = float(np.spacing(np.float32(expected.abs().max().item())))
        message = name + "({w}) is {got} compiled but {expected} in torch, too far apart: "
        message += f"more than {ULPS} ulp of max |q|, which are {ULPS * ulp:.2g}"
        _require((got - expected).abs() <= ULPS * ulp, law, message, w=w, got=got, expected=expected)
