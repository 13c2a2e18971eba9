"""Three dialects of scalar code: `FLOAT32` and `FLOAT64` for Numba, `TRITON` for a GPU.

A dialect holds the head of a module in its language, the expressions by which a function for one pulse reaches the
parameters of its cell, and the translation of the functions themselves; see `mho.kernels.law.translation`.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mho.kernels.law.translation import PRIMITIVES, ToFloat64, ToTriton, Translation


@dataclasses.dataclass(frozen=True)
class ScalarCode:
    """Functions of float32 numbers, in the dialect `FLOAT32`, and the meaning of their names."""

    text: str
    functions: Mapping[str, Any]  # name -> compiled function that the text calls
    constants: Mapping[str, str] = dataclasses.field(default_factory=dict)  # name -> number, as text
    tables: Mapping[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)


class Dialect:
    """Numba in float32; a subclass states the differences.

    Args:
        room: folder of `mho.kernels` with the loops that this dialect's laws are joined to.
        arguments: the arguments by which a function for one pulse reaches the parameters of its cell.
        flag: text of a constant of a module, from the text of its value.
    """

    room, arguments, flag = "cpu", "par, i, q, scal", "{}"
    kind = "np.float32"
    header = ("import numpy as np", "", "from mho.numerics.compile import inlined, part")

    def shared(self, n: int) -> str:
        """Return the expression for number n of those that all cells share."""
        return f"scal[{n}]"

    def plane(self, k: int, n_shared: int) -> str:
        """Return the expression for the cell's value in plane k, where all cells share n_shared numbers."""
        return f"par[{k}, i, q]"

    def access(self, n_shared: int, n_planes: int) -> str:
        """Return the function that makes a cell's arguments: a tuple, which the compiler keeps in registers."""
        numbers = "".join(f"numbers[{n}], " for n in range(n_shared))
        return f"@part\ndef shared(numbers):\n    return ({numbers})"

    def module(self, doc: str, code: ScalarCode) -> str:
        """Return the text of a module that defines the functions of `code`."""
        translation, text = self.translated(code)
        return self.joined(doc, translation, self.assigned(code), text)

    def joined(self, doc: str, translation: "Translation", *texts: str) -> str:
        """Return the text of a module: imports, constants, the functions that are called, then `texts`."""
        homes = {
            home: [n for n, h in translation.imports.items() if h == home]
            for home in translation.imports.values()
        }
        imports = [f"from {home} import {', '.join(sorted(names))}" for home, names in sorted(homes.items())]
        constants = "\n".join(f"{name} = {number}" for number, name in translation.constants.items())
        head = "\n".join([f'"""{doc}"""', "", *self.header, *imports])
        return "\n\n\n".join(filter(None, [head, constants, *translation.texts.values(), *texts])) + "\n"

    def assigned(self, code: ScalarCode) -> str:
        """Return the lines that define constants and tables."""
        lines = [f"{name} = {self.kind}({number})" for name, number in code.constants.items()]
        lines += [f"{name} = np.array({[*table]}, {self.kind})" for name, table in code.tables.items()]
        return "\n".join(lines)

    def translated(self, code: ScalarCode) -> tuple["Translation", str]:
        """Return the text of the functions, and the translation that holds those that they call."""
        translation = Translation()
        for name, function in code.functions.items():
            translation.needed(name, function)
        return translation, code.text


class _Float64(Dialect):
    """Numba in float64, for calibrations, whose steps are less than float32 resolves."""

    kind = "np.float64"

    def translated(self, code: ScalarCode) -> tuple[Translation, str]:
        translation = ToFloat64()
        return translation, translation.functions(code.text, {"np": np, **code.functions})


class _Triton(Dialect):
    """Float32 for Triton. `par` holds the numbers that all cells share, then blocks of the planes."""

    room, arguments, flag = "gpu", "par", "tl.constexpr({})"
    primitives = f"from mho.kernels.gpu.primitives import {', '.join(PRIMITIVES)}"
    header = ("import triton", "import triton.language as tl", "", primitives)

    def shared(self, n: int) -> str:
        return f"par[{n}]"

    def plane(self, k: int, n_shared: int) -> str:
        return f"par[{n_shared + k}]"

    def access(self, n_shared: int, n_planes: int) -> str:
        loads = [f"tl.load(scal + {n})" for n in range(n_shared)]
        loads += [f"tl.load(planes + {n} * size + at, mask=live, other=0.0)" for n in range(n_planes)]
        return f"@triton.jit\ndef parameters(planes, scal, at, live, size):\n    return ({', '.join(loads)},)"

    def assigned(self, code: ScalarCode) -> str:
        return ""  # constants are written out

    def translated(self, code: ScalarCode) -> tuple[Translation, str]:
        translation = ToTriton()
        values = {name: np.float32(float(number)) for name, number in code.constants.items()}
        names = {"np": np, **code.functions, **values}
        return translation, translation.functions(code.text, names, translation.decorator)

    def library(self, doc: str, functions: Iterable[Any]) -> str:
        """Return the text of a module with compiled functions, under their own names."""
        translation = ToTriton()
        for function in functions:
            translation.needed(function.__name__, function)
        return self.joined(doc, translation)


FLOAT32, FLOAT64, TRITON = Dialect(), _Float64(), _Triton()
