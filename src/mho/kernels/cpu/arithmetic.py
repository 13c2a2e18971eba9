"""Arithmetic on lines and matrices of float32, as requests: what the steps of algorithms do with numbers.

The words are those of `ArithmeticWords`; `requests.py` says what a request is. Each operation has the roundings of
torch's on a processor with AVX2: a product that is added is not rounded before.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from mho.numerics.address import array_at
from mho.numerics.compile import part
from mho.numerics.machine_code import lean_kernel
from mho.numerics.vector import fma32, wide

_I64, _F64, _F32, _U8 = np.int64, np.float64, np.float32, np.uint8


class Operation(IntEnum):
    """The operations, by the number that is written for numbers a and b, and two factors p and q."""

    COPY = 0  # a
    ADD = 1  # a + p b
    MULTIPLY = 2  # a b
    SCALE = 3  # p a
    WHOLE = 4  # a / p without its fraction
    CLAMP = 5  # a within p and q
    LERP = 6  # a + p (b - a)
    IF_ZERO = 7  # p where a is zero, else q


class ArithmeticWords(NamedTuple):
    """The arguments of `arithmetic`, on `rows` rows of `columns` numbers. Steps are in numbers; 0 repeats one."""

    operation: int
    rows: int
    columns: int
    out: int  # address; the steps from a row to the next, and from a number to the next
    out_row: int
    out_column: int
    a: int
    a_row: int
    a_column: int
    b: int  # address 0: none
    b_row: int
    b_column: int
    p: int  # bits
    q: int
    mark: int  # address of a byte that is set to 1, or 0


@part
def _at(address, n, step):
    """Return the numbers from an address on to the n-th, `step` apart."""
    return array_at(address, ((n - 1) * step + 1,), _F32)


@lean_kernel
def arithmetic(address):
    """Carry out one operation."""
    wide()
    t = array_at(address, (16,), _I64)
    real = array_at(address, (16,), _F64)
    operation, n = t[1], t[3]
    p, q, one = np.float32(real[13]), np.float32(real[14]), np.float32(1.0)
    so, sa, sb = t[6], t[9], t[12]
    for i in range(t[2]):
        out, a = _at(t[4] + 4 * i * t[5], n, so), _at(t[7] + 4 * i * t[8], n, sa)
        b = _at(t[10] + 4 * i * t[11], n, sb) if t[10] != 0 else a
        if operation == 0:
            for j in range(n):
                out[j * so] = a[j * sa]
        elif operation == 1:
            if so == sa == sb == 1:
                for j in range(n):
                    out[j] = fma32(p, b[j], a[j])
            else:
                for j in range(n):
                    out[j * so] = fma32(p, b[j * sb], a[j * sa])
        elif operation == 2:
            if so == sa == sb == 1:
                for j in range(n):
                    out[j] = a[j] * b[j]
            else:
                for j in range(n):
                    out[j * so] = a[j * sa] * b[j * sb]
        elif operation == 3:
            for j in range(n):
                out[j * so] = p * a[j * sa]
        elif operation == 4:
            for j in range(n):
                out[j * so] = np.trunc(a[j * sa] / p)
        elif operation == 5:
            for j in range(n):
                v = a[j * sa]
                out[j * so] = p if v < p else q if v > q else v
        elif operation == 6:
            for j in range(n):
                v, w = a[j * sa], b[j * sb]
                out[j * so] = fma32(p, w - v, v) if abs(p) < np.float32(0.5) else fma32(-(w - v), one - p, w)
        else:
            for j in range(n):
                out[j * so] = p if a[j * sa] == 0 else q
    if t[15] != 0:
        array_at(t[15], (1,), _U8)[0] = 1
    t[0] = 0
