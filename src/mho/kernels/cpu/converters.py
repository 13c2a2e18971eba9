"""The periphery as two passes over the data: `encode` before the product, `decode` after it.

Samples are given by the address of a contiguous float32 matrix (see `mho.numerics.address`). Everything that is
kept between calls is given as an array. Noise: Philox counter (column // 8, 2 * attempt (+ 1 at the output), row of
the call, 0), under the call's key.
"""

import numpy as np

from mho.numerics.address import floats_at
from mho.numerics.compile import loop, part
from mho.numerics.machine_code import lean_kernel
from mho.numerics.math32 import largest32
from mho.numerics.normal import fill_normals, normals_of
from mho.numerics.philox import call_words, philox

_ZERO = np.uint32(0)


@part
def _words(key, stream, event):
    """Return `call_words` of a 64-bit key that comes as a signed integer."""
    return call_words((np.uint32(key & 0xFFFFFFFF), np.uint32((key >> 32) & 0xFFFFFFFF)), stream, event)


@lean_kernel
def encode(x, sign, out, scale, numbers, key, stream, event, rows, attempt, z, words):
    """Convert inputs (DAC): out = clip(round(sign * x / scale)) + noise, for the samples in `rows`.

    Args:
        x: address of (samples, in) float32; sign: 1.0 or -1.0.
        out: (len(rows), in) float32, one row for each of `rows`.
        scale: (len(rows),) float32, set to max |x| if `abs_max`, else 1; times 2^attempt. A zero sample scaled
            by its maximum gets scale 0: nothing is applied, and nothing, not even noise, comes back.
        numbers: (bound, step, sigma, abs_max), a float32 array; step 0 does not quantise.
        key: of the tile, as a signed integer; stream, event: see `philox.call_words`.
        rows: int64 indices of the samples to encode; attempt: of bound management.
        z, words: scratch, float32 and uint32 of length in + 8 or more.
    Returns: the index of a sample with NaN or infinity, or -1.
    """
    bound, step, sigma, abs_max = numbers[0], numbers[1], numbers[2], numbers[3] != 0
    key = _words(key, stream, event)
    n = out.shape[1]
    one, sign = np.float32(1.0), np.float32(sign)
    for i in range(len(rows)):
        r = rows[i]
        line = floats_at(x + 4 * n * r, n)
        top = largest32(line)
        if not np.isfinite(top):
            return r
        size = (top if abs_max and top > 0 else one) * np.float32(2.0**attempt)
        scale[i] = size if top > 0 or not abs_max else np.float32(0.0)
        if step > 0:
            for j in range(n):
                v = np.rint(sign * line[j] / size / step) * step
                out[i, j] = min(max(v, -bound), bound)
        else:
            for j in range(n):
                out[i, j] = min(max(sign * line[j] / size, -bound), bound)
        if sigma > 0:
            fill_normals(z, words, 0, n, key[0], key[1], np.uint32(2 * attempt), np.uint32(r), _ZERO)
            for j in range(n):
                out[i, j] += sigma * z[j]
    return -1


@loop
def _convert(line, size, numbers, z):
    """Send one sample's outputs through the ADC, in place; return whether one of them reached the bound.

    z: the noise of the sample.
    """
    bound, step, sigma = numbers[0], numbers[1], numbers[2]
    n = len(line)
    if sigma > 0:
        for j in range(n):
            line[j] += sigma * z[j]
    if step > 0:
        for j in range(n):
            line[j] = np.rint(line[j] / step) * step
    top = largest32(line)
    for j in range(n):
        line[j] = min(max(line[j], -bound), bound) * size
    return top >= bound


@loop
def _noise(z, words, rows, n, key, attempt):
    """Set z to the noise at the output of each of these rows, one behind the other, each in whole blocks of 8.

    That of short rows is made together: the loop over a row of 16 would be too short to be vectorised.
    """
    blocks, at = (n + 7) // 8, 0
    for r in rows:
        for q in range(blocks):
            a, b, c, d = philox(key[0], key[1], np.uint32(q), np.uint32(2 * attempt + 1), np.uint32(r), _ZERO)
            words[at], words[at + 1], words[at + 2], words[at + 3] = a, b, c, d
            at += 4
    normals_of(words, at, z)


@lean_kernel
def decode(y, n, scale, numbers, key, stream, event, rows, attempt, over, z, words):
    """Convert outputs (ADC), in place: y = scale * clip(round(y + noise)).

    Args:
        y: address of (len(rows), n) float32; scale: (len(rows),) float32 of `encode`.
        numbers: (bound, step, sigma), a float32 array; key, stream, event, rows, attempt: as in `encode`.
        over: (samples,) int64, filled from the front with those of `rows` that reached the bound.
        z, words: scratch, of length n + 8 or more; the longer, the more rows have their noise made together.
    Returns: how many did.
    """
    key = _words(key, stream, event)
    n_over, padded = 0, (n + 7) // 8 * 8
    together, at = max(len(z) // padded, 1), 0
    for i in range(len(rows)):
        at = i % together
        if numbers[2] > 0 and at == 0:
            _noise(z, words, rows[i : min(i + together, len(rows))], n, key, attempt)
        if _convert(floats_at(y + 4 * n * i, n), scale[i], numbers, z[padded * at :]):
            over[n_over] = rows[i]
            n_over += 1
    return n_over


@lean_kernel
def read(source, stride, y, n, numbers, converted, key, stream, event, z, words):
    """Set y (n,) to every `stride`-th number from address `source`, through the ADC if `converted`."""
    line = floats_at(y, n)
    column = floats_at(source, (n - 1) * stride + 1)
    for j in range(n):
        line[j] = column[j * stride]
    if converted:
        key = _words(key, stream, event)
        if numbers[2] > 0:
            fill_normals(z, words, 0, n, key[0], key[1], np.uint32(1), np.uint32(0), _ZERO)
        _convert(line, np.float32(1.0), numbers, z)


@lean_kernel
def first_bad(x, samples, n):
    """Return the first row with NaN or infinity of the (samples, n) float32 at address x, or -1."""
    for r in range(samples):
        if not np.isfinite(largest32(floats_at(x + 4 * n * r, n))):
            return r
    return -1


@lean_kernel
def bad_factors(x, d, samples, n_in, n_out):
    """Return `first_bad` of x and of d: (sample of x or -1, sample of d or -1)."""
    return first_bad(x, samples, n_in), first_bad(d, samples, n_out)
