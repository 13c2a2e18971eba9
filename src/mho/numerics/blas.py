"""The matrix product of torch's own BLAS for compiled code, by its address."""

import ctypes
import functools
from pathlib import Path

import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_SHAPES = (1, 1, 1), (3, 5, 2), (10, 300, 17), (33, 64, 48)


@functools.cache
def sgemm() -> int:
    """Return the address of `sgemm_`, whose products have the bits of `torch.mm`; 0 if there is no such function.

    Arguments are those of BLAS, all by address: transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc.
    """
    folder = Path(torch.__file__).parent / "lib"
    try:
        library = ctypes.CDLL(str(next(folder.glob("libtorch_cpu.*"))))
        address = ctypes.cast(library.sgemm_, ctypes.c_void_p).value or 0
    except (AttributeError, OSError, StopIteration):
        return 0
    return address if all(_agrees(address, *shape) for shape in _SHAPES) else 0


def _agrees(address: int, samples: int, n_in: int, n_out: int) -> bool:
    """Return whether x (samples, in) times w (out, in) has the bits of `torch.mm`, both ways."""
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 13)(address)
    x = torch.linspace(-1.0, 1.0, samples * n_in).sin().reshape(samples, n_in)
    w = torch.linspace(0.0, 9.0, n_out * n_in).cos().reshape(n_out, n_in)
    sizes, factors = (ctypes.c_int64 * 3)(n_out, samples, n_in), (ctypes.c_float * 2)(1.0, 0.0)
    letters = ctypes.create_string_buffer(b"tn")
    (a, b), (one, none) = (
        (ctypes.addressof(letters) + n for n in (0, 1)),
        (ctypes.addressof(factors) + n for n in (0, 4)),
    )
    m, n, k = (ctypes.addressof(sizes) + 8 * i for i in range(3))
    y, back = torch.full((samples, n_out), torch.nan), torch.full((samples, n_in), torch.nan)
    call(a, b, m, n, k, one, w.data_ptr(), k, x.data_ptr(), k, none, y.data_ptr(), m)
    expected = torch.empty_like(y)
    torch.mm(x, w.mT, out=expected)
    call(b, b, k, n, m, one, w.data_ptr(), k, y.data_ptr(), m, none, back.data_ptr(), k)
    expected_back = torch.empty_like(back)
    torch.mm(expected, w, out=expected_back)
    return torch.equal(y, expected) and torch.equal(back, expected_back)


@intrinsic
def call_c(typingctx, address, arguments):
    """Call the C function at an address, which returns nothing, with a tuple of int64 addresses."""

    def codegen(context, builder, signature, args):
        word = ir.IntType(64)
        numbers = cgutils.unpack_tuple(builder, args[1])
        kind = ir.FunctionType(ir.VoidType(), [word] * len(numbers))
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), numbers)
        return context.get_dummy_value()

    return types.void(address, arguments), codegen


@intrinsic
def fma32(typingctx, a, b, c):
    """Return a * b + c of float32 numbers, rounded once."""

    def codegen(context, builder, signature, args):
        return builder.fma(*args)

    return types.float32(types.float32, types.float32, types.float32), codegen
