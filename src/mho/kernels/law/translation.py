"""The translation of scalar functions from float32 Python for Numba to another dialect.

A scalar function is straight-line Python on float32 numbers: those of `mho.numerics.math32`, a response law, one
pulse on a cell. Its text is written once, in float32 for Numba. A translation rewrites its syntax tree, and that of
every function that it calls, so that no polynomial and no law is written twice.
"""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from numba.core.registry import CPUDispatcher

from mho.base.errors import complaint
from mho.numerics.compile import ELEMENTARY

PRIMITIVES = (
    "abs32", "bits_to_float", "div32", "f32", "float_to_bits", "fma32", "i32", "neg32", "select32", "sqrt32",
    "to_f32", "to_i32", "u32",
)  # fmt: skip  # of `mho.kernels.gpu.primitives`
_INTRINSICS = ("bits_to_float", "entry", "float_to_bits", "fma32", "select32")  # of `mho.numerics.vector`
_CASTS: dict[Any, str] = {np.float32: "f32", np.int32: "i32", np.uint32: "u32"}


class Translation(ast.NodeTransformer):
    """Functions in float32 for Numba, and those that they call; a subclass states its differences."""

    decorator = "inlined"

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}  # of the functions that are called, by their name
        self.imports: dict[str, str] = {}  # name -> module
        self.constants: dict[str, str] = {}  # number, as text -> name
        self.names: Mapping[str, Any] = {}
        self.locals: set[str] = set()

    def functions(self, text: str, names: Mapping[str, Any], decorator: str = "") -> str:
        """Return all functions of a text, in which `names` have these values."""
        outer, self.names = self.names, names
        nodes = [self.visit(node) for node in ast.parse(text).body]
        self.names = outer
        for node in nodes if decorator else ():
            node.decorator_list, node.name = [ast.Name(decorator)], self.renamed(node.name)
        return "\n\n\n".join(ast.unparse(ast.fix_missing_locations(node)) for node in nodes)

    def needed(self, name: str, function: Any) -> str:
        """Return the expression for a compiled function: it is imported from this package, else translated."""
        if function.__module__.startswith("mho."):
            self.imports[name] = function.__module__
            return name
        return self.translated(function)

    def translated(self, function: Any) -> str:
        """Return the name of a compiled function in this dialect, whose text is translated where it is new."""
        python = function.py_func
        name = self.renamed(python.__name__)
        if name not in self.texts:
            text = textwrap.dedent(inspect.getsource(python))
            self.texts[name] = self.functions(text, python.__globals__, self.decorator)
        return name

    def renamed(self, name: str) -> str:
        """Return the name that a function has in this dialect."""
        return name

    def meaning(self, node: ast.expr) -> Any:
        """Return the value of a global name, or of a name of numpy; None if there is none."""
        if isinstance(node, ast.Attribute) and self.meaning(node.value) is np:
            return getattr(np, node.attr)
        return self.names.get(node.id) if isinstance(node, ast.Name) and node.id not in self.locals else None

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        outer = self.locals
        self.locals = {a.arg for a in node.args.args} | {
            n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
        node.body = [self.visit(statement) for statement in node.body]
        self.locals = outer
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        value = self.meaning(node)
        constant = isinstance(node.ctx, ast.Load) and isinstance(value, (np.float32, np.int32, np.uint32))
        return self.number(value, node.id) if constant else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        function, name = self.meaning(node.func), ast.unparse(node.func)
        if isinstance(function, type) and function in _CASTS:
            return self.cast(function, node.args[0])
        node.args = [self.visit(argument) for argument in node.args]
        if isinstance(function, CPUDispatcher):
            return _call(self.needed(name, function), *node.args)
        return self.primitive(name, function, node)

    def number(self, value: Any, name: str) -> ast.expr:
        """Return the expression for a constant."""
        text = f"np.{self.kind(type(value))}({str(value.item())!r})"
        return ast.Name(self.constants.setdefault(text, f"_K{len(self.constants)}"), ast.Load())

    def cast(self, kind: type, argument: ast.expr) -> ast.expr:
        """Return the conversion of an expression to a type."""
        return _call(f"np.{self.kind(kind)}", self.visit(argument))

    def kind(self, kind: type) -> str:
        """Return numpy's name for a type."""
        return kind.__name__

    def primitive(self, name: str, function: Any, node: ast.Call) -> ast.expr:
        """Return the call of a function without a text: an intrinsic, numpy's, Python's, or one of this module."""
        if name in _INTRINSICS:
            self.imports[name] = function.__module__
        return node


class ToFloat64(Translation):
    """Float64 for Numba: numpy's functions where `elementary` names them, selects as conditional expressions."""

    def needed(self, name: str, function: Any) -> str:
        known = ELEMENTARY.get(function.py_func.__name__)
        if known and known.function is function and known.double is not None:
            return f"np.{known.double.__name__}"
        return self.translated(function)

    def renamed(self, name: str) -> str:
        return name.replace("32", "64")

    def kind(self, kind: type) -> str:
        return "float64" if kind is np.float32 else kind.__name__

    def number(self, value: Any, name: str) -> ast.expr:
        if isinstance(value, np.float32) and np.isfinite(value) and value * 1024 != np.rint(value * 1024):
            raise _no_float64(name, f"float32 rounds its value {value!r}")
        return super().number(value, name)

    def primitive(self, name: str, function: Any, node: ast.Call) -> ast.expr:
        if name == "select32":
            return ast.IfExp(*node.args)
        if name in _INTRINSICS and name != "entry":
            raise _no_float64(name, "it works on the bits of a float32")
        return super().primitive(name, function, node)


def _no_float64(name: str, wrong: str) -> Exception:
    fix = "give numpy's function, as in @elementary(double=np.sin)"
    return complaint(name, f"{wrong}, so a function that uses it has no translation for float64", fix=fix)


class ToTriton(Translation):
    """Float32 for Triton: every operation that rounds, or that Triton spells differently, is a primitive."""

    decorator = "triton.jit"

    def needed(self, name: str, function: Any) -> str:
        return name if name in PRIMITIVES else self.translated(function)

    def number(self, value: Any, name: str) -> ast.expr:
        plain = value.item()
        finite = np.isfinite(value)
        argument = ast.Constant(plain) if finite else _call("float", ast.Constant(str(plain)))
        return _call(_CASTS[type(value)], argument)

    def cast(self, kind: type, argument: ast.expr) -> ast.expr:
        try:
            return self.number(kind(ast.literal_eval(argument)), "")
        except ValueError:
            return _call(f"to_{_CASTS[kind]}", self.visit(argument))

    def primitive(self, name: str, function: Any, node: ast.Call) -> ast.expr:
        native = "sqrt32" if function is np.sqrt else {"abs": "abs32"}.get(name)
        return _call(native, *node.args) if native else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        return _call("div32", node.left, node.right) if isinstance(node.op, ast.Div) else node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
            return _call("neg32", node.operand)
        if isinstance(node.op, ast.Not):
            return ast.BinOp(node.operand, ast.BitXor(), ast.Constant(True))
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        return _call("select32", node.test, node.body, node.orelse)


def _call(function: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(function), list(arguments), [])
