"""Compiled functions that other compiled functions call by their address, so that each is compiled by itself.

A loop that is the same for all laws is compiled once, and takes the address of the part that knows the law. Such a
function takes int64 numbers, some of them addresses of memory, returns nothing, and raises nothing.
"""

import functools
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@functools.cache
def address_of(function: Any, arguments: int) -> int:
    """Return the address of a kernel of `mho.numerics.machine_code` with so many arguments, compiled or loaded."""
    signature = (types.int64,) * arguments
    if signature not in function.overloads:
        function.compile(signature)
    compiled = function.overloads[signature]
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


@intrinsic
def call_at(typingctx, address, arguments):
    """Call the function at an address with a tuple of int64 numbers."""

    def codegen(context, builder, signature, args):
        word, pointer = ir.IntType(64), ir.IntType(8).as_pointer()
        numbers = cgutils.unpack_tuple(builder, args[1])
        # Numba's functions begin with the places of their result and of their error.
        kind = ir.FunctionType(ir.IntType(32), [pointer.as_pointer()] * 2 + [word] * len(numbers))
        places = [cgutils.alloca_once(builder, pointer) for _ in range(2)]
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), [*places, *numbers])
        return context.get_dummy_value()

    return types.void(address, arguments), codegen


@intrinsic
def address_in(typingctx, array):
    """Return the address of the first number of a contiguous array, an int64."""

    def codegen(context, builder, signature, args):
        data = context.make_array(array)(context, builder, args[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return types.int64(array), codegen
