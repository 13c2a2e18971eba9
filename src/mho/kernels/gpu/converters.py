"""The periphery on the GPU: `encode` before the product, `decode` after it, as `mho.kernels.cpu.converters`.

One program a sample. `which` (int64) names the samples, unless ALL of them are meant: bound management repeats
only some, which then lie one behind the other in `out`, `y`, `scale` and `over`.
"""

import triton
import triton.language as tl

from mho.kernels.gpu.normal import normal_of
from mho.kernels.gpu.primitives import div32, rint32

NOT_FINITE, OVER = (tl.constexpr(n) for n in range(2))  # places in a product's status


@triton.jit
def _clip(v, bound):
    """Return v, at least -bound and at most bound."""
    v = tl.where(v < -bound, -bound, v)
    return tl.where(v > bound, bound, v)


@triton.jit
def _find_bad(values, found, n, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64)
    broken = tl.full((), 0, tl.int32)
    for first in range(0, n, BLOCK):
        j = first + tl.arange(0, BLOCK)
        size = tl.abs(tl.load(values + i * n + j, mask=j < n, other=0.0))
        broken += tl.sum(((size < float("inf")) == 0).to(tl.int32))
    if broken > 0:
        tl.atomic_min(found, i)


@triton.jit
def find_bad(x, d, found, n_in, n_out, BLOCK: tl.constexpr):
    """Lower found[0] (int64) to a sample whose x (in,) holds NaN or infinity, one program a sample and side, and
    found[1] if its d (out,) does."""
    if tl.program_id(1) == 0:
        _find_bad(x, found, n_in, BLOCK)
    else:
        _find_bad(d, found + 1, n_out, BLOCK)


@triton.jit(do_not_specialize=["low", "high", "draw"])
def encode(x, sign, out, scale, numbers, which, status, low, high, draw, factor, n, ALL: tl.constexpr,
           QUANTISE: tl.constexpr, NOISY: tl.constexpr, ABS_MAX: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Convert inputs (DAC): out = clip(round(sign * x / scale)) + noise.

    Args:
        x: (samples, n) float32; sign: 1.0 or -1.0; out: (programs, n) float32; scale: (programs,) float32.
        numbers: (bound, step, sigma) float32; QUANTISE: step > 0; NOISY: sigma > 0; ABS_MAX: scale by max |x|.
        status: int64, counts the samples that are NOT_FINITE.
        low, high: key; draw: 2 * attempt, in the noise's counter; factor: 2^attempt.
    """
    i = tl.program_id(0).to(tl.int64)
    r = i
    if not ALL:
        r = tl.load(which + i)
    bound, step, sigma = tl.load(numbers), tl.load(numbers + 1), tl.load(numbers + 2)
    top = tl.full((), 0.0, tl.float32)
    broken = tl.full((), 0, tl.int32)
    for first in range(0, n, BLOCK):
        j = first + tl.arange(0, BLOCK)
        size = tl.abs(tl.load(x + r * n + j, mask=j < n, other=0.0))
        broken += tl.sum(((size < float("inf")) == 0).to(tl.int32))
        top = tl.maximum(top, tl.max(size))
    if broken > 0:
        tl.atomic_add(status + NOT_FINITE, 1)
    size = tl.full((), 1.0, tl.float32) * factor
    kept = size
    if ABS_MAX:
        size = tl.where(top > 0.0, top * factor, size)
        kept = tl.where(top > 0.0, size, 0.0)
    tl.store(scale + i, kept)
    for first in range(0, n, BLOCK):
        j = first + tl.arange(0, BLOCK)
        v = div32(sign * tl.load(x + r * n + j, mask=j < n, other=0.0), size)
        if QUANTISE:
            v = rint32(div32(v, step)) * step
        v = _clip(v, bound)
        if NOISY:
            v += sigma * normal_of(low, high, j.to(tl.int64), draw, r)
        tl.store(out + i * n + j, v, mask=j < n)


@triton.jit(do_not_specialize=["low", "high", "draw"])
def decode(y, scale, numbers, which, over, status, low, high, draw, n, ALL: tl.constexpr,
           QUANTISE: tl.constexpr, NOISY: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Convert outputs (ADC), in place: y = scale * clip(round(y + noise)), y (programs, n) float32.

    over (programs,) int32 becomes 1 where an output reached the bound, else 0; status counts these samples at
    OVER; draw: 2 * attempt + 1; the rest as in `encode`.
    """
    i = tl.program_id(0).to(tl.int64)
    r = i
    if not ALL:
        r = tl.load(which + i)
    bound, step, sigma = tl.load(numbers), tl.load(numbers + 1), tl.load(numbers + 2)
    size = tl.load(scale + i)
    top = tl.full((), 0.0, tl.float32)
    for first in range(0, n, BLOCK):
        j = first + tl.arange(0, BLOCK)
        v = tl.load(y + i * n + j, mask=j < n, other=0.0)
        if NOISY:
            v += sigma * normal_of(low, high, j.to(tl.int64), draw, r)
        if QUANTISE:
            v = rint32(div32(v, step)) * step
        top = tl.maximum(top, tl.max(tl.where(j < n, tl.abs(v), 0.0)))
        tl.store(y + i * n + j, _clip(v, bound) * size, mask=j < n)
    reached = (top >= bound).to(tl.int32)
    tl.store(over + i, reached)
    tl.atomic_add(status + OVER, reached.to(tl.int64))
