"""The one place that says how compiled functions are compiled: five decorators.

Never `fastmath`: vectorised loops, scalar loops and the oracle must give the same bits. No `parallel`: see
`mho.numerics.threads`. `_nrt=False`, which Numba's own sources use and its type stubs do not know, leaves out the
reference counts of arrays, which in loops as short as these cost more than the work (measured: 3.7 against
2.7 ns a pulse, and 4 times in an update with few pulses); a function compiled so must not allocate.
"""

from typing import Any

from numba import njit

_ALWAYS: dict[str, Any] = {"fastmath": False, "error_model": "numpy"}
_LEAN: dict[str, Any] = {**_ALWAYS, "nogil": True, "_nrt": False}

kernel: Any = njit(**_ALWAYS, nogil=True, cache=True)  # called from Python
lean_kernel: Any = njit(**_LEAN, cache=True)  # called from Python, never allocates
loop: Any = njit(**_LEAN)  # called from kernels, never allocates
part: Any = njit(**_ALWAYS, nogil=True, inline="always")  # written out where it is called, by Numba
inlined: Any = njit(**_ALWAYS, forceinline=True)  # arithmetic on scalars, written out by LLVM
