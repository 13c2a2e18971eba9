"""The periphery as two passes over the data: `encode` before the product, `decode` after it.

Noise: Philox counter (column // 8, 2 * attempt (+ 1 at the output), row of the call, 0), under the call's key.
"""

import numpy as np

from mho.kernels.compile import lean_kernel
from mho.kernels.math32 import largest32
from mho.kernels.normal import fill_normals
from mho.kernels.philox import call_words

_ZERO = np.uint32(0)


@lean_kernel
def encode(x, out, scale, numbers, key, stream, event, rows, attempt, z, words):
    """DAC: out = clip(round(x / scale)) + noise, for the samples in `rows`.

    Args:
        x, out: (samples, in) float32.
        scale: (samples,) float32, set to max |x| if `abs_max`, else 1; times 2^attempt. A zero sample scaled
            by its maximum gets scale 0: nothing is applied, and nothing, not even noise, comes back.
        numbers: (bound, step, sigma, abs_max): three float32, a bool; step 0 does not quantise.
        key: (low, high) of the tile; stream, event: see `philox.call_words`.
        rows: int64 indices of the samples to encode; attempt: of bound management.
        z, words: scratch, float32 and uint32 of length in + 8 or more.
    Returns: the index of a sample with NaN or infinity, or -1.
    """
    bound, step, sigma, abs_max = numbers
    key = call_words(key, stream, event)
    n = x.shape[1]
    one = np.float32(1.0)
    for r in rows:
        top = largest32(x[r])
        if not np.isfinite(top):
            return r
        size = (top if abs_max and top > 0 else one) * np.float32(2.0**attempt)
        scale[r] = size if top > 0 or not abs_max else np.float32(0.0)
        if step > 0:
            for j in range(n):
                v = np.rint(x[r, j] / size / step) * step
                out[r, j] = min(max(v, -bound), bound)
        else:
            for j in range(n):
                out[r, j] = min(max(x[r, j] / size, -bound), bound)
        if sigma > 0:
            fill_normals(z, words, 0, n, key[0], key[1], np.uint32(2 * attempt), np.uint32(r), _ZERO)
            for j in range(n):
                out[r, j] += sigma * z[j]
    return -1


@lean_kernel
def decode(y, scale, numbers, key, stream, event, rows, attempt, over, z, words):
    """ADC, in place: y = scale * clip(round(y + noise)), for the samples in `rows`.

    Args:
        y: (samples, out) float32; scale: (samples,) float32 of `encode`.
        numbers: (bound, step, sigma), float32; key, stream, event, rows, attempt: as in `encode`.
        over: (samples,) int64, filled from the front with the samples that reached the bound.
        z, words: scratch, of length out + 8 or more.
    Returns: how many did.
    """
    bound, step, sigma = numbers
    key = call_words(key, stream, event)
    n = y.shape[1]
    n_over = 0
    for r in rows:
        if sigma > 0:
            fill_normals(z, words, 0, n, key[0], key[1], np.uint32(2 * attempt + 1), np.uint32(r), _ZERO)
            for j in range(n):
                y[r, j] += sigma * z[j]
        size = scale[r]
        if step > 0:
            for j in range(n):
                y[r, j] = np.rint(y[r, j] / step) * step
        top = largest32(y[r])
        for j in range(n):
            y[r, j] = min(max(y[r, j], -bound), bound) * size
        if top >= bound:
            over[n_over] = r
            n_over += 1
    return n_over
