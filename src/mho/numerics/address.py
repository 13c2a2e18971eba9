"""Memory of torch tensors in compiled code, by its address: `tensor.numpy()` takes eight times as long as
`tensor.data_ptr()`, which in a small layer is more than the work on the row."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array


@intrinsic
def array_at(typingctx, address, shape, kind):
    """Return the contiguous array of this shape, a tuple of integers, and dtype at a memory address, an int64.

    The caller keeps that memory alive.
    """
    array_type = types.Array(kind.dtype, len(shape), "C")

    def codegen(context, builder, signature, args):
        array = context.make_array(array_type)(context, builder)
        data_type = context.get_data_type(array_type.dtype)
        itemsize = context.get_constant(types.intp, context.get_abi_sizeof(data_type))
        lengths = [
            context.cast(builder, n, kind, types.intp)
            for n, kind in zip(cgutils.unpack_tuple(builder, args[1]), signature.args[1], strict=True)
        ]
        strides = [itemsize]
        for n in lengths[:0:-1]:
            strides.insert(0, builder.mul(strides[0], n))
        data = builder.inttoptr(args[0], data_type.as_pointer())
        populate_array(array, data=data, shape=lengths, strides=strides, itemsize=itemsize, meminfo=None)
        return array._getvalue()

    return array_type(types.int64, shape, kind), codegen


@intrinsic
def floats_at(typingctx, address, n):
    """Return the n float32 at a memory address as a contiguous array; the caller keeps that memory alive."""
    array_type = types.Array(types.float32, 1, "C")

    def codegen(context, builder, signature, args):
        array = context.make_array(array_type)(context, builder)
        data = builder.inttoptr(args[0], ir.FloatType().as_pointer())
        size = context.get_constant(types.intp, 4)
        populate_array(array, data=data, shape=[args[1]], strides=[size], itemsize=size, meminfo=None)
        return array._getvalue()

    return array_type(types.int64, types.int64), codegen
