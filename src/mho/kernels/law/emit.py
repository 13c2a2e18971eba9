"""The emitter: from the graph of a response law to scalar code, which `dialect` prints for each processor."""

import dataclasses
import re
from collections.abc import Set

import torch
from torch import fx

from mho.base.errors import complaint, did_you_mean
from mho.base.records import Record, float_fields
from mho.kernels.law.dialect import FLOAT32, ScalarCode
from mho.kernels.law.lowerings import Unsupported, Value, Writer, look_up, lowering_of, operations
from mho.kernels.law.trace import argument_of, inputs_of, operation_name, trace
from mho.numerics.compile import ELEMENTARY


@dataclasses.dataclass(frozen=True)
class LoweredLaw:
    """A response law as scalar code.

    Args:
        law: name of the law's class.
        fields: the arguments of every function after w (and z): the law's float fields in order of definition.
        code: the functions, `up(w, *fields)` and `down(w, *fields)` as a rule, each from float32 scalars to a
            float32 scalar, inlined where it is called.
    """

    law: str
    fields: tuple[str, ...]
    code: ScalarCode

    @property
    def source(self) -> str:
        """The functions as a module for the CPU."""
        return FLOAT32.module(
            f"The response law {self.law} in float32, written by mho.kernels.law.", self.code
        )

    @property
    def share(self) -> float:
        """The cost of the law: the largest `share` of the elementary functions that it calls."""
        return max(
            (ELEMENTARY[name].share for name in self.code.functions if name in ELEMENTARY), default=0.0
        )


def lower(
    response: Record, varying: Set[str] = frozenset(), methods: tuple[str, ...] = ("up", "down")
) -> LoweredLaw:
    """Write a law's methods as scalar float32 code.

    Args:
        response: the law. Its float fields become arguments; a power whose exponent is a float field that
            all cells share is written out for that value where it is a simple one (0.5, 2, ...).
        varying: names of the float fields that differ from cell to cell; no code depends on their values.
        methods: the methods to write, each a function of w.

    Raises:
        MhoError: an operation has no lowering, or the method cannot be traced, or `varying` names no field.
    """
    cls = type(response)
    fields = float_fields(cls)
    for name in varying - set(fields):
        raise complaint(f"lower(varying={name!r})", did_you_mean(name, fields))
    shared = {argument_of(name): _shared_value(response, name) for name in fields if name not in varying}
    writer = Writer()
    functions = [_function(writer, response, method, fields, shared) for method in methods]
    constants = {name: number for number, name in writer.constants.items()}
    tables = {name: table for table, name in writer.tables.items()}
    code = ScalarCode("\n\n\n".join(functions), writer.functions, constants, tables)
    return LoweredLaw(cls.__name__, fields, code)


def _shared_value(response: Record, name: str) -> float:
    value = getattr(response, name)
    if isinstance(value, torch.Tensor) and value.numel() > 1:
        wrong = f"{name} differs from cell to cell, as a tensor of shape {tuple(value.shape)}"
        raise complaint(f"lower({type(response).__name__})", wrong, fix=f"pass varying={{{name!r}}}")
    return float(value)


def _function(
    writer: Writer, response: Record, method: str, fields: tuple[str, ...], shared: dict[str, float]
) -> str:
    """Return the source of one method."""
    writer.start()
    values: dict[fx.Node, Value] = {}
    where = f"{type(response).__name__}.{method}"
    result: Value | None = None
    for node in trace(response, method).nodes:
        if node.op == "placeholder":
            name = str(node.target)
            values[node] = Value(name, known=shared.get(name))
        elif node.op == "output":
            result = _result(where, writer, _argument(where, values, node.args[0]))
        else:
            values[node] = _operation(where, writer, node, values)
    assert result is not None
    arguments = ", ".join((*inputs_of(method), *map(argument_of, fields)))
    body = "\n".join(f"    {line}" for line in [*writer.lines, f"return {result.text}"])
    return f"@inlined\ndef {method}({arguments}):\n{body}"


def _operation(where: str, writer: Writer, node: fx.Node, values: dict[fx.Node, Value]) -> Value:
    """Write one operation of the graph."""
    name = operation_name(node)
    if name == "lookup":
        return look_up(writer, node.args[0], *(_argument(where, values, a) for a in node.args[1:]))
    lowering = lowering_of(name)
    if lowering is None:
        raise complaint(
            where, f"the operation {name} has no compiled form", f"These have: {', '.join(operations())}"
        )
    args = [_argument(where, values, a) for a in node.args]
    kwargs = {k: _argument(where, values, a) for k, a in node.kwargs.items()}
    if name == "where" and node.op == "call_method":  # x.where(condition, other)
        args[:2] = args[1::-1]
    try:
        return lowering(writer, *args, **kwargs)
    except TypeError as error:
        reason = re.sub(r"^\S+\(\) ", "", str(error))
        raise complaint(where, f"the operation {name} {reason} in compiled form") from error
    except Unsupported as error:
        raise complaint(where, f"the operation {name} {error}") from None


def _argument(where: str, values: dict[fx.Node, Value], argument) -> Value | None:
    """Return the value that stands for an argument of an operation."""
    if isinstance(argument, fx.Node):
        return values[argument]
    if argument is None:
        return None
    if isinstance(argument, torch.Tensor):
        if argument.numel() != 1:
            wrong = f"uses a tensor of shape {tuple(argument.shape)}"
            raise complaint(where, wrong, "A compiled law may hold single numbers only")
        argument = argument.item()
    if isinstance(argument, (bool, int, float)):
        return Value("", known=argument)
    raise complaint(where, f"uses a {type(argument).__name__}", "A compiled law may use numbers only")


def _result(where: str, writer: Writer, value: Value | None) -> Value:
    if value is None:
        raise complaint(where, "returns None", "It must return q(w)")
    try:
        return writer.number(value)
    except Unsupported as error:
        raise complaint(where, f"its result {error}") from None
