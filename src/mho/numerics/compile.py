"""Compilation of numeric functions: three decorators for Numba, and the table of elementary functions.

Functions that Python calls have two more, in `mho.numerics.machine_code`.

Never `fastmath`: vectorised loops, scalar loops and the oracle must give the same bits. No `parallel`: see
`mho.numerics.threads`. `_nrt=False`, which Numba's own sources use and its type stubs do not know, leaves out the
reference counts of arrays. In loops as short as these such counts cost more than the work (measured: 3.7 against
2.7 ns a pulse, and 4 times in an update with few pulses). A function compiled so must not allocate.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from numba import njit

ALWAYS: dict[str, Any] = {"fastmath": False, "error_model": "numpy"}
LEAN: dict[str, Any] = {**ALWAYS, "nogil": True, "_nrt": False}

loop: Any = njit(**LEAN)  # called from kernels, never allocates
part: Any = njit(**ALWAYS, nogil=True, inline="always")  # written out where it is called, by Numba
inlined: Any = njit(**ALWAYS, forceinline=True)  # arithmetic on scalars, written out by LLVM


class Elementary(NamedTuple):
    """A scalar function of float32 numbers that response laws may call, and all that compilers must know of it."""

    function: Any  # compiled for the CPU; its text is also translated for Triton
    spelling: str  # torch's name of the operation; empty if only rules of `kernels/law/lowerings.py` call it
    double: Any  # numpy's function in its place in float64; None: its text is translated for float64
    share: float  # see `elementary`


ELEMENTARY: dict[str, Elementary] = {}  # by the function's name


def elementary(spelling: str = "", *, double: Any = None, share: float = 0.0) -> Callable[[Callable], Any]:
    """Compile a scalar function and make it an operation of response laws, for all dialects at once.

    Args:
        spelling: torch's name of the operation, such as "exp" for `torch.exp(w)` and `w.exp()`.
        double: a numpy function, for float64. Without it the text itself is translated, which suits functions
            that hold no polynomial and no bit pattern.
        share: cost, as the share of a row's cells with a pulse from which it is quicker to compute all cells, 16
            at a time, than to visit those with a pulse. Measured with AVX-512: 0 for arithmetic, 0.2 for a square
            root, 0.4 for an exponential, 0.6 for a power, above 1 for a gather, see design/006.
    """

    def register(function: Callable) -> Any:
        compiled = inlined(function)
        ELEMENTARY[function.__name__] = Elementary(compiled, spelling, double, share)
        return compiled

    return register
