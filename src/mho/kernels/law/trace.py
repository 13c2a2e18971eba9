"""The graph of operations of a response law, which is written as torch expressions.

The law's own method runs once on stand-ins for numbers (torch.fx proxies). w and every float field become inputs of
the graph. Fields of other types, helper methods and properties of the class act as they always do.
"""

from torch import fx
from torch.fx.proxy import GraphAppendingTracer, Proxy

from mho.base.errors import MhoError, complaint
from mho.base.records import Record, float_fields

HOW_TO_WRITE = (
    "A law is one torch expression of w and the fields: torch.where instead of if, torch.exp instead of "
    "math.exp or numpy.exp, torch.minimum and torch.clamp instead of min and max"
)


def inputs_of(method: str) -> tuple[str, ...]:
    """Return the arguments of a method before the fields: w, and the normal number z if the law makes its noise."""
    return ("w", "z") if method.startswith("noisy_") else ("w",)


def argument_of(field: str) -> str:
    """Return the argument of a method for a field; no other name of the text begins in this way."""
    return f"f_{field}"


def trace(law: Record, method: str = "up") -> fx.Graph:
    """Return the graph of `law.method(w)`: inputs w (and z of a noisy method), then the float fields in order of
    definition; one output.

    Raises:
        MhoError: the method does something that has no graph, such as a Python `if` on w.
    """
    cls = type(law)
    graph = fx.Graph()
    tracer = GraphAppendingTracer(graph)
    inputs = [Proxy(graph.placeholder(name), tracer) for name in inputs_of(method)]
    stand_in = object.__new__(cls)
    for name, value in vars(law).items():
        object.__setattr__(stand_in, name, value)
    for name in float_fields(cls):
        object.__setattr__(stand_in, name, Proxy(graph.placeholder(argument_of(name)), tracer))
    try:
        result = getattr(stand_in, method)(*inputs)
        graph.output(tracer.create_arg(result))
    except MhoError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        wrong = f"cannot be compiled, because running it on a symbol for w fails with {reason}"
        raise complaint(f"{cls.__name__}.{method}", wrong, HOW_TO_WRITE) from error
    return graph


def operation_name(node: fx.Node) -> str:
    """Return one name for the function, torch.* and Tensor-method spellings of an operation."""
    target = node.target
    name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
    if name == "getattr":
        name = f"attribute {node.args[1]}"
    if name.startswith("__"):
        name = name.strip("_")
    name = name.removeprefix("special_")
    return _ALIASES.get(name, name)


_ALIASES = {
    "truediv": "div", "true_divide": "div", "divide": "div", "rtruediv": "rdiv",
    "subtract": "sub", "multiply": "mul", "negative": "neg", "absolute": "abs", "positive": "pos",
    "clip": "clamp", "expit": "sigmoid", "float_power": "pow",
    "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge", "not_equal": "ne",
    "and_": "logical_and", "and": "logical_and", "bitwise_and": "logical_and",
    "or_": "logical_or", "or": "logical_or", "bitwise_or": "logical_or",
    "xor": "logical_xor", "bitwise_xor": "logical_xor",
    "invert": "logical_not", "bitwise_not": "logical_not",
}  # fmt: skip
