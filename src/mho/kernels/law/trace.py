"""From a response law, written as torch expressions, to a graph of operations.

The law's own method runs once on stand-ins for numbers (torch.fx proxies): w and every float field become
inputs of the graph; fields of other types, helper methods and properties of the class act as they always do.
"""

from torch import fx
from torch.fx.proxy import GraphAppendingTracer, Proxy

from mho.base.errors import MhoError, complaint
from mho.base.records import float_fields
from mho.responses.base import Response

HOW_TO_WRITE = (
    "A law is one torch expression of w and the fields: torch.where instead of if, torch.exp instead of "
    "math.exp or numpy.exp, torch.minimum and torch.clamp instead of min and max"
)


def inputs_of(method: str) -> tuple[str, ...]:
    """What a method takes before the fields: w, and the standard normal number z if the law makes its noise."""
    return ("w", "z") if method.startswith("noisy_") else ("w",)


def trace(law: Response, method: str = "up") -> fx.Graph:
    """The graph of `law.method(w)`: inputs w (and z of a noisy method), then the float fields in order of
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
        object.__setattr__(stand_in, name, Proxy(graph.placeholder(name), tracer))
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
