"""From the scalar functions of the CPU to Triton: the same text, its operations taken from `primitives`.

Both `mho.numerics.math32` and the laws that `mho.kernels.law.emit` prints are straight-line float32 arithmetic,
so one reading of their syntax tree gives the GPU's version: no polynomial and no law is written twice.
"""

import ast
from typing import Any

import numpy as np

PRIMITIVES = (
    "abs32", "bits_to_float", "div32", "f32", "float_to_bits", "fma32", "i32", "neg32", "select32", "sqrt32",
    "to_f32", "to_i32", "u32",
)  # fmt: skip
_CASTS = {np.float32: "f32", np.int32: "i32", np.uint32: "u32"}
_DECORATORS = ("inlined", "part")


def translate(text: str, only: str = "") -> str:
    """The functions of a module of scalar arithmetic as Triton source, without imports.

    Args:
        text: source whose functions are decorated `@inlined` or `@part`, and whose constants are assigned
            at module level; loops and arrays are not translated, so functions with a loop are left out.
        only: the name of the one function to translate; all by default.
    """
    tree = ast.parse(text)
    names = _constants(tree)
    functions = []
    for node in tree.body:
        wanted = isinstance(node, ast.FunctionDef) and only in ("", node.name) and _is_scalar(node)
        if isinstance(node, ast.FunctionDef) and wanted:
            node.decorator_list = [ast.Attribute(ast.Name("triton"), "jit")]
            functions.append(ast.unparse(ast.fix_missing_locations(_ToTriton(names).visit(node))))
    return "\n\n\n".join(functions)


def _is_scalar(node: ast.FunctionDef) -> bool:
    decorated = {d.id for d in node.decorator_list if isinstance(d, ast.Name)} & {*_DECORATORS}
    loops = any(isinstance(n, (ast.For, ast.While)) for n in ast.walk(node))
    return bool(decorated) and not loops and node.name not in PRIMITIVES


def _constants(tree: ast.Module) -> dict[str, Any]:
    """What a module's own assignments give: its constants, and its short names for numpy's types."""
    names: dict[str, Any] = {"np": np}
    assignments: list[ast.stmt] = [node for node in tree.body if isinstance(node, ast.Assign)]
    exec(compile(ast.Module(assignments, []), "<constants>", "exec"), names)
    return names


class _ToTriton(ast.NodeTransformer):
    """Rewrites one function; `names` are the constants and types that it may use."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        value = self.names.get(node.id)
        if isinstance(node.ctx, ast.Load) and isinstance(value, (np.float32, np.int32, np.uint32)):
            return _number(value)
        return node

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

    def visit_Call(self, node: ast.Call) -> ast.AST:
        function = ast.unparse(node.func)
        kind = eval(function, dict(self.names)) if function.split(".")[0] in self.names else None
        if kind in _CASTS:
            return self._cast(kind, node.args[0])
        self.generic_visit(node)
        if kind is np.sqrt:
            return _call("sqrt32", *node.args)
        return _call("abs32", *node.args) if function == "abs" else node

    def _cast(self, kind, argument: ast.expr) -> ast.AST:
        try:
            return _number(kind(ast.literal_eval(argument)))
        except ValueError:
            return _call(f"to_{_CASTS[kind]}", self.visit(argument))


def _number(value: np.float32 | np.int32 | np.uint32) -> ast.Call:
    plain = value.item()
    finite = np.isfinite(value)
    argument = ast.Constant(plain) if finite else _call("float", ast.Constant(str(plain)))
    return _call(_CASTS[type(value)], argument)


def _call(function: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(function, ast.Load()), list(arguments), [])
