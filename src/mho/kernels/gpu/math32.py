"""`mho.numerics.math32` and the normal pair of `mho.numerics.normal` as Triton functions, under their own names.

The functions are translated when this module is first imported; their text lies in the cache folder.
"""

from pathlib import Path

from mho.kernels.law.build import module_of
from mho.kernels.law.translate import PRIMITIVES, translate

_CPU = Path(__file__).parents[2] / "numerics"

HEADER = f"""import triton
import triton.language as tl

from mho.kernels.gpu.primitives import {", ".join(PRIMITIVES)}
"""


def _source() -> str:
    functions = translate((_CPU / "math32.py").read_text())
    normal = translate((_CPU / "normal.py").read_text(), only="normal_pair")
    doc = '"""Float32 functions for Triton, translated by mho.kernels.gpu from those of the CPU."""'
    return f"{doc}\n\n{HEADER}\n\n{functions}\n\n\n{normal}\n"


_translated = module_of("mho_gpu_math32", _source())


def __getattr__(name: str):
    return getattr(_translated, name)
