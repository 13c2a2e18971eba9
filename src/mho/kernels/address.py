"""Rows of torch tensors in compiled code, by their address: `tensor.numpy()` takes eight times as long as
`tensor.data_ptr()`, which in a small layer is more than the work on the row."""

# mypy: disable-error-code="call-arg, attr-defined"
# (Numba's own types describe an intrinsic as it is defined, with a typing context, not as it is called.)

from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array


@intrinsic
def floats_at(typingctx, address, n):
    """The n float32 at a memory address, as a contiguous array; whoever calls keeps that memory alive."""
    array_type = types.Array(types.float32, 1, "C")

    def codegen(context, builder, signature, args):
        array = context.make_array(array_type)(context, builder)
        data = builder.inttoptr(args[0], ir.FloatType().as_pointer())
        size = context.get_constant(types.intp, 4)
        populate_array(array, data=data, shape=[args[1]], strides=[size], itemsize=size, meminfo=None)
        return array._getvalue()

    return array_type(types.int64, types.int64), codegen
