"""Operations of LLVM that Numba does not expose: bits of floats, selects, wide vectors, lanes with marks.

An intrinsic is one instruction, or a few, in the function that calls it.
"""

# mypy: disable-error-code="attr-defined"

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
_WIDTH = '"prefer-vector-width"="512"'


def can_spread() -> bool:
    """Return whether this processor spreads 16 numbers at once; elsewhere `spread` is right but slow."""
    return bool(binding.get_host_cpu_features().get("avx512f", False))


@intrinsic
def wide(typingctx):
    """Let the function that calls it use 512-bit vectors where the processor has them.

    LLVM stops at 256 bits on processors whose clock once suffered from wider ones; these loops gain a fifth.
    """

    def codegen(context, builder, signature, args):
        set.add(builder.function.attributes, _WIDTH)  # llvmlite's own `add` knows no attributes with values
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def float_to_bits(typingctx, x):
    """Return the 32 bits of a float32 as an int32."""
    if x != types.float32:
        return None
    return types.int32(x), lambda ctx, builder, sig, args: builder.bitcast(args[0], ir.IntType(32))


@intrinsic
def bits_to_float(typingctx, n):
    """Return the float32 that has the bits of a 32-bit integer, signed or not."""
    if not isinstance(n, types.Integer) or n.bitwidth != 32:
        return None
    return types.float32(n), lambda ctx, builder, sig, args: builder.bitcast(args[0], ir.FloatType())


@intrinsic
def select32(typingctx, condition, yes, no):
    """Return `yes` where `condition` holds, else `no`: one instruction, both sides being evaluated."""
    if not isinstance(types.unliteral(condition), types.Boolean) or {yes, no} != {types.float32}:
        return None
    signature = types.float32(types.boolean, types.float32, types.float32)
    return signature, lambda ctx, builder, sig, args: builder.select(*args)


@intrinsic
def fma32(typingctx, a, b, c):
    """Return a * b + c, rounded once: the same bits on any processor, and half the instructions of a polynomial."""

    def codegen(context, builder, signature, args):
        return builder.fma(*args)

    return types.float32(types.float32, types.float32, types.float32), codegen


@intrinsic
def popcount32(typingctx, word):
    """Return how many bits of a uint32 are set, as an int32."""

    def codegen(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.int32(types.uint32), codegen


@intrinsic
def bits64(typingctx, x):
    """Return the bits of a float64 as a uint64."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(64))

    return types.uint64(types.float64), codegen


def apart(builder, pointer):
    """Return the same pointer, to memory that no store in the function changes: gathers vectorise.

    Addresses in kernels come from integers, so LLVM must believe that a store to any array may change any
    other, and for a gather there is no test at run time that would say otherwise.
    """
    name, kind = "mho_apart", ir.FunctionType(pointer.type, [pointer.type])
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, kind, name)
        function.linkage = "internal"
        function.return_value.add_attribute("noalias")
        for attribute in ("noinline", "nounwind", "readnone", "willreturn", "speculatable"):
            set.add(function.attributes, attribute)
        inside = ir.IRBuilder(function.append_basic_block())
        inside.ret(inside.asm(kind, "", "=r,0", [function.args[0]], side_effect=False))
    return builder.call(function, [pointer])


@intrinsic
def entry(typingctx, table, index):
    """Return table[index] of a contiguous array of floats, index an int32 from 0."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load(builder.gep(apart(builder, data), [args[1]]))

    return table.dtype(table, types.int32), codegen


@intrinsic
def spread(typingctx, source, first, marks, at, mark, out, to):
    """Set out[to + l] to the next of source[first], source[first + 1], ... where marks[at + l] == mark, l < 16.

    source, out: one-dimensional contiguous float32; marks: contiguous uint8 of any shape, `at` counting from
    its start; first, at, to: uint64. Gives the number of lanes that were marked, a uint64.
    """

    def codegen(context, builder, signature, args):
        kinds = signature.args
        source, first, marks, at, mark, out, to = args
        i8, i16, f32 = ir.IntType(8), ir.IntType(16), ir.FloatType()
        mask_type, bytes_type, floats = (ir.VectorType(t, LANES) for t in (ir.IntType(1), i8, f32))

        def place(array, kind, index):
            return builder.gep(context.make_array(kind)(context, builder, array).data, [index])

        def load(pointer, vector, align):
            value = builder.load(builder.bitcast(pointer, vector.as_pointer()))
            value.align = align
            return value

        lanes = load(place(marks, kinds[2], at), bytes_type, 1)
        undefined = ir.Constant(bytes_type, ir.Undefined)
        one = builder.insert_element(undefined, mark, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        marked = builder.icmp_unsigned("==", lanes, builder.shuffle_vector(one, undefined, zeros))
        target = place(out, kinds[5], to)
        old = load(target, floats, 4)
        expand = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(floats, [f32.as_pointer(), mask_type, floats]),
            "llvm.masked.expandload.v16f32",
        )
        new = builder.call(expand, [place(source, kinds[0], first), marked, old])
        builder.store(new, builder.bitcast(target, floats.as_pointer()), align=4)
        count = builder.ctpop(builder.bitcast(marked, i16))
        return builder.zext(count, ir.IntType(64))

    return types.uint64(source, first, marks, at, mark, out, to), codegen
